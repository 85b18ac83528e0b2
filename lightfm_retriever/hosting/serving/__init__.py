"""A gRPC server as both services run it."""
