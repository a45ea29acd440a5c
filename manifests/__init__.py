"""Everything that is on disk, and what it promises. Imports no torch and nothing of ours.

errors   the error tree, one exit code each
schema   the tables: sources, plan, manifest; one literal object each
streams  one random stream per image, keyed by (seed, key)
atomic   files that appear whole or not at all
plan     which images are made from what, as data
shard    a deterministic tar, its Parquet and the marker that commits it
tars     the tar itself: written so that its bytes depend on the samples alone, read back
publish  finished shards become a corpus: manifest, index, card, SHA256SUMS last of all
index    index.json: the shards, and the hash of every file
card     README.md: the dataset card
croissant croissant.json: the same for catalogues and loaders
layout   what a trainer's folder holds, file by file, as data
payload  an image's bytes out of its shard, verified
preset   one row of the table of trainers
trainers which trainer reads what, with its commands
needs    what a trainer needs of a corpus
staging  a file or tree that appears whole or not at all
subset   the shards of a smaller ratio, for trainers that stream
verify   reads all of it back and says what is wrong
urls     a place: a path, or a URL of an object store
store    the files below a place, local or (remote) in an object store, read back when written
patience what to do when a store does not answer
mirror   a corpus in a store with a local copy of what publishing reads again
inspect  counts, and the lineage of one image
lock     who works on a run
faults   named points at which a test may kill the process
"""
