"""A kind of index that isn't in the project: what docs/explanation/recall-and-tuning.md tells how to write.

It sorts the items by the first number of their vectors, and looks at a window around the query's.
"""
