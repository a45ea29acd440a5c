"""Everything that is on disk, and what it promises. Imports no torch and nothing of ours.

    errors   the error tree, one exit code each
    schema   the tables: sources, plan, manifest; one literal object each
    streams  one random stream per image, keyed by (seed, key)
    atomic   files that appear whole or not at all
    plan     which images are made from what, as data
    shard    a deterministic tar, its Parquet and the marker that commits it
    publish  manifest, index, dataset card, SHA256SUMS over finished shards
    verify   reads all of it back and says what is wrong
    lock     who works on a run
"""
