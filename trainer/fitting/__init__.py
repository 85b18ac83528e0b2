"""Fit LightFM, and export its vectors and its state."""
