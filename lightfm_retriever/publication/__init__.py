"""The on-disk contract between the trainer and the retriever; see README.md in this folder."""
