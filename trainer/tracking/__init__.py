"""Sends each run's parameters, metrics and artefacts to MLflow, and writes tables of runs."""
