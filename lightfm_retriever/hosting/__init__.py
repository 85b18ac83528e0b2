"""What both services need to be run: settings, security, logs, metrics and traces."""
