"""The lmdb target: {side}-{index:05d} -> encoded image, length -> ASCII count; a folder, data.mdb.

A data.mdb that is shorter than its own header says would end the process with SIGBUS, so the
header is read and compared with the file's size before LMDB maps it.
"""

import re
import struct
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from ...manifests.errors import ConfigError
from ..progress import Progress
from ..sources import MAX_INPUT_BYTES
from .facts import looked_at
from .findings import Findings
from .images import judge_images
from .listing import Member
from .needs import Need

DATA = "data.mdb"
_KEY = re.compile(rb"(\d{1,6})-(\d{5,})")
_MAGIC = 0xBEEFC0DE
# A meta page of 64-bit LMDB: page header 16 bytes; magic, version (u32); address, map size (u64);
# two databases of 48 bytes, the first beginning with the page size (u32); last page, txn (u64).
_META = struct.Struct("<16x I I Q Q I 44x 48x Q Q")
_LONGEST_COUNT = 12  # digits


def judge_lmdb(path: Path, need: Need, findings: Findings, progress: Progress) -> dict[str, Any]:
    """Adds what is wrong with the database in the folder `path`; returns the facts.

    Raises:
        ConfigError: lmdb is not installed.
    """
    lmdb = _import()
    if not path.is_dir():
        findings.add("lmdb-is-file", path.name)
        return {}
    if damage := header_damage(path / DATA):
        findings.add("lmdb-damaged", DATA, damage)
        return {}
    try:
        # Without the lock nothing is written: no lock.mdb beside somebody else's data.
        with lmdb.open(str(path), readonly=True, lock=False, readahead=False) as environment:
            with environment.begin(buffers=False) as transaction:
                return _judge(transaction, need, findings, progress)
    except lmdb.Error as error:
        findings.add("lmdb-damaged", DATA, str(error)[:120])
        return {}


def _import() -> Any:
    try:
        import lmdb
    except ImportError as error:
        raise ConfigError(
            f"Reading an LMDB takes lmdb, and that could not be imported ({error}). Install it:"
            ' pip install "scoremix-pipeline[export]"'
        ) from error
    return lmdb


def header_damage(data: Path) -> str:
    """Why the file must not be mapped, "" if it may: it has a header and all of its pages."""
    try:
        size = data.stat().st_size
        with open(data, "rb") as file:
            first = file.read(_META.size)
            if len(first) < _META.size:
                return f"{size} bytes: too short for a header"
            _, _, _, _, page, _, _ = _META.unpack(first)
            if not 512 <= page <= 65536:
                return f"a page size of {page}"
            file.seek(page)
            second = file.read(_META.size)
    except OSError as error:
        return f"cannot be opened: {error.strerror}"
    metas = [_META.unpack(one) for one in (first, second) if len(one) == _META.size]
    known = [meta for meta in metas if meta[0] == _MAGIC]
    if not known:
        return "no LMDB header"
    last, transaction = max((meta[5:] for meta in known), key=lambda pair: pair[1])
    needed = (last + 1) * page
    return f"{size:,} bytes, and its header says {needed:,}" if size < needed else ""


def _judge(transaction: Any, need: Need, findings: Findings, progress: Progress) -> dict[str, Any]:
    sides: Counter[int] = Counter()
    for key in transaction.cursor().iternext(keys=True, values=False):
        match = _KEY.fullmatch(key)
        if match and str(int(match[2])).zfill(5).encode() == match[2]:
            sides[int(match[1])] += 1
        elif key != b"length":
            findings.add("lmdb-odd-key", key[:60].decode("ascii", "backslashreplace"))
    count = _length(transaction, sides, findings)
    if not sides:
        findings.add("no-images", DATA, "no key of the form SIDE-INDEX")
        return {}
    names = list(_keys(transaction, sides, count, findings))
    # The transaction stays in this thread; only bytes go to those that decode.
    items = ((name, _member(name, transaction.get(name.encode()))) for name in names)
    found = looked_at(items, len(names), progress)
    images = []
    for name, facts in found:
        side = int(name.split("-")[0])
        if facts.problem is None and (facts.width, facts.height) != (side, side):
            findings.add("lmdb-size", name, facts.size)
        images.append((name, facts))
    known: dict[str, Any] = {}
    for side in sorted(sides):  # the facts are those of the largest
        inside = [image for image in images if image[0].startswith(f"{side}-")]
        known = judge_images(inside, need, findings)
    return known | {"side": max(sides), "labels": "none, this format has no labels"}


def _length(transaction: Any, sides: Counter[int], findings: Findings) -> int | None:
    """The count under `length`, None if it does not say one; compares it with the keys."""
    raw = transaction.get(b"length")
    if raw is None:
        findings.add("lmdb-length", "length", "the key is missing")
        return None
    if not raw.isdigit() or len(raw) > _LONGEST_COUNT:
        findings.add("lmdb-length", "length", f"{raw[:20]!r} is no ASCII number")
        return None
    count = int(raw)
    for side, keys in sides.items():
        if keys != count:
            findings.add("lmdb-length", "length", f"says {count:,}; there are {keys:,} of {side}")
    return count


def _keys(
    transaction: Any, sides: Counter[int], count: int | None, findings: Findings
) -> Iterator[str]:
    """The keys that are there, in the order of the images; names those that are not."""
    for side, there in sides.items():
        # A length out of all proportion is one finding, not a billion.
        wanted = there if count is None else min(count, 2 * there + 1000)
        for index in range(wanted):
            name = f"{side}-{index:05d}"
            if transaction.get(name.encode()) is None:
                findings.add("lmdb-key-missing", name)
            else:
                yield name


def _member(name: str, value: bytes) -> Member:
    large = len(value) > MAX_INPUT_BYTES
    refused = f"larger than {MAX_INPUT_BYTES >> 20} MiB" if large else None
    return Member(name, partial(bytes, value), refused)
