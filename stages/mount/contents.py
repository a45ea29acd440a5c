"""Reads the bytes of a mounted corpus from tars that stay open, from several threads at once.

No torn data is served. An open tar keeps its content when another file takes its name; a tar that
is written to is noticed by its size and time; an image is compared with its hash in the manifest
before it is first served. A failure is an I/O error for the reader and a line in the log, until a
repair has put a sound tar in the place of the damaged one.
"""

import contextlib
import errno
import hashlib
import logging
import os
import resource
import threading
from array import array
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ...manifests.errors import ConfigError, VerifyError
from ...manifests.published.index import read_index
from ...manifests.shards.shard import check_shard_name
from ...manifests.trainers.image_bytes import rgb_png
from ...manifests.trainers.layout import ExportListing
from .tree import FileTable

logger = logging.getLogger(__name__)

_OTHER_FILES = 64  # file descriptors kept free for what is not a tar
_ENCODED = 64 << 20  # bytes of RGB images that are kept between a size and its read


@dataclass(frozen=True)
class OpenTar:
    """One tar as it was opened; its descriptor stays open, since reads may be under way."""

    descriptor: int
    size: int
    changed: int  # its modification time, in ns
    inode: tuple[int, int]  # device and inode number
    generation: int  # 1 for the first, one more for each that took its name

    def is_unchanged(self) -> bool:
        """Whether nobody has written to it since."""
        found = os.fstat(self.descriptor)
        return (found.st_size, found.st_mtime_ns) == (self.size, self.changed)


class OpenTars:
    """The tars of a tree by code; reads raise OSError EIO once a tar is not what it was."""

    def __init__(self, shards: Path, names: list[str]) -> None:
        self.shards, self.names = shards, names
        self._tars: list[OpenTar] = []
        self._replaced: list[OpenTar] = []
        self._reported: set[int] = set()
        self._lock = threading.Lock()
        try:
            for name in names:
                self._tars.append(self._open(name, 1))
        except OSError:
            self.close()
            raise

    def current(self, code: int) -> OpenTar:
        """The tar that is read now."""
        return self._tars[code]

    def read(self, code: int, tar: OpenTar, offset: int, size: int) -> bytes:
        """`size` bytes of a tar from `offset`; raises OSError EIO where it was written to."""
        data = os.pread(tar.descriptor, size, offset)
        # Afterwards, so that a change in the middle of the read is seen too.
        if len(data) != size or not tar.is_unchanged():
            if code not in self._reported:
                self._reported.add(code)
                logger.error(
                    "%s.tar was changed while it is mounted: its images cannot be read until it is "
                    "repaired or made again. If another plan replaces it, mount anew.",
                    self.shards / self.names[code],
                )
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return data

    def reopen(self, code: int, tar: OpenTar) -> bool:
        """Whether another file of the same size has the name of `tar` by now, as after a repair;
        it is read from then on. What is read from it must be verified again."""
        with self._lock:
            if self._tars[code] is not tar:
                return True  # another thread was faster
            try:
                found = self._open(self.names[code], tar.generation + 1)
            except OSError:
                return False
            if found.inode == tar.inode or found.size != self._tars[code].size:
                os.close(found.descriptor)
                return False
            self._replaced.append(tar)
            self._tars[code] = found
            self._reported.discard(code)
            return True

    def size(self, code: int) -> int:
        """Bytes of the tar when it was opened."""
        return self._tars[code].size

    def close(self) -> None:
        """Closes every tar."""
        for tar in (*self._tars, *self._replaced):
            os.close(tar.descriptor)
        self._tars, self._replaced = [], []

    def _open(self, name: str, generation: int) -> OpenTar:
        path = self.shards / f"{check_shard_name(name)}.tar"
        descriptor = os.open(path, os.O_RDONLY)
        found = os.fstat(descriptor)
        inode = (found.st_dev, found.st_ino)
        return OpenTar(descriptor, found.st_size, found.st_mtime_ns, inode, generation)


@contextlib.contextmanager
def open_listed_tars(listing: ExportListing, names: list[str]) -> Iterator[OpenTars]:
    """All tars of the listing that `names` names, held open until the end of the block.

    Raises VerifyError unless they are those that the listing was made from.
    """
    _raise_file_limit(len(names))
    try:
        tars = OpenTars(listing.shards, names)
    except OSError as error:
        raise VerifyError(
            f"{error.filename} cannot be opened ({error.strerror}). "
            f"`scoremix-pipeline verify {listing.shards}` names everything that is wrong."
        ) from error
    try:
        _check_same(listing, tars)
        yield tars
    finally:
        tars.close()


def _check_same(listing: ExportListing, tars: OpenTars) -> None:
    index = read_index(listing.shards)
    if index["index_digest"] != listing.index_digest:
        raise VerifyError(
            f"{listing.shards} was published again meanwhile. Run the same command again."
        )
    promised = {entry["url"]: entry["filesize"] for entry in index["shardlist"]}
    for code, name in enumerate(tars.names):
        if tars.size(code) != promised[f"{name}.tar"]:
            raise VerifyError(
                f"{listing.shards / name}.tar has {tars.size(code):,} bytes, and "
                f"{promised[f'{name}.tar']:,} are promised. "
                f"`scoremix-pipeline verify {listing.shards}` names everything that is wrong."
            )


def _raise_file_limit(count: int) -> None:
    """Raises the soft limit of open files to what the tars need."""
    wanted = count + _OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or wanted <= soft:
        return
    if hard != resource.RLIM_INFINITY and wanted > hard:
        raise ConfigError(
            f"The corpus has {count:,} tars, and this system lets a process open {hard:,} files. "
            f"Raise the limit (`ulimit -Hn {wanted}` as root), use a smaller --ratio, or export."
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


class ImageStore:
    """Content of the files of a table."""

    def __init__(self, table: FileTable, tars: OpenTars) -> None:
        self._table, self._tars = table, tars
        self._verified = array("I", [0]) * len(table)  # generation of the tar that it was read from
        self._reported: set[tuple[int, int]] = set()  # damaged ones by generation, logged once each
        # Of images as RGB, which have no size before they are encoded.
        self._sizes = array("q", [-1]) * len(table) if table.to_rgb else table.size
        self._encoded: OrderedDict[int, bytes] = OrderedDict()
        self._encoded_bytes = 0
        self._lock = threading.Lock()
        for number, data in table.literals.items():
            self._sizes[number] = len(data)

    def size(self, number: int) -> int:
        """Bytes of a file as it is read; a gray image that is served as RGB is encoded for it."""
        if self._sizes[number] < 0:
            self._rgb(number)
        return self._sizes[number]

    def read(self, number: int, offset: int, size: int) -> bytes:
        """Bytes of a file, fewer at its end. Raises OSError EIO for what is damaged."""
        if number in self._table.literals:
            return self._table.literals[number][offset : offset + size]
        if self._table.to_rgb:
            return self._rgb(number)[offset : offset + size]
        tar = self._tars.current(self._table.shard[number])
        if self._verified[number] == tar.generation:
            size = max(0, min(size, self._table.size[number] - offset))
            try:
                return self._part(number, tar, offset, size) if size else b""
            except OSError:
                if not self._tars.reopen(self._table.shard[number], tar):
                    raise
        return self._whole(number)[offset : offset + size]

    def total(self) -> int:
        """Bytes of all files, as they are stored."""
        return sum(self._table.size)

    def _part(self, number: int, tar: OpenTar, offset: int, size: int) -> bytes:
        table = self._table
        return self._tars.read(table.shard[number], tar, table.offset[number] + offset, size)

    def _whole(self, number: int) -> bytes:
        """The image's bytes, verified. Where they are damaged, the file that has the tar's name by
        now is tried: repair makes a new one."""
        code = self._table.shard[number]
        while True:
            tar = self._tars.current(code)
            try:
                return self._verify(number, tar)
            except OSError:
                if not self._tars.reopen(code, tar):
                    raise

    def _verify(self, number: int, tar: OpenTar) -> bytes:
        data = self._part(number, tar, 0, self._table.size[number])
        if hashlib.sha256(data).digest() != self._table.sha256(number):
            if (number, tar.generation) not in self._reported:
                self._reported.add((number, tar.generation))
                name = self._tars.names[self._table.shard[number]]
                logger.error(
                    "An image in %s.tar, at byte %d, is damaged: it cannot be read. "
                    "`scoremix-pipeline verify %s` names everything that is wrong. After "
                    "`repair` it is served again; after another run or `forget`, mount anew.",
                    self._tars.shards / name,
                    self._table.offset[number],
                    self._tars.shards,
                )
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        self._verified[number] = tar.generation
        return data

    def _rgb(self, number: int) -> bytes:
        """The image as RGB; equal input gives equal bytes, so that it may be encoded again."""
        with self._lock:
            data = self._encoded.get(number)
            if data is not None:
                self._encoded.move_to_end(number)
                return data
        data = rgb_png(self._whole(number))
        with self._lock:
            self._sizes[number] = len(data)
            if number not in self._encoded:
                self._encoded[number] = data
                self._encoded_bytes += len(data)
            while self._encoded_bytes > _ENCODED and len(self._encoded) > 1:
                self._encoded_bytes -= len(self._encoded.popitem(last=False)[1])
        return data
