"""Check: can a trainer read this corpus to the end? A verdict before the training.

check         the public function: path and target or trainer -> report
empty         whether there is anything to read
file_index    lists the files of a folder or zip as trainers would find them
readers/      one module for each target: finds its images and labels
image_facts   one image file decoded: size, mode, is it whole
images        rules over all images of a corpus
batches       whether a trainer can form full batches
labels        dataset.json as the stylegan reader takes it
rule          the type of a rule: severity, what happens, the remedy
rules         all rules by name
image_rules   rules about images, archives and stylegan labels
layout_rules  rules about folders, unpaired sides, HDF5 and LMDB
report        findings, grouped; the report in text and JSON
docs          docs/check.md, made from the tables
"""
