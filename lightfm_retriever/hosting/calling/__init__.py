"""Reaching a service: its flags, its first call, and why it can't be reached."""
