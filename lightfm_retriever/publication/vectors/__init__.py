"""The mathematics of published vectors: transforms, folding in, and the order of results."""
