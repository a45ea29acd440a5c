"""Shards made by one process among others, in a folder or an object store."""
