"""Write: images become committed shards.

write   encodes images and commits them as a shard
tasks   the shards of a plan
config  the options
"""
