"""Volumes in object stores, laid out as in a folder, and local copies of versions, a volume too."""
