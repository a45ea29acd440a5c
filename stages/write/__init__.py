"""Write: images become committed shards.

write   encodes images and commits them as a shard
"""
