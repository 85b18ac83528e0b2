"""The parent process: workers, port, signals and reloads."""
