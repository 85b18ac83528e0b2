"""Turn interactions into matrices: weights, splits and rows."""
