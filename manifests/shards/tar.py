"""The tar of a shard: written so that its bytes depend on names and data alone, and read back.

USTAR with constant times and owners, members in a given order. Truncation on a member's boundary
is read silently by every reader, so reading back compares with the manifest's rows.
"""

import hashlib
import json
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa

from ..plan.schema import MANIFEST, SAMPLE_FIELDS

_AT_ONCE = 1 << 20  # bytes of a tar that are written and hashed together
_NAMED = 5  # damaged samples named per shard
_SINGLE = (pa.float32(), pa.list_(pa.float32()))  # columns with less precision than JSON's numbers


@dataclass
class TarWriter:
    """USTAR archive whose bytes depend on names and data alone; hashed and counted on the way."""

    file: BinaryIO
    digest: Any = field(default_factory=hashlib.sha256)
    size: int = 0  # bytes so far
    _held: list[bytes] = field(default_factory=list)  # not written yet
    _held_size: int = 0

    def add(self, name: str, data: bytes) -> int:
        """Appends a member; returns the offset of its data."""
        offset = self.size + tarfile.BLOCKSIZE
        self._write(header(name, len(data)), data, _ZEROS[: -len(data) % tarfile.BLOCKSIZE])
        return offset

    def finish(self) -> None:
        """Two empty blocks, filled up to a whole record as tar(1) does."""
        end = 2 * tarfile.BLOCKSIZE
        self._write(bytes(end + -(self.size + end) % tarfile.RECORDSIZE))
        self._flush()

    def _write(self, *parts: bytes) -> None:
        self._held += parts
        size = sum(map(len, parts))
        self._held_size += size
        self.size += size
        if self._held_size >= _AT_ONCE:
            self._flush()

    def _flush(self) -> None:
        """Much at once: each hash and write lets the encoders' threads in, and waits for them."""
        data = b"".join(self._held)
        self._held, self._held_size = [], 0
        self.file.write(data)
        self.digest.update(data)


def header(name: str, size: int) -> bytes:
    """USTAR header of a file: what tarfile makes of it, at a tenth of the time.

    Raises:
        ValueError: a name of more than 100 bytes, or too large a file.
    """
    encoded = name.encode("ascii")
    if len(encoded) > _NAME or size >= 8**11:
        raise ValueError(f"{name!r} of {size} bytes does not fit into a USTAR header")
    length = b"%011o\0" % size
    check = b"%06o\0 " % (_REST + sum(encoded) + sum(length))
    return b"".join((encoded.ljust(_NAME, b"\0"), _BEFORE, length, _BETWEEN, check, _AFTER))


def _template() -> bytes:
    member = tarfile.TarInfo("")
    member.mode = 0o644
    return member.tobuf(tarfile.USTAR_FORMAT, "ascii", "strict")


_TEMPLATE = _template()
_NAME = 100  # bytes; POSIX.1-1988
_SIZE, _CHECKSUM = slice(124, 136), slice(148, 156)
_BEFORE, _BETWEEN, _AFTER = _TEMPLATE[_NAME:124], _TEMPLATE[136:148], _TEMPLATE[156:]
_ZEROS = bytes(tarfile.BLOCKSIZE)
# Of a checksum, which is taken with blanks in its place: all but the name and the size.
_REST = sum(_TEMPLATE) - sum(_TEMPLATE[_SIZE]) - sum(_TEMPLATE[_CHECKSUM]) + 8 * ord(" ")


def damaged_images(source: Path | BinaryIO, rows: list[dict[str, Any]]) -> Iterator[str]:
    """Of a tar that is not what it was: the samples whose image bytes are hit."""
    hit = []
    with _opened(source) as tar:
        for row in rows:
            tar.seek(row["offset"])
            if hashlib.sha256(tar.read(row["size"])).hexdigest() != row["sha256"]:
                hit.append(row["key"])
    more = ", ..." if len(hit) > _NAMED else ""
    yield f"has damage in {len(hit)} of {len(rows)} images: {', '.join(hit[:_NAMED])}{more}"


def compare_members(source: Path | BinaryIO, rows: list[dict[str, Any]]) -> Iterator[str]:
    """Every member of a tar against the manifest's rows."""
    samples: list[tuple[str, dict[str, tarfile.TarInfo]]] = []
    with _opened(source) as file, tarfile.open(fileobj=file, mode="r:") as tar:
        for member in tar:
            key, _, extension = member.name.partition(".")
            if not samples or samples[-1][0] != key:
                samples.append((key, {}))
            samples[-1][1][extension] = member
        if [key for key, _ in samples] != [row["key"] for row in rows]:
            yield "has other samples than the manifest, or in another order"
            return
        for (key, members), row in zip(samples, rows, strict=True):
            wrong = _sample_faults(tar, members, row)
            if wrong:
                yield f"sample {key} does not agree with the manifest: {', '.join(wrong)}"


def _opened(source: Path | BinaryIO) -> AbstractContextManager[BinaryIO]:
    """The file itself is closed with the block; one that was open stays so."""
    return open(source, "rb") if isinstance(source, Path) else nullcontext(source)


def _sample_faults(
    tar: tarfile.TarFile, members: Mapping[str, tarfile.TarInfo], row: dict[str, Any]
) -> list[str]:
    images = members.keys() - {"cls", "json"}
    labelled = {"cls"} if row["class_id"] >= 0 else set()
    if len(images) != 1 or members.keys() - images != labelled | {"json"}:
        return [f"members are {sorted(members)}"]

    def data(extension: str) -> bytes:
        file = tar.extractfile(members[extension])
        return file.read() if file else b""

    (image,) = images
    placed = (members[image].offset_data, members[image].size) == (row["offset"], row["size"])
    checks = (
        ("offset or size of the image", placed),
        ("image", hashlib.sha256(data(image)).hexdigest() == row["sha256"]),
        ("cls", not labelled or data("cls") == str(row["class_id"]).encode()),
        ("json", _agrees(data("json"), row)),
    )
    return [name for name, holds in checks if not holds]


def _agrees(text: bytes, row: dict[str, Any]) -> bool:
    """KEY.json against the manifest row, whose norms and soft label have single precision."""
    try:
        fields = json.loads(text)
    except ValueError:
        return False
    wanted = {name: row[name] for name in SAMPLE_FIELDS if row[name] is not None}
    if not isinstance(fields, dict) or fields.keys() != wanted.keys():
        return False
    if any(type(fields[name]) is not SAMPLE_FIELDS[name] for name in wanted):
        return False
    return all(_single(name, fields[name]) == value for name, value in wanted.items())


def _single(name: str, value: Any) -> Any:
    return np.float32(value).tolist() if MANIFEST.field(name).type in _SINGLE else value
