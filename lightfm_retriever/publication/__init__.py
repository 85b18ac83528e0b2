"""The on-disk contract between the trainer and the retriever; see README.md beside this file."""
