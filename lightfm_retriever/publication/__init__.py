"""The on-disk contract between the trainer, which writes publications, and the retriever.

A publication is one immutable, versioned set of files: embeddings, id maps, nearest-neighbour
indexes and a manifest with the facts about them. See README.md beside this file.
"""
