"""Checks the lmdb target: {side}-{index:05d} -> image file, length -> ASCII count; in data.mdb.

LMDB maps the file and trusts it: a damaged one ends the process, and no error can be caught. So the
header is compared with the file's size (a short copy is the usual damage), as ingest does; then
another process reads everything first.
"""

import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from ....manifests.extras import require
from ....manifests.trainers.spec import TrainerSpec
from ...common.progress import Progress
from ...images.input import Input
from ...sources.arrays import header_damage, open_database
from ...sources.base import MAX_INPUT_BYTES
from ..image_facts import ImageFacts, decode_all
from ..images import check_images
from ..report import CheckFindings

DATA = "data.mdb"
_KEY = re.compile(rb"(\d{1,6})-(\d{5,})")
# Keys and values are copied, so that every page is touched.
_READ_EVERYTHING = """
import sys, lmdb
with lmdb.open(sys.argv[1], readonly=True, lock=False, readahead=False) as environment:
    with environment.begin() as transaction:
        for key, value in transaction.cursor():
            pass
"""
_LONGEST_COUNT = 12  # digits


@dataclass
class LmdbContents:
    """What a database holds, and what is wrong with it for every reader."""

    problems: list[tuple[str, str, str]] = field(default_factory=list)  # rule, file, found
    images: dict[int, list[tuple[str, ImageFacts]]] = field(
        default_factory=dict
    )  # by side in the key

    def add(self, rule: str, file: str, found: str = "") -> None:
        """Adds a problem; `file`: a key, or the file's name."""
        self.problems.append((rule, file, found))


def read_lmdb(path: Path, progress: Progress) -> LmdbContents:
    """Reads the database in the folder `path` and decodes every image.

    Raises:
        ConfigError: lmdb is not installed.
    """
    lmdb = require("lmdb", "export", "check of an LMDB")
    contents = LmdbContents()
    if not path.is_dir():
        contents.add("lmdb-is-file", path.name)
        return contents
    if damage := header_damage(path / DATA) or _signal_of_reading(path):
        contents.add("lmdb-damaged", DATA, damage)
        return contents
    try:
        with open_database(path / DATA) as environment:
            with environment.begin(buffers=False) as transaction:
                _read(transaction, contents, progress)
    except lmdb.Error as error:
        contents.add("lmdb-damaged", DATA, str(error)[:120])
    return contents


def _signal_of_reading(path: Path) -> str:
    """The signal that ends a process which reads everything, as a reason; "" where none does."""
    command = [sys.executable, "-P", "-c", _READ_EVERYTHING, str(path)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True)
    if done.returncode >= 0:  # errors that Python can raise are reported later, by name
        return ""
    return f"reading it ends the process with {signal.Signals(-done.returncode).name}"


def check_lmdb(
    contents: LmdbContents, spec: TrainerSpec, findings: CheckFindings
) -> dict[str, Any]:
    """Adds what is wrong for this reader; returns the facts, those of the largest side."""
    for problem in contents.problems:
        findings.add(*problem)
    known: dict[str, Any] = {}
    for side in sorted(contents.images):
        known = check_images(contents.images[side], spec, findings)
        known |= {"side": side, "labels": "none, this format has no labels"}
    return known


def _read(transaction: Any, contents: LmdbContents, progress: Progress) -> None:
    sides: Counter[int] = Counter()
    for key in transaction.cursor().iternext(keys=True, values=False):
        match = _KEY.fullmatch(key)
        if match and str(int(match[2])).zfill(5).encode() == match[2]:
            sides[int(match[1])] += 1
        elif key != b"length":
            contents.add("lmdb-odd-key", key[:60].decode("ascii", "backslashreplace"))
    count = _length(transaction, sides, contents)
    if not sides:
        contents.add("no-images", DATA, "no key of the form SIDE-INDEX")
        return
    names = list(_keys(transaction, sides, count, contents))
    # The transaction stays in this thread; only bytes go to those that decode.
    items = ((name, _input(name, transaction.get(name.encode()))) for name in names)
    for name, facts in decode_all(items, len(names), progress):
        side = int(name.split("-")[0])
        if facts.problem is None and (facts.width, facts.height) != (side, side):
            contents.add("lmdb-size", name, facts.size)
        contents.images.setdefault(side, []).append((name, facts))


def _length(transaction: Any, sides: Counter[int], contents: LmdbContents) -> int | None:
    """The count under `length`, None if it does not say one; compares it with the keys."""
    raw = transaction.get(b"length")
    if raw is None:
        contents.add("lmdb-length", "length", "the key is missing")
        return None
    if not raw.isdigit() or len(raw) > _LONGEST_COUNT:
        contents.add("lmdb-length", "length", f"{raw[:20]!r} is no ASCII number")
        return None
    count = int(raw)
    for side, keys in sides.items():
        if keys != count:
            contents.add("lmdb-length", "length", f"says {count:,}; there are {keys:,} of {side}")
    return count


def _keys(
    transaction: Any, sides: Counter[int], count: int | None, contents: LmdbContents
) -> Iterator[str]:
    """The keys that are there, in the order of the images; names those that are not."""
    for side, there in sides.items():
        # A length out of all proportion is one finding, not a billion.
        wanted = there if count is None else min(count, 2 * there + 1000)
        for index in range(wanted):
            name = f"{side}-{index:05d}"
            if transaction.get(name.encode()) is None:
                contents.add("lmdb-key-missing", name)
            else:
                yield name


def _input(name: str, value: bytes) -> Input:
    large = len(value) > MAX_INPUT_BYTES
    refused = f"larger than {MAX_INPUT_BYTES >> 20} MiB" if large else None
    return Input(name, partial(bytes, value), refused)
