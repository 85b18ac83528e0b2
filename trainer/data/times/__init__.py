"""Points in time, and numbers that are taken for them."""
