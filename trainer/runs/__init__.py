"""Queues training runs, starts their processes, and stores their results."""
