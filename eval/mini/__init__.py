"""The mini (synthetic) set: the parquet files, and the script that made them."""
