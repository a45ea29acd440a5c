"""What `mount` is made of.

tree   the files of a layout by path, compactly        images  their bytes, out of open tars
files  the operations that the kernel asks for         fuse    the package, the library, the right
place  the folder that is mounted on
"""
