"""Everything on disk and its promises: files, plan, shards, corpus. No torch, nothing of ours.

files/      files and folders that appear whole or not at all; locks; crash points
storage/    a folder or an object store under one interface, with retries
plan/       the table schemas, and the plan: which images are mixed, with which lambda and seed
shards/     one shard: tar, Parquet and the marker that commits it
published/  finished shards as a corpus: index, card, SHA256SUMS; verified and read back
trainers/   which GAN trainer reads what, and the layout of its files
errors      the error tree, with an exit code for each class
foreign_text  text from outside, fit to be printed and stored
extras      imports of optional packages, with what to install
tombstones  the inputs that were removed on request
run_folder  RunFolder: every path inside a run folder, named once. docs/formats.md draws the tree
"""
