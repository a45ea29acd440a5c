"""A corpus: published from finished shards, verified, read.

publish           writes manifest, card, croissant, index and, last, SHA256SUMS
names             which files are the corpus's own, by their names
foreign           which files there are no run's
owner             which run may write here
index             index.json: the shards and the hash of every file
card              README.md, the dataset card
card_of_classes   what the card says of images made class by class
croissant         croissant.json, the metadata for catalogues
sums              SHA256SUMS: written, parsed
verify            reads every byte and names what is wrong
run_record        compares a corpus with the digest in its run's ledger
class_check       new classes of the index against the samples
pixel_check       decodes every image and compares its pixels
partition         some of the shards, to verify a corpus in parts
recorded_hashes   the hashes that a damaged corpus still records, for repair
mirror            local copies of a corpus in an object store
inspect           counts of a corpus, lineage of an image
subset            the shards of a smaller ratio
"""
