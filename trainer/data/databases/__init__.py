"""Interactions from SQL databases, and what their addresses may say."""
