"""The trainer as a gRPC service."""
