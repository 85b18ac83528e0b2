"""Say how files would be read for a training."""
