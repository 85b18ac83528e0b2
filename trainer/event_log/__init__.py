"""The log of appended interactions."""
