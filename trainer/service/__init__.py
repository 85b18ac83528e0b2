"""Runs the trainer as a gRPC service."""
