"""Trains on a Spark cluster, by MLlib's implicit ALS, whose factors become the published vectors."""
