"""A kind of index that is not in the project, as docs/contributing.md tells how to write one.

It sorts the items by the first number of their vectors, and looks at a window around the query's.
"""
