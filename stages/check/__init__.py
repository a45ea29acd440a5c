"""check: says whether a trainer can read a corpus to its end, before it trains.

check        check_corpus, the one public function: a path and a target or trainer -> results
file_index   which files a folder or a zip has
image_facts  what one image file is: size, mode, whether it is whole
images       rules over all images of a corpus       labels  rules over dataset.json
readers/     one module a target: stylegan, imagefolder, unpaired, hdf5, lmdb
rule, rules  the rules: severity, what the trainer does, the remedy (image_rules, layout_rules)
report       findings, grouped by rule; names that are safe to print
docs         docs/check.md, made from the rules and the table of trainers
"""
