"""From a label to a version that all workers serve."""
