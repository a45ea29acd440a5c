"""Sources: which inputs there are, and how their bytes are read. Nothing is extracted.

Readers are plain functions of a path and a place in it (functools.partial), so that a decoding
process can be sent one: this package imports nothing here.

second_images  images that belong to another of the same name
spec           what names a source
find           what a name stands for on a disk
open           detects what kind a source is and opens it
base           Source: a list of inputs in order
folders        files below a folder
zips           members of a zip
tars           members of tars
tar_member     one of them, by its place in the tar
samples        WebDataset samples in tars: image and label of each
label_fields   the class in a field of a sample, or in a file beside an image
json_text      JSON in which no label is given twice
lone_labels    labels in files that belong to no image
twins          labels in files that have the names of images
unread_fields  what of samples may be a label and is not read
unused_options  refuses options that a kind of source makes no use of
tables         rows of Parquet and Arrow files
arrays         HDF5 and LMDB
patterns       names with wildcards -> files
braces         names with braces in them -> names
beside         archives among images, and images among archives
parts          splits and missing parts, by the names of files
limits         how many rows and bytes a file may claim
isolation      calls readers that can crash in a child process with limits
numpy_files    .npz and .npy
bundled        digits, faces and pair, from packages
remote         sources at URLs, downloaded once
class_values   labels as they are stored -> classes, or an error
labels         classes from files of labels or from folders
folder_notes   what folders that became classes look like
metadata_file  labels of Hugging Face image folders
"""
