"""The table of trainers: what each reads, which corpora it can read, with which commands.

spec             the type of a row
table            the table: a row for each trainer and target
stylegan_family  rows of StyleGAN's readers, edm among them
biggan_family    rows of BigGAN-PyTorch's family and PyTorch-StudioGAN
other_presets    presets of `trial` for trainers of no family
presets          fills in a preset of `trial`: units, classes, samples
requirements     looks trainers up, decides which sizes and classes they take
shared_texts     commands and notes that several rows share
commands         the commands of a trainer, filled in for one export
image_endings    file name endings that loaders take
layout           which file of a layout has which bytes of which shard
image_bytes      an image's bytes out of its shard, verified
"""
