"""Writers of the layouts, one each; all read the same listing and make one path.

tree     imagefolder, unpaired, stylegan as a folder     archive  stylegan as a zip
arrays   hdf5                                            database lmdb
choice   the options of a layout, which `mount` shares
"""
