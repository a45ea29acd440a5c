"""SHA256SUMS: writes it as `sha256sum -c` reads it, parses it, and hashes files for it."""

import errno
import os
import re
from collections.abc import Mapping

from ..storage.store import Store

SUMS = "SHA256SUMS"
_LINE = re.compile(rb"([0-9a-f]{64})  ([^\r\n\\]+)\n")


def render_sums(hashes: Mapping[str, str]) -> bytes:
    """The lines of these files (name -> sha256), sorted by name."""
    return b"".join(os.fsencode(f"{hashes[name]}  {name}\n") for name in sorted(hashes))


def parse_sums(raw: bytes) -> dict[str, str]:
    """File name -> sha256 of every line that is one; `render_sums` of it equals an intact file."""
    return {os.fsdecode(name): digest.decode() for digest, name in _LINE.findall(raw)}


def hash_file(store: Store, name: str) -> str:
    """sha256 of a file below `store`.

    Raises:
        OSError: it cannot be read, or is no regular file (reading a pipe would never end).
    """
    if store.size(name) is None:
        raise OSError(errno.EINVAL, "it is not a regular file, or a link to nothing", name)
    return store.sha256(name)
