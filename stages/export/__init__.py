"""Export: shards -> the layout that a trainer reads.

export    the stage: copies verified image bytes into a layout
options   options that export and mount share
folder    writes a folder of images
zip       writes a zip
hdf5      writes an HDF5 file
lmdb      writes an LMDB database
parquet   writes Parquet files for Hugging Face's datasets
held_out  the run's held-out images: beside the training images, or alone
"""
