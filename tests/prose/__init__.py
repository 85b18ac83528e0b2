"""Checks the English of documents, help texts, docstrings and protobuf comments."""
