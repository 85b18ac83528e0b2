"""Lists, compares and removes the versions on a volume."""
