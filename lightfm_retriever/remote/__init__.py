"""Volumes that aren't a folder of this machine: object stores, and copies of versions on its own disk.

A store has the very layout of a volume in a folder, object for file, so that copying one into the other
gives a valid volume. What is served or opened is always a local copy: a cache, which is a volume too.
"""
