"""Training runs: the queue, their processes, and what came of them."""
