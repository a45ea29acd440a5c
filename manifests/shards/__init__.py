"""One shard: NAME.tar, NAME.parquet and NAME.json, the marker.

shard     writes a shard and commits it by its marker
tar       writes the tar with reproducible bytes; compares it with the manifest
replace   moves a shard that was made elsewhere into a corpus
rewrite   a shard without some of its samples
"""
