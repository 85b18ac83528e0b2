"""Fuzzing: hostile bytes, files and messages for every parser; `python -m tests.fuzz --help`."""
