"""From a question to an answer, in one snapshot. Knows no gRPC, threads or clocks."""
