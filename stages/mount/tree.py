"""Indexes the files of a layout by path, in arrays: about 80 bytes a file, so that millions fit.

A file is a number, a row of `FileTable`; a folder holds the sorted names of its files and finds one
by bisection. Nothing here opens a tar.
"""

from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ...manifests.trainers.layout import Entry, Slice

_HASH = 32  # bytes of a sha256
_Contents = dict[str, tuple[list[bytes], "array[int]"]]  # folder -> names and numbers of its files
ROOT = 1  # inode number of the root, as everywhere


@dataclass
class FileTable:
    """Every file by number: where its bytes lie."""

    shards: list[str] = field(default_factory=list)  # names by code
    shard: "array[int]" = field(default_factory=lambda: array("i"))  # code, -1: in `literals`
    offset: "array[int]" = field(default_factory=lambda: array("q"))
    size: "array[int]" = field(default_factory=lambda: array("q"))  # as stored
    digests: bytearray = field(default_factory=bytearray)  # sha256 of each, one after the other
    literals: dict[int, bytes] = field(default_factory=dict)  # number -> content
    to_rgb: bool = False  # images are gray in the tars, and read as RGB

    def __len__(self) -> int:
        return len(self.shard)

    def sha256(self, number: int) -> bytes:
        """The 32 bytes of a file's sha256."""
        return bytes(self.digests[number * _HASH : (number + 1) * _HASH])


@dataclass(frozen=True, eq=False)
class MountFolder:
    """One folder: its files and the folders in it."""

    inode: int
    parent: int  # inode of the folder that it is in; the root is in itself
    names: NDArray[np.bytes_]  # of its files, sorted
    numbers: NDArray[np.int64]  # rows of the table, by position in `names`
    folders: dict[str, "MountFolder"]

    def number(self, name: str) -> int | None:
        """The file of that name in this folder."""
        raw = name.encode("utf-8", "surrogateescape")
        if not len(self.names) or len(raw) > self.names.itemsize:
            return None
        place = int(self.names.searchsorted(np.bytes_(raw)))
        if place == len(self.names) or self.names[place] != raw:
            return None
        return int(self.numbers[place])


@dataclass(frozen=True, eq=False)
class MountTree:
    """All files and folders; paths begin with "/", as in the kernel's calls."""

    table: FileTable
    folders: dict[str, MountFolder]  # by path, "" for the root

    def find(self, path: str) -> MountFolder | int | None:
        """A folder, the number of a file, or None where there is neither."""
        path = path.rstrip("/")
        folder = self.folders.get(path)
        if folder is not None:
            return folder
        above, _, name = path.rpartition("/")
        parent = self.folders.get(above)
        return None if parent is None else parent.number(name)

    def inode(self, number: int) -> int:
        """Inode number of a file; those of folders come first."""
        return ROOT + len(self.folders) + number

    def files(self) -> Iterator[tuple[str, int]]:
        """(path, number) of every file, folder by folder, sorted."""
        for above, folder in self.folders.items():
            for name, number in zip(folder.names.tolist(), folder.numbers.tolist(), strict=True):
                yield f"{above}/{name.decode()}", number


def build_tree(entries: Iterable[Entry]) -> MountTree:
    """The tree of a listing's entries, whose paths are ASCII and differ."""
    table = FileTable()
    codes: dict[str, int] = {}
    contents: _Contents = {"": ([], array("q"))}
    for path, payload, to_rgb in entries:
        above, _, name = f"/{path}".rpartition("/")
        if above not in contents:
            for place in _with_parents(above):
                contents.setdefault(place, ([], array("q")))
        names, numbers = contents[above]
        names.append(name.encode("ascii"))
        numbers.append(len(table))
        table.to_rgb |= to_rgb
        _append(table, payload, codes)
    table.shards = list(codes)
    return MountTree(table, _folders(contents))


def _append(table: FileTable, payload: Slice | bytes, codes: dict[str, int]) -> None:
    if isinstance(payload, Slice):
        table.shard.append(codes.setdefault(payload.shard, len(codes)))
        table.offset.append(payload.offset)
        table.size.append(payload.size)
        table.digests += bytes.fromhex(payload.sha256)
    else:
        table.literals[len(table)] = payload
        table.shard.append(-1)
        table.offset.append(0)
        table.size.append(len(payload))
        table.digests += bytes(_HASH)


def _with_parents(path: str) -> Iterator[str]:
    """ "/a/b" -> "/a/b", "/a"."""
    while path:
        yield path
        path = path.rpartition("/")[0]


def _folders(contents: _Contents) -> dict[str, MountFolder]:
    """Folder by path, sorted; those inside each by name."""
    folders: dict[str, MountFolder] = {}
    for inode, path in enumerate(sorted(contents), ROOT):
        names, numbers = contents[path]
        sorted_ = np.array(names, np.bytes_) if names else np.empty(0, "S1")
        order = np.argsort(sorted_, kind="stable")
        ordered = np.array(numbers, np.int64)[order]
        above, _, name = path.rpartition("/")
        parent = folders[above].inode if path else ROOT
        folders[path] = MountFolder(inode, parent, sorted_[order], ordered, {})
        if path:
            folders[above].folders[name] = folders[path]
    return folders
