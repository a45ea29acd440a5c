"""The score network."""
