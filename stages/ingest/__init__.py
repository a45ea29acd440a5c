"""Ingest: sources -> a corpus of prepared images, with a row for every input.

ingest     the stage: turns sources into a corpus
config     section `ingest` of stages.yaml
inventory  lists the inputs of all sources and selects those to read
reader     decodes inputs; rejects bad ones and duplicates
split      training and held-out images
classes    the class of each image
unchanged  whether sources hold what a corpus was made from, but for forgotten images
survey     what is in a source, before options are chosen for it
preview    what ingest would make of its sources, from a few decoded images
"""
