"""Stores appended interactions in a log on the trainer's disk."""
