"""Settings of a service: from flags, the environment and files."""
