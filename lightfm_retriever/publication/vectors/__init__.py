"""The mathematics of published vectors: transforms, fold-in, and the order of results."""
