"""Certificates, tokens, and who may call."""
