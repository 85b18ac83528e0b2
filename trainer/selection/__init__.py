"""Choose the family and the settings of a model on a validation split."""
