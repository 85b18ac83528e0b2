"""Training on a Spark cluster: MLlib's implicit ALS, whose factors become the vectors to publish."""
