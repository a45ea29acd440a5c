"""SHA256SUMS: writes it as `sha256sum -c` reads it, and parses it."""

import os
import re
from collections.abc import Mapping

SUMS = "SHA256SUMS"
_LINE = re.compile(rb"([0-9a-f]{64})  ([^\r\n\\]+)\n")


def render_sums(hashes: Mapping[str, str]) -> bytes:
    """The lines of these files (name -> sha256), sorted by name."""
    return b"".join(os.fsencode(f"{hashes[name]}  {name}\n") for name in sorted(hashes))


def parse_sums(raw: bytes) -> dict[str, str]:
    """File name -> sha256 of every line that is one; `render_sums` of it equals an intact file."""
    return {os.fsdecode(name): digest.decode() for digest, name in _LINE.findall(raw)}
