"""Serves publications: similar items and recommendations over gRPC."""
