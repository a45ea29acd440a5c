"""What inputs there are in a source, and how their bytes are read. Nothing is extracted.

base      Input and Source                   opening  which kind a source is
folders   files below a folder               zips     members of a zip
tars      members of tars, WebDataset shards tables   rows of Parquet and Arrow files
arrays    HDF5 arrays, LMDB values           labels   StyleGAN's dataset.json
bundled   digits and faces                  objects  whatever lies at a URL, fetched

Readers are plain functions of a path and a place in it (functools.partial), so that a decoding
process can be sent one: this package imports no more than it must.
"""
