"""Readers of the targets, one each: find images and labels as the trainers do.

stylegan     a folder or zip of images, and dataset.json
imagefolder  <split>/<class>/image
unpaired     trainA/ and trainB/
hdf5         imgs and labels
lmdb         {side}-{index:05d}, and length
"""
