"""The plan: what is made from what."""
