"""The gates that a version must pass before a label moves to it."""
