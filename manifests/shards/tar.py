"""The tar of a shard: written so that its bytes depend on names and data alone, and read back.

USTAR with constant times and owners, members in a given order. Readers do not notice a tar that is
cut off between members, so reading back compares with the manifest's rows.
"""

import hashlib
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import pyarrow as pa

from ..files.json_reader import parse_json
from ..plan.schema import MANIFEST, SAMPLE_FIELDS

_BLOCK = 1 << 20  # bytes that are written and hashed together
_MOST_KEYS = 5  # damaged samples named per shard
_MOST_TEXT = 16 << 20  # bytes of a label or a sample's JSON that are read
_SINGLE_PRECISION = (
    pa.float32(),
    pa.list_(pa.float32()),
)  # columns with less precision than JSON's numbers


@dataclass
class TarWriter:
    """USTAR archive whose bytes depend on names and data alone; hashed and counted."""

    file: BinaryIO
    digest: Any = field(default_factory=hashlib.sha256)
    size: int = 0  # bytes so far
    _pending: list[bytes] = field(default_factory=list)  # not yet written
    _pending_size: int = 0

    def add(self, name: str, data: bytes) -> int:
        """Appends a member; returns the offset of its data."""
        offset = self.size + tarfile.BLOCKSIZE
        self._write(header(name, len(data)), data, _ZEROS[: -len(data) % tarfile.BLOCKSIZE])
        return offset

    def finish(self) -> None:
        """Writes two empty blocks, padded to a whole record as tar(1) does."""
        end = 2 * tarfile.BLOCKSIZE
        self._write(bytes(end + -(self.size + end) % tarfile.RECORDSIZE))
        self._flush()

    def _write(self, *parts: bytes) -> None:
        self._pending += parts
        size = sum(map(len, parts))
        self._pending_size += size
        self.size += size
        if self._pending_size >= _BLOCK:
            self._flush()

    def _flush(self) -> None:
        """Writes and hashes in large blocks: each call yields to other threads and waits."""
        data = b"".join(self._pending)
        self._pending, self._pending_size = [], 0
        self.file.write(data)
        self.digest.update(data)


def header(name: str, size: int) -> bytes:
    """USTAR header of a file, 512 bytes: equal to tarfile's, in a tenth of the time.

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
# Checksum of all but name and size, with blanks in the checksum's own place.
_REST = sum(_TEMPLATE) - sum(_TEMPLATE[_SIZE]) - sum(_TEMPLATE[_CHECKSUM]) + 8 * ord(" ")


def damaged_images(source: Path | BinaryIO, rows: list[dict[str, Any]]) -> Iterator[str]:
    """Names the samples whose image bytes are damaged, in a tar whose hash differs."""
    hit = []
    with _open(source) as tar:
        for row in rows:
            tar.seek(row["offset"])
            if hashlib.sha256(tar.read(row["size"])).hexdigest() != row["sha256"]:
                hit.append(row["key"])
    if not hit:
        yield f"is damaged outside its {len(rows)} images"
        return
    more = ", ..." if len(hit) > _MOST_KEYS else ""
    yield f"has damage in {len(hit)} of {len(rows)} images: {', '.join(hit[:_MOST_KEYS])}{more}"


def compare_members(source: Path | BinaryIO, rows: list[dict[str, Any]]) -> Iterator[str]:
    """Compares every member of a tar with the manifest's rows; yields what differs, and bytes that
    no reader of samples sees. Reads the tar once, from its beginning to its end."""
    keys: list[str] = []
    members: dict[str, _Member] = {}  # of the sample that is read
    differences = []
    with _open(source) as file, tarfile.open(fileobj=file, mode="r:") as tar:
        place = 0
        for member in tar:
            key, _, extension = member.name.partition(".")
            if not keys or keys[-1] != key:
                differences += _of_sample(keys, members, rows)
                keys.append(key)
                members = {}
            yield from _wrong_header(file, member, place)
            row = rows[len(keys) - 1] if len(keys) <= len(rows) else None
            members[extension] = _read_member(file, member, row)
            yield from _hidden_in_padding(file, member)
            place = _end_of(member)
        differences += _of_sample(keys, members, rows)
        yield from _hidden_after(file, place)
    if keys != [row["key"] for row in rows]:
        yield "has other samples than the manifest, or in another order"
    else:
        yield from differences


class _Member(NamedTuple):
    """A file of a sample."""

    offset: int  # of its first byte
    size: int
    data: bytes | None  # None: it is larger than the manifest allows


def _read_member(file: BinaryIO, member: tarfile.TarInfo, row: dict[str, Any] | None) -> _Member:
    largest = max(_MOST_TEXT, row["size"]) if row is not None else _MOST_TEXT
    data = None
    if member.size <= largest:
        file.seek(member.offset_data)
        data = file.read(member.size)
    return _Member(member.offset_data, member.size, data)


def _of_sample(
    keys: list[str], members: Mapping[str, _Member], rows: list[dict[str, Any]]
) -> list[str]:
    """What differs in the last sample of `keys`, if it has a row."""
    if not 0 < len(keys) <= len(rows):
        return []
    wrong = _differences(members, rows[len(keys) - 1])
    return [f"sample {keys[-1]} does not agree with the manifest: {', '.join(wrong)}"] * bool(wrong)


def _end_of(member: tarfile.TarInfo) -> int:
    """Where the next header is due."""
    return member.offset_data + member.size + -member.size % tarfile.BLOCKSIZE


def _wrong_header(file: BinaryIO, member: tarfile.TarInfo, place: int) -> Iterator[str]:
    """Names bytes before and in the header that the writer did not put there.

    place: where the header is due.
    """
    file.seek(member.offset)
    found = file.read(tarfile.BLOCKSIZE)
    if member.offset != place or found != header(member.name, member.size):
        yield f"has other bytes in or before the header of {member.name} than a shard has"


def _hidden_in_padding(file: BinaryIO, member: tarfile.TarInfo) -> Iterator[str]:
    file.seek(member.offset_data + member.size)
    padding = -member.size % tarfile.BLOCKSIZE
    if file.read(padding) != bytes(padding):
        yield f"has data in the padding after {member.name}"


def _hidden_after(file: BinaryIO, place: int) -> Iterator[str]:
    """Names bytes after the last member but the empty blocks of `TarWriter.finish`."""
    file.seek(place)
    size = 2 * tarfile.BLOCKSIZE
    size += -(place + size) % tarfile.RECORDSIZE
    if file.read(size + 1) != bytes(size):
        yield "has data after the end of the archive, or another end than a shard has"


def _open(source: Path | BinaryIO) -> AbstractContextManager[BinaryIO]:
    """Opens a path for the block; a file that is open already stays open."""
    return open(source, "rb") if isinstance(source, Path) else nullcontext(source)


def _differences(members: Mapping[str, _Member], row: dict[str, Any]) -> list[str]:
    images = members.keys() - {"cls", "json"}
    labelled = {"cls"} if row["class_id"] >= 0 else set()
    if len(images) != 1 or members.keys() - images != labelled | {"json"}:
        return [f"members are {sorted(members)}"]

    (name,) = images
    image = members[name]
    placed = (image.offset, image.size) == (row["offset"], row["size"])
    checks = (
        ("offset or size of the image", placed),
        ("image", hashlib.sha256(image.data or b"").hexdigest() == row["sha256"]),
        ("cls", not labelled or members["cls"].data == str(row["class_id"]).encode()),
        ("json", _json_matches(members["json"].data or b"", row)),
    )
    return [name for name, holds in checks if not holds]


def _json_matches(text: bytes, row: dict[str, Any]) -> bool:
    """KEY.json against the manifest row, whose norms and soft label have single precision."""
    try:
        fields = parse_json(text)
    except ValueError:
        return False
    wanted = {name: row[name] for name in SAMPLE_FIELDS if row[name] is not None}
    if not isinstance(fields, dict) or fields.keys() != wanted.keys():
        return False
    if any(type(fields[name]) is not SAMPLE_FIELDS[name] for name in wanted):
        return False
    return all(_as_stored(name, fields[name]) == value for name, value in wanted.items())


def _as_stored(name: str, value: Any) -> Any:
    return np.float32(value).tolist() if MANIFEST.field(name).type in _SINGLE_PRECISION else value
