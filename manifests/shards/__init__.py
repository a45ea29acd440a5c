"""Shards: tar, Parquet, marker."""
