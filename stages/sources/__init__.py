"""Lists the inputs of a source, whatever holds them, and reads their bytes. Nothing is extracted.

base      Source, SourceFile and helpers     open         detects what kind a source is
folders   files below a folder               zips         members of a zip
tars      members of tars, WebDataset shards tables       rows of Parquet and Arrow files
arrays    HDF5 arrays, LMDB values           numpy_files  arrays of .npz and .npy files
labels    StyleGAN's dataset.json            bundled      digits, faces, pair
remote    sources at URLs, downloaded

What reads an input is a plain function of a path and a place in it (functools.partial), so that a
decoder process can be sent one: this package imports no more than it must.
"""
