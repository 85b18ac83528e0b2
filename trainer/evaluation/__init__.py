"""Evaluate a model on held-out interactions."""
