"""Read interactions from SQL databases, and check the addresses of databases."""
