"""Refuses small files of many scans, chunks or blanks, with which a decoder spends minutes."""

import re
import struct

from .unusable import Unusable

_MAX_SCANS = 100  # of a JPEG; progressive ones have about 10
_MAX_CHUNKS, _BYTES_OF_CHUNK = 10_000, 1024  # of a PNG: so many, and one for each so many bytes
_MAX_HEADER = 64 << 10  # bytes of a PPM
_SCAN = b"\xff\xda"
_END_OF_IMAGE = 0xD9
# In the data of a scan, 0xff is followed by 0, by the number of a restart, or fills up.
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]", re.DOTALL)
_COMMENT = re.compile(rb"#[^\r\n]*")


def refuse_excess(data: bytes) -> None:
    """Raises Unusable for a JPEG, PNG or PPM that would be decoded for much longer than its size
    and its pixels let expect.
    """
    if data.startswith(b"\xff\xd8"):
        # Previews and films after the image have these bytes too: only then are they looked at.
        if data.count(_SCAN) > _MAX_SCANS and _has_many_scans(data):
            raise Unusable(f"a JPEG of more than {_MAX_SCANS} scans")
    elif data.startswith(b"\x89PNG\r\n\x1a\n"):
        _refuse_chunks(data)
    elif re.match(rb"P[1-7]\s|P[1-7]#", data) and len(data) > _MAX_HEADER:
        needed = 3 if data[1:2] in (b"1", b"4") else 4  # magic number, width, height, maximum
        if len(_COMMENT.sub(b"", data[:_MAX_HEADER]).split(None, needed)) < needed:
            raise Unusable(f"a header of more than {_MAX_HEADER >> 10} KiB")


def _has_many_scans(data: bytes) -> bool:
    place, scans = 2, 0
    while scans <= _MAX_SCANS and (found := _MARKER.search(data, place)):
        place, kind = found.end(), data[found.end() - 1]
        if kind == _END_OF_IMAGE:
            return False
        scans += kind == _SCAN[1]
        place += int.from_bytes(data[place : place + 2], "big")
    return scans > _MAX_SCANS


def _refuse_chunks(data: bytes) -> None:
    allowed, place = _MAX_CHUNKS + len(data) // _BYTES_OF_CHUNK, 8
    for _ in range(allowed):
        if place + 12 > len(data):
            return
        (length,) = struct.unpack_from(">I", data, place)
        place += 12 + length
    raise Unusable(f"a PNG of more than {allowed:,} chunks")
