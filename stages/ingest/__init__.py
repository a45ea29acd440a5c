"""Ingest: sources become a corpus."""
