"""From interactions to matrices: weights, splits, rows."""
