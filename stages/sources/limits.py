"""The bounds on what a file may claim, the same for every kind of source.

They are compared with what headers say, before anything of that size is made or read. The size of
the file decides: a file of a few kilobytes that claims a million images is no data set.
"""

from ...manifests.errors import InputError
from .base import MAX_INPUT_BYTES

__all__ = ["MAX_EXPANSION", "MAX_INPUT_BYTES", "MAX_UNPACKED", "check_bytes", "check_rows"]

# Unpacked, a file may have the larger of these.
MAX_EXPANSION = 200  # times its size
MAX_UNPACKED = 1 << 30  # bytes
# Rows: a byte of the file for each, or so many; and never more than fit into memory.
_ROWS_OF_SMALL_FILES = 100_000
_MAX_ROWS = 20_000_000


def check_bytes(shown: str, unpacked: int, size: int) -> None:
    """Raises InputError where `unpacked` bytes are more than a file of `size` bytes can mean."""
    limit = max(MAX_UNPACKED, MAX_EXPANSION * size)
    if unpacked > limit:
        raise InputError(
            f"{shown} unpacks to more than {limit >> 20:,} MiB, and {MAX_EXPANSION} times its size"
            f" ({size:,} bytes): no images do that. If you trust it, unpack it and name the folder."
        )


def check_rows(shown: str, rows: int, size: int) -> None:
    """Raises InputError where `rows` images are more than a file of `size` bytes can hold."""
    limit = min(max(_ROWS_OF_SMALL_FILES, size), _MAX_ROWS)
    if rows > limit:
        raise InputError(
            f"{shown} has {size:,} bytes and says that it holds {rows:,} images: more than"
            f" {limit:,} of them are not read. Divide it, if it is right."
        )
