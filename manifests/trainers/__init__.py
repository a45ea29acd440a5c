"""The table of trainers: what each reads, which corpora it can read, with which commands.

spec             the type of a row
table            the table: a row for each trainer and target
stylegan_family  rows of StyleGAN's readers, edm among them
later_trainers   rows of trainers of 2021 and later
biggan_family    rows of BigGAN-PyTorch's family and PyTorch-StudioGAN
other_presets    presets of `trial` for trainers of no family
presets          fills in a preset of `trial`: units, classes, samples
requirements     looks trainers up, decides which sizes and classes they take
shared_texts     commands and notes that several rows share
commands         the commands of a trainer, filled in for one export
training_length  how long they train: equally long for arms of all sizes
image_endings    file name endings that loaders take
layout           which file of a layout has which bytes of which shard
labels           class ids and soft labels, as a layout has them
image_bytes      an image's bytes out of its shard, verified
"""
