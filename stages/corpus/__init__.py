"""The ingested images on disk."""
