"""A file and its hash, by as few readings of it as its place allows."""

import contextlib
import hashlib
import io
from collections.abc import Iterator
from typing import BinaryIO

from .store import LocalStore, Store

MOST_KEPT = 64 << 20  # bytes of an object that are kept in memory


@contextlib.contextmanager
def open_hashed(store: Store, name: str) -> Iterator[tuple[str, BinaryIO]]:
    """Gives the sha256 of a file, and the file, open at its start.

    An object of up to MOST_KEPT bytes is sent once, a larger one twice. A local file is read twice
    in a row, so that the system may still have it in memory the second time.

    Raises OSError where the file is not there or cannot be read.
    """
    if not isinstance(store, LocalStore) and (store.size(name) or 0) <= MOST_KEPT:
        data = store.read(name)
        yield hashlib.sha256(data).hexdigest(), io.BytesIO(data)
        return
    digest = store.sha256(name)
    with store.open(name) as file:
        yield digest, file
