"""Export: shards in a trainer's layout."""
