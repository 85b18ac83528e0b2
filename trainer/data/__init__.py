"""Interactions and features, as they are read and checked."""
