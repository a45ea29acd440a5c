"""Evaluate: shards against held-out images."""
