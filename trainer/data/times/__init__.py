"""Read and check timestamps, and recognise numbers in other units of time."""
