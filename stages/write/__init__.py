"""Write: images become committed shards."""
