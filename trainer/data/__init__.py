"""Read and check interactions, features and item attributes."""
