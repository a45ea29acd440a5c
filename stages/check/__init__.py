"""check: can this trainer read this corpus to the end? A verdict before the night is lost.

judge        the one public function: path, target or trainer -> Report
findings     what is wrong, grouped; reports; names that are safe to print
rules        the table of rules: severity, what happens in the trainer, the remedy
listing      what files a folder or a zip has
facts        one image file: size, mode, is it whole
images       rules over all images of a corpus
stylegan     a folder or zip, and its dataset.json (labels)
imagefolder  <split>/<class>/image          unpaired  trainA/ and trainB/
hdf5_file    imgs and labels                lmdb_file  {side}-{index:05d} and length
document     docs/check.md, made from the tables
"""
