"""Damage to good input, and whether any of it gets past the trainer unseen; see `__main__`."""
