"""Implements the file operations of the mount as a plain class; nothing here needs FUSE.

Names, attributes and content never change, so the kernel caches them. `open` returns ENOSYS, after
which the kernel no longer calls it; opening and reading a cached image does not wake this process.
"""

import errno
import os
import stat
import threading
from collections.abc import Callable, Iterator

from .contents import ImageStore
from .tree import MountFolder, MountTree

_FOLDER = stat.S_IFDIR | 0o555
_FILE = stat.S_IFREG | 0o444
_BLOCK = 512  # bytes, the unit of st_blocks whatever the file system's own


def failure(code: int) -> OSError:
    """An OSError with this errno."""
    return OSError(code, os.strerror(code))


class FuseOperations:
    """A read-only file tree. Paths begin with "/"; errors are OSError with the errno to answer.

    Called by many threads at once. That writing is refused (EROFS) is the mount option `ro`.
    """

    use_ns = True  # times are whole nanoseconds; all are 0

    def __init__(self, tree: MountTree, images: ImageStore, exit_fuse: Callable[[], None]) -> None:
        """`exit_fuse` ends the service; it is called inside an operation after `closing` is set."""
        self.ready = threading.Event()
        self.closing = False
        self._tree, self._images, self._exit_fuse = tree, images, exit_fuse
        self._owner = {"st_uid": os.geteuid(), "st_gid": os.getegid()}
        self._totals = {
            "f_bsize": _BLOCK,
            "f_frsize": _BLOCK,
            "f_blocks": -(-images.total() // _BLOCK),
            "f_files": len(tree.table),
            "f_namemax": 255,
        }

    def init(self, path: str) -> None:
        """Called by libfuse once the mount can be read."""
        self.ready.set()

    def getattr(self, path: str | None, fh: int | None = None) -> dict[str, int]:
        """Attributes of a file or folder; ENOENT where there is none."""
        found = self._find(path)
        if isinstance(found, MountFolder):
            links = 2 + len(found.folders)
            return {"st_mode": _FOLDER, "st_ino": found.inode, "st_nlink": links, **self._owner}
        size = self._images.size(found)
        return {
            "st_mode": _FILE,
            "st_ino": self._tree.inode(found),
            "st_nlink": 1,
            "st_size": size,
            "st_blocks": -(-size // _BLOCK),
            **self._owner,
        }

    def readdir(self, path: str | None, fh: int) -> Iterator[tuple[str, dict[str, int], int]]:
        """(name, attributes, 0) of every entry; ENOTDIR for a file."""
        folder = self._find(path)
        if not isinstance(folder, MountFolder):
            raise failure(errno.ENOTDIR)
        for name, inode in ((".", folder.inode), ("..", folder.parent)):
            yield name, {"st_mode": _FOLDER, "st_ino": inode}, 0
        for name, inner in folder.folders.items():
            yield name, {"st_mode": _FOLDER, "st_ino": inner.inode}, 0
        first = self._tree.inode(0)
        for raw, number in zip(folder.names.tolist(), folder.numbers.tolist(), strict=True):
            yield raw.decode("ascii"), {"st_mode": _FILE, "st_ino": first + number}, 0

    def open(self, path: str, flags: int) -> int:
        """Always ENOSYS: the kernel then opens files without asking."""
        raise failure(errno.ENOSYS)

    def read(self, path: str | None, size: int, offset: int, fh: int) -> bytes:
        """At most `size` bytes from `offset`; EISDIR for a folder."""
        found = self._find(path)
        if isinstance(found, MountFolder):
            raise failure(errno.EISDIR)
        return self._images.read(found, offset, size)

    def statfs(self, path: str) -> dict[str, int]:
        """Totals of the tree; ends the service where `closing` is set."""
        if self.closing:
            self._exit_fuse()
        return self._totals

    def _find(self, path: str | None) -> MountFolder | int:
        found = self._tree.find(path or "/")
        if found is None:
            raise failure(errno.ENOENT)
        return found
