"""The parts that run both services: settings, security, logs, metrics and traces."""
