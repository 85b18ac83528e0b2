"""The commands that ask a retriever."""
