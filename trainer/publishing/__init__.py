"""From embeddings to a publication."""
