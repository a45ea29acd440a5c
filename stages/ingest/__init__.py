"""Turns sources of images into a corpus: lists, selects, decodes, and keeps a reason for each.

ingest     the stage: sources -> corpus/    config   section `ingest` of stages.yaml
inventory  lists all inputs, selects some   reader   decodes them, sorts out bad and double ones
split      classes, training and held-out   preview  what ingest would make, for --dry-run
"""
