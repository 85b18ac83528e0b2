"""Fit LightFM, and export what it learned."""
