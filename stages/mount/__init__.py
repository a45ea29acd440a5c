"""Mount: the layouts of export as a read-only file system, served from the shards.

mount       the stage: mounts a corpus and serves it until it is unmounted
fuse        whether FUSE can be used on this machine; unmounting
mountpoint  the folder to mount on: checked, made and removed
operations  the file system operations that the kernel asks for
tree        the files of a layout by path
contents    bytes of files, from the tars
"""
