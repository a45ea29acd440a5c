"""Train: a corpus becomes a score network."""
