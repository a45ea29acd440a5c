"""Writes a zip of images, stored, with constant times and attributes: equal content, equal bytes.

Written front to back: the standard library's writer goes back to every member's header, which
costs three quarters of the time. Layout after PKWARE's APPNOTE 6.3: local headers with their data,
the central directory sorted by name, and the zip64 records where counts or offsets need them.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from ...manifests.trainers.image_bytes import ShardImages
from ...manifests.trainers.layout import Entry
from ..common.progress import Advance
from .folder import payloads

_BUFFER = 1 << 20
_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")
_END_64 = struct.Struct("<4sQ2H2I4Q")
_LOCATOR_64 = struct.Struct("<4sIQI")
_DATE = 1 << 5 | 1  # 1 January 1980, the earliest that a zip can say
_VERSION, _VERSION_64 = 20, 45  # needed to extract
_UNIX = 3 << 8
_REGULAR_FILE = 0o100644 << 16
_MOST_32, _MOST_16 = 0xFFFFFFFF, 0xFFFF  # stand for "see the zip64 record"


def write_zip(entries: Iterator[Entry], tars: ShardImages, data: Path, advance: Advance) -> None:
    """Writes every entry into the new zip `data`, in their order; the directory is sorted."""
    with open(data, "xb", buffering=_BUFFER) as file:
        archive = ZipWriter(file)
        for path, payload in payloads(entries, tars, advance):
            archive.add(path, payload)
        archive.finish()


@dataclass
class ZipWriter:
    """Stored members, ASCII names, less than 4 GiB each; bytes depend on names and data alone."""

    file: BinaryIO
    size: int = 0  # bytes so far
    members: list[tuple[bytes, int, int, int]] = field(default_factory=list)

    def add(self, name: str, data: bytes) -> None:
        """Writes one member, stored without compression."""
        raw, crc, size = name.encode("ascii"), zlib.crc32(data), len(data)
        self.members.append((raw, crc, size, self.size))
        head = _LOCAL.pack(
            b"PK\x03\x04", _VERSION, 0, 0, 0, _DATE, crc, size, size, len(raw), 0
        )  # fmt: skip
        self.file.write(head + raw)
        self.file.write(data)
        self.size += len(head) + len(raw) + size

    def finish(self) -> None:
        """The central directory, sorted by name, and its end."""
        start = self.size
        for member in sorted(self.members):
            self._write(_directory_entry(*member))
        size, count = self.size - start, len(self.members)
        if count >= _MOST_16 or start >= _MOST_32 or size >= _MOST_32:
            where = self.size
            self._write(
                _END_64.pack(
                    b"PK\x06\x06",
                    _END_64.size - 12,
                    _UNIX | _VERSION_64,
                    _VERSION_64,
                    0,
                    0,
                    count,
                    count,
                    size,
                    start,
                )  # fmt: skip
            )
            self._write(_LOCATOR_64.pack(b"PK\x06\x07", 0, where, 1))
        few, small = min(count, _MOST_16), min(size, _MOST_32)
        self._write(_END.pack(b"PK\x05\x06", 0, 0, few, few, small, min(start, _MOST_32), 0))

    def _write(self, data: bytes) -> None:
        self.file.write(data)
        self.size += len(data)


def _directory_entry(raw: bytes, crc: int, size: int, offset: int) -> bytes:
    version, extra = _VERSION, b""
    if offset >= _MOST_32:
        version, extra = _VERSION_64, struct.pack("<2HQ", 1, 8, offset)
    return (
        _CENTRAL.pack(
            b"PK\x01\x02",
            _UNIX | version,
            version,
            0,
            0,
            0,
            _DATE,
            crc,
            size,
            size,
            len(raw),
            len(extra),
            0,
            0,
            0,
            _REGULAR_FILE,
            min(offset, _MOST_32),
        )  # fmt: skip
        + raw
        + extra
    )
