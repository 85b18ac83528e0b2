"""A worker process: gRPC on one side, the serving snapshot on the other."""
