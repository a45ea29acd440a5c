"""Checks the lmdb target: {side}-{index:05d} -> image file, length -> ASCII count; in data.mdb.

LMDB maps the file and trusts it: a damaged one ends the process, and no error can be caught. So the
header is compared with the file's size (a short copy is the usual damage), and a child process with
limits reads everything first, and then each image, as ingest does it (sources/isolation.py).
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from ....manifests.errors import InputError
from ....manifests.extras import require
from ....manifests.trainers.spec import TrainerSpec
from ...common.progress import Progress
from ...images.input import Input
from ...images.unusable import Unusable
from ...sources import isolation
from ...sources.arrays import header_damage, open_environment, read_lmdb_value
from ...sources.base import SourceFile, source_file
from ...sources.isolation import isolated
from ...sources.limits import check_rows
from ..image_facts import ImageFacts, decode_all
from ..images import check_images
from ..report import CheckFindings

DATA = "data.mdb"
_KEY = re.compile(rb"(\d{1,6})-(\d{5,})")
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
    require("lmdb", "export", "check of an LMDB")
    contents = LmdbContents()
    if not path.is_dir():
        contents.add("lmdb-is-file", path.name)
        return contents
    if damage := header_damage(path / DATA):
        contents.add("lmdb-damaged", DATA, damage)
        return contents
    try:
        file = source_file(str(path / DATA), DATA)
        keys, length = isolated(file, _list_keys)
        _read(file, keys, length, contents, progress)
    except (Unusable, InputError, OSError) as error:
        contents.add("lmdb-damaged", DATA, str(error)[:120])
    finally:
        isolation.close()
    return contents


def _list_keys(file: SourceFile) -> tuple[list[bytes], bytes | None]:
    """Every key, and what `length` holds; every page is read."""
    environment = open_environment(file)
    with environment.begin(buffers=False) as transaction:
        entries = environment.stat()["entries"]
        check_rows(file.shown, entries, file.size)
        # One more than there should be: a damaged tree may lead round in a circle.
        keys = [key for key, _ in islice(transaction.cursor(), entries + 1)]
        return keys, transaction.get(b"length")


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


def _read(
    file: SourceFile,
    keys: list[bytes],
    length: bytes | None,
    contents: LmdbContents,
    progress: Progress,
) -> None:
    sides: Counter[int] = Counter()
    for key in keys:
        match = _KEY.fullmatch(key)
        if match and str(int(match[2])).zfill(5).encode() == match[2]:
            sides[int(match[1])] += 1
        elif key != b"length":
            contents.add("lmdb-odd-key", key[:60].decode("ascii", "backslashreplace"))
    count = _length(length, sides, contents)
    if not sides:
        contents.add("no-images", DATA, "no key of the form SIDE-INDEX")
        return
    names = list(_names(set(keys), sides, count, contents))
    items = (
        (name, Input(name, partial(isolated, file, read_lmdb_value, name.encode())))
        for name in names
    )
    for name, facts in decode_all(items, len(names), progress):
        side = int(name.split("-")[0])
        if facts.problem is None and (facts.width, facts.height) != (side, side):
            contents.add("lmdb-size", name, facts.size)
        contents.images.setdefault(side, []).append((name, facts))


def _length(raw: bytes | None, sides: Counter[int], contents: LmdbContents) -> int | None:
    """The count under `length`, None if it does not say one; compares it with the keys."""
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


def _names(
    keys: set[bytes], sides: Counter[int], count: int | None, contents: LmdbContents
) -> Iterator[str]:
    """The keys that are there, in the order of the images; names those that are not."""
    for side, there in sides.items():
        # A length out of all proportion is one finding, not a billion.
        wanted = there if count is None else min(count, 2 * there + 1000)
        for index in range(wanted):
            name = f"{side}-{index:05d}"
            if name.encode() in keys:
                yield name
            else:
                contents.add("lmdb-key-missing", name)
