"""The bounds on what a file may claim, the same for every kind of source.

They are compared with what headers say, before anything of that size is made or read. The size of
the file decides: a file of a few kilobytes that claims a million images is no data set.
"""

import numpy as np

from ...manifests.errors import InputError
from ..images.unusable import Unusable
from .base import MAX_INPUT_BYTES

__all__ = [
    "MAX_EXPANSION",
    "MAX_INPUT_BYTES",
    "MAX_UNPACKED",
    "check_bytes",
    "check_json",
    "check_json_keys",
    "check_label_file",
    "check_rows",
]

# Unpacked, a file may have the larger of these.
MAX_EXPANSION = 200  # times its size
MAX_UNPACKED = 1 << 30  # bytes
# Rows: a byte of the file for each, or so many; and never more than fit into memory.
_ROWS_OF_SMALL_FILES = 100_000
_MAX_ROWS = 20_000_000
# Files of labels, which may be those of a larger set than the source holds.
_LABEL_BYTES, _BYTES_EACH = 64 << 20, 4096
_LABEL_ENTRIES, _ENTRIES_EACH = 2_000_000, 16


def check_bytes(shown: str, unpacked: int, size: int) -> None:
    """Raises InputError where `unpacked` bytes are more than a file of `size` bytes can mean."""
    limit = max(MAX_UNPACKED, MAX_EXPANSION * size)
    if unpacked > limit:
        raise InputError(
            f"{shown} unpacks to more than {limit >> 20:,} MiB, and {MAX_EXPANSION} times its size"
            f" ({size:,} bytes): no images do that. If you trust it, unpack it and name the folder."
        )


def check_label_file(shown: str, data: bytes, images: int) -> None:
    """Raises Unusable for a file of labels that is too large for so many images.

    Parsed, a text takes up to 70 times its size, and an archive holds it in a thousandth: entries
    are counted before anything is parsed.
    """
    bytes_allowed = max(_LABEL_BYTES, _BYTES_EACH * images)
    entries = sum(data.count(each) for each in (b"\n", b"[", b"{"))
    if len(data) > bytes_allowed or entries > max(_LABEL_ENTRIES, _ENTRIES_EACH * images):
        raise Unusable(
            f"{shown} has {len(data):,} bytes and {entries:,} lines or entries, for {images:,}"
            " files: no labels do that"
        )


def check_json_keys(shown: str, data: bytes, images: int) -> None:
    """Raises Unusable for one text of JSON with more keys than so many images have labels.

    A key takes some 300 bytes in memory. Colons in texts are no keys.
    """
    allowed = max(_LABEL_ENTRIES, _ENTRIES_EACH * images)
    if data.count(b":") > allowed and (keys := _outside_texts(data, b":")) > allowed:
        raise Unusable(f"{shown} has {keys:,} keys, for {images:,} files: no labels do that")


def check_json(shown: str, data: bytes, images: int) -> None:
    """As check_json_keys, and for more values in lists than two for each entry allowed."""
    check_json_keys(shown, data, images)
    allowed = 2 * max(_LABEL_ENTRIES, _ENTRIES_EACH * images)
    if data.count(b",") > allowed and (values := _outside_texts(data, b",")) > allowed:
        raise Unusable(f"{shown} has {values:,} values, for {images:,} files: no labels do that")


def _outside_texts(data: bytes, mark: bytes) -> int:
    """How often a character is in JSON outside of its quoted texts."""
    plain = data.replace(rb"\\", b"").replace(rb"\"", b"")
    codes = np.frombuffer(plain, np.uint8)
    inside = np.bitwise_xor.accumulate(codes == ord('"'))
    return int(np.count_nonzero((codes == ord(mark)) & ~inside))


def check_rows(shown: str, rows: int, size: int) -> None:
    """Raises InputError where `rows` images are more than a file of `size` bytes can hold."""
    limit = min(max(_ROWS_OF_SMALL_FILES, size), _MAX_ROWS)
    if rows > limit:
        raise InputError(
            f"{shown} has {size:,} bytes and says that it holds {rows:,} images: more than"
            f" {limit:,} of them are not read. Divide it, if it is right."
        )
