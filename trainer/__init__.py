"""Turns interactions into embeddings and nearest-neighbour indexes, and publishes them."""
