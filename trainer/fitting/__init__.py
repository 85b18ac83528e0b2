"""LightFM, and what it learned."""
