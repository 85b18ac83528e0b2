"""A kind of index that isn't in the project: what docs/backends.md tells how to write.

It sorts the items by the first number of their vectors, and looks at a window around the query's.
"""
