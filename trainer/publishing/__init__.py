"""Publish embeddings with their indexes."""
