"""Reads the bytes of a mounted corpus from tars that stay open, from several threads at once.

No torn data is served. An open tar keeps its content when another file takes its name; a tar that
is written to is noticed by its size and time; an image is compared with its hash in the manifest
before it is first served. A failure is an I/O error for the reader and a line in the log.
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


class OpenTars:
    """The tars of a tree by code; reads raise OSError EIO once a tar is not what it was."""

    def __init__(self, shards: Path, names: list[str]) -> None:
        self.shards, self.names = shards, names
        self._descriptors: list[int] = []
        self._stats: list[tuple[int, int]] = []
        self._reported: set[int] = set()
        try:
            for name in names:
                tar = shards / f"{check_shard_name(name)}.tar"
                self._descriptors.append(os.open(tar, os.O_RDONLY))
                self._stats.append(self._stat(len(self._stats)))
        except OSError:
            self.close()
            raise

    def read(self, code: int, offset: int, size: int) -> bytes:
        """`size` bytes of the tar from `offset`; raises OSError EIO where the tar was changed."""
        data = os.pread(self._descriptors[code], size, offset)
        # Afterwards, so that a change in the middle of the read is seen too.
        if len(data) != size or self._stat(code) != self._stats[code]:
            if code not in self._reported:
                self._reported.add(code)
                logger.error(
                    "%s.tar was changed while it is mounted: its images cannot be read any more. "
                    "Unmount, finish the run, and mount again.",
                    self.shards / self.names[code],
                )
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return data

    def size(self, code: int) -> int:
        """Bytes of the tar when it was opened."""
        return self._stats[code][0]

    def close(self) -> None:
        """Closes every tar."""
        for descriptor in self._descriptors:
            os.close(descriptor)
        self._descriptors = []

    def _stat(self, code: int) -> tuple[int, int]:
        found = os.fstat(self._descriptors[code])
        return found.st_size, found.st_mtime_ns


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
        self._verified = bytearray(len(table))
        self._reported: set[int] = set()  # damaged ones, each logged once
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
        if self._verified[number]:
            size = max(0, min(size, self._table.size[number] - offset))
            return self._stored(number, offset, size) if size else b""
        return self._whole(number)[offset : offset + size]

    def total(self) -> int:
        """Bytes of all files, as they are stored."""
        return sum(self._table.size)

    def _stored(self, number: int, offset: int, size: int) -> bytes:
        table = self._table
        return self._tars.read(table.shard[number], table.offset[number] + offset, size)

    def _whole(self, number: int) -> bytes:
        data = self._stored(number, 0, self._table.size[number])
        if hashlib.sha256(data).digest() != self._table.sha256(number):
            if number not in self._reported:
                self._reported.add(number)
                name = self._tars.names[self._table.shard[number]]
                logger.error(
                    "An image in %s.tar, at byte %d, is damaged: it cannot be read. "
                    "`scoremix-pipeline verify %s` names everything that is wrong.",
                    self._tars.shards / name,
                    self._table.offset[number],
                    self._tars.shards,
                )
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        self._verified[number] = 1
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
