"""Files below one place, local or in an object store, under one interface.

    Store
    ├── LocalStore    a folder
    └── RemoteStore   a prefix of an object store (remote.py)

Names are relative, with "/" between their parts. A file appears under its name whole or not at all.
"""

import errno
import os
import secrets
from io import BufferedReader, FileIO, RawIOBase
from pathlib import Path
from typing import Protocol

from ..files.atomic import sha256_file, storage_errors, write_bytes
from ..files.durable import remove_file
from .location import URL

_BUFFER = 1 << 20  # bytes read at a time: reads are mostly sequential


class Store(Protocol):
    """Reading raises OSError where a file is not there or cannot be read."""

    def names(self) -> list[str]:
        """Every file, sorted; everything but folders counts."""
        ...

    def size(self, name: str) -> int | None:
        """Bytes; None where there is no such file, or something else under its name."""
        ...

    def sizes(self) -> dict[str, int]:
        """Name -> bytes of every regular file."""
        ...

    def open(self, name: str) -> BufferedReader:
        """Opens for reading, seekable."""
        ...

    def open_raw(self, name: str) -> RawIOBase:
        """As `open`, for reads at random: no more is read than asked for, and perhaps less."""
        ...

    def read(self, name: str) -> bytes:
        """The whole file."""
        ...

    def sha256(self, name: str) -> str:
        """sha256 of the whole file; OSError for what is no regular file, as an endless pipe."""
        ...

    def write(self, name: str, data: bytes) -> None:
        """Replaces the file atomically and durably; raises StorageError."""
        ...

    def remove(self, name: str) -> None:
        """Removes the file durably; nothing happens where it is gone already."""
        ...

    def where(self, name: str) -> str:
        """The full path or URL of a file, for messages."""
        ...


class LocalStore:
    """A folder; files are written in `temporary`, on the same file system, and renamed."""

    def __init__(self, root: Path, temporary: Path | None = None) -> None:
        self.root, self._temporary = root, temporary

    def __str__(self) -> str:
        return str(self.root)

    def names(self) -> list[str]:
        paths = (path for path in self.root.rglob("*") if path.is_symlink() or not path.is_dir())
        return sorted(path.relative_to(self.root).as_posix() for path in paths)

    def empty_folders(self) -> list[str]:
        """Folders with nothing in them that may be seen, sorted; an object store has none."""
        folders = (path for path in self.root.rglob("*") if path.is_dir() and not path.is_symlink())
        empty = (path for path in folders if not _holds_anything(path))
        return sorted(path.relative_to(self.root).as_posix() for path in empty)

    def links(self) -> dict[str, str]:
        """Name -> target of every symbolic link."""
        names = (name for name in self.names() if (self.root / name).is_symlink())
        return {name: os.readlink(self.root / name) for name in names}

    def size(self, name: str) -> int | None:
        path = self.root / name
        return path.stat().st_size if path.is_file() else None

    def sizes(self) -> dict[str, int]:
        found = ((name, self.size(name)) for name in self.names())
        return {name: size for name, size in found if size is not None}

    def open(self, name: str) -> BufferedReader:
        return BufferedReader(FileIO(self.root / name), _BUFFER)

    def open_raw(self, name: str) -> RawIOBase:
        return FileIO(self.root / name)

    def read(self, name: str) -> bytes:
        return (self.root / name).read_bytes()

    def sha256(self, name: str) -> str:
        if self.size(name) is None and os.path.lexists(self.root / name):
            raise OSError(errno.EINVAL, "it is not a regular file, or a link to nothing", name)
        return sha256_file(self.root / name)

    def write(self, name: str, data: bytes) -> None:
        temporary = None
        if self._temporary is not None:
            temporary = self._temporary / f"{name}.{secrets.token_hex(4)}.tmp"
        write_bytes(self.root / name, data, temporary)

    def remove(self, name: str) -> None:
        path = self.root / name
        with storage_errors(path):
            remove_file(path)

    def where(self, name: str) -> str:
        return str(self.root / name)


def _holds_anything(folder: Path) -> bool:
    try:
        return any(folder.iterdir())
    except (PermissionError, FileNotFoundError):  # a lost+found; one that has just been removed
        return False


def store_of(place: Path | URL | Store) -> Store:
    """The store at `place`, for reading."""
    if isinstance(place, Path):
        return LocalStore(place)
    if isinstance(place, URL):
        from .remote import open_remote

        return open_remote(place)
    return place
