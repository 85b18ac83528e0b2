"""Read CSV and Parquet files as Arrow tables."""
