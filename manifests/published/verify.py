"""verify: reads every byte of a corpus and names the files that are changed, missing or extra.

Hashes are recorded in three places: SHA256SUMS; index.json (for all files but itself, and it has a
digest of its own content); the markers, for tar and Parquet. So a damaged file is distinguished
from a damaged record. A file is parsed only if a record has the hash of its bytes.

`deep` also decodes every image. A `Partition` reads the tars and Parquet files of some shards; all
partitions together read everything, and each reads every metadata file.
"""

import os
import tarfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from ..errors import ScoreMixError
from ..files.atomic import json_bytes, read_parquet
from ..foreign_text import printable
from ..plan.plan import group_by_shard, rows_digest
from ..plan.schema import MANIFEST, PLAN
from ..shards.shard import Marker
from ..shards.tar import compare_members, damaged_images
from ..storage.once import open_hashed
from ..storage.store import LocalStore, Store, store_of
from .class_check import contradicted_keys
from .index import INDEX, index_entries_of_shards, indexed_hashes, parse_index
from .names import is_counted, is_own
from .owner import OWNER, parse_owner
from .partition import Partition
from .pixel_check import wrong_pixels
from .sums import SUMS, parse_sums, render_sums

_EXTRA, _FOREIGN = "is extra", "is foreign"


@dataclass(frozen=True)
class Problem:
    """One file of a corpus that is not what it should be."""

    file: str  # name below the corpus folder
    what: str

    @property
    def is_unlisted(self) -> bool:
        """Whether it is a file or folder too many, which nothing mends but removing it."""
        return self.what.startswith((_EXTRA, _FOREIGN))

    def __str__(self) -> str:
        return f"{self.file}: {self.what}"


@dataclass
class _VerifyState:
    store: Store
    deep: bool = False
    skipped: set[str] = field(default_factory=set)  # files of other partitions that are there
    tars: frozenset[str] = frozenset()  # to be read
    sums: dict[str, str] = field(default_factory=dict)  # of SHA256SUMS
    indexed: dict[str, str] = field(default_factory=dict)  # of an intact index.json
    actual: dict[str, str] = field(default_factory=dict)  # of the bytes that are there
    index: dict[str, Any] | None = None  # if intact
    problems: list[Problem] = field(default_factory=list)

    def report(self, file: str, what: str) -> None:
        name = os.fsencode(file).decode(errors="backslashreplace")
        self.problems.append(Problem(printable(name, line=True), what))

    def is_trusted(self, name: str) -> bool:
        """Whether SHA256SUMS or index.json has the hash of the bytes that are there."""
        actual = self.actual.get(name)
        return actual is not None and actual in (self.sums.get(name), self.indexed.get(name))


def verify(
    shards: Path | Store, *, deep: bool = False, part: Partition | None = None
) -> list[Problem]:
    """Every problem of a published corpus, sorted by file; an empty list means it is whole.

    Never raises for damaged contents. Each tar is hashed and then, where a record has that hash,
    read member by member, with `deep` image by image, before the pool takes another one.
    Litter of file browsers and network file systems (names.py) is no problem.
    part: read only these tars and Parquet files; of the others, check presence and size.
    """
    state = _VerifyState(store_of(shards), deep)
    if isinstance(shards, Path) and not shards.is_dir():
        return [Problem(".", f"{shards} is not a folder")]
    names = [name for name in state.store.names() if name not in (SUMS, OWNER)]
    if part is not None:
        sizes = state.store.sizes()
        state.skipped = {name for name in part.other_files(names) if name in sizes}
        names = [name for name in names if name not in state.skipped]
    state.tars = frozenset(name for name in names if name.endswith(".tar"))
    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        _hash_all(state, [name for name in names if name not in state.tars], pool)
        _read_index(state)
        _read_sums(state)
        _check_owner(state)
        _check_folders(state)
        _check_contents(state, pool)
        _hash_all(state, sorted(state.tars - state.actual.keys()), pool)
        _compare(state)
    return sorted(set(state.problems), key=lambda problem: (problem.file, problem.what))


def _hash_all(state: _VerifyState, names: list[str], pool: ThreadPoolExecutor) -> None:
    def hash_or_report(name: str) -> str:
        try:
            return state.store.sha256(name)
        except OSError as error:
            state.report(name, f"cannot be read: {error.strerror or error}")
            return ""

    state.actual |= dict(zip(names, pool.map(hash_or_report, names), strict=True))


def _read_index(state: _VerifyState) -> None:
    """Trusts index.json if it is in canonical form and agrees with its own digest."""
    if not state.actual.get(INDEX):
        return
    try:
        state.index = parse_index(state.store.read(INDEX))
        state.indexed = indexed_hashes(state.index)
    except ValueError as error:
        state.report(INDEX, str(error))


def _read_sums(state: _VerifyState) -> None:
    if state.store.size(SUMS) is None:
        state.report(SUMS, "is missing: the corpus was not finished or is being changed")
        return
    raw = state.store.read(SUMS)
    state.sums = parse_sums(raw)
    if not raw or render_sums(state.sums) != raw:
        state.report(SUMS, "was changed: it is not in the form in which it is written")


def _check_owner(state: _VerifyState) -> None:
    """The record of the owner is no part of the corpus, but damage to it is damage."""
    try:
        parse_owner(state.store.read(OWNER))
    except FileNotFoundError:
        return  # a copy without it, or shards of an earlier version
    except (OSError, ValueError) as error:
        state.report(OWNER, str(error))


def _check_folders(state: _VerifyState) -> None:
    """Folders that hold files are seen by these."""
    if isinstance(state.store, LocalStore):
        try:
            found = state.store.empty_folders()
        except OSError as error:
            state.report(str(error.filename), f"cannot be read: {error.strerror}")
            return
        for name in found:
            if is_counted(name):
                state.report(name, "is foreign: a folder, and a corpus has none")


def _not_listed(name: str) -> str:
    return _EXTRA if is_own(name) else _FOREIGN


def _compare(state: _VerifyState) -> None:
    """Every file that is there or recorded, against the recorded hashes."""
    known = state.sums.keys() | state.indexed.keys()
    for name in state.skipped - known if known else ():
        state.report(name, f"{_not_listed(name)}: neither {SUMS} nor {INDEX} names it")
    there = {name for name in state.actual if is_counted(name)}
    for name in (there | known) - state.skipped - {SUMS}:
        actual = state.actual.get(name)
        summed, indexed = state.sums.get(name), state.indexed.get(name)
        matches = (actual is not None and actual == indexed) or (
            name == INDEX and state.index is not None
        )
        if actual is None:
            state.report(name, "is missing")
        elif summed is None and state.sums and not matches:
            state.report(name, f"{_not_listed(name)}: {SUMS} does not list it")
        elif summed is not None and actual != summed and not matches:
            state.report(name, f"was changed: sha256 is {actual}, {SUMS} says {summed}")
        elif indexed is not None and actual != indexed:
            state.report(name, f"is not what {INDEX} promises: sha256 is {actual}, not {indexed}")
        elif state.index is not None and indexed is None and name != INDEX:
            state.report(name, f"{_not_listed(name)}: {INDEX} does not name it")
        wrong = summed != indexed if indexed is not None else matches and summed != actual
        if state.sums and wrong:
            state.report(SUMS, f"has a wrong line for {name}, or none")
    if state.index is not None:
        for name in state.sums.keys() - state.indexed.keys() - {INDEX}:
            state.report(SUMS, f"lists {name}, which {INDEX} does not name")


def _check_contents(state: _VerifyState, pool: ThreadPoolExecutor) -> None:
    """Plan, manifest, shards and index against each other."""
    plan = _table(state, "plan.parquet", PLAN)
    manifest = _table(state, "manifest.parquet", MANIFEST)
    if plan is not None and state.index is not None:
        if rows_digest(plan) != state.index["plan_digest"]:
            state.report("plan.parquet", f"is not the plan that {INDEX} names")
    if manifest is None:
        return
    if plan is not None and rows_digest(plan) != rows_digest(manifest):
        state.report("manifest.parquet", "has other plan columns than plan.parquet")
    keys = manifest["key"].to_pylist()
    if len(set(keys)) != len(keys):
        state.report("manifest.parquet", "has a key more than once")
    try:
        parts = group_by_shard(manifest)
    except ScoreMixError as error:
        state.report("manifest.parquet", str(error))
        return
    _check_new_classes(state, manifest)
    markers = list(pool.map(lambda part: _check_shard(state, *part), parts.items()))
    _check_index(state, manifest, markers)


def _check_new_classes(state: _VerifyState, manifest: pa.Table) -> None:
    if state.index is None or "new_classes" not in state.index:
        return
    try:
        wrong = list(contradicted_keys(state.index, manifest))
    except ValueError as error:
        state.report(INDEX, str(error))
        return
    if wrong:
        named = f"{', '.join(wrong[:5])}{', ...' if len(wrong) > 5 else ''}"
        what = f"lists new classes that {len(wrong)} samples contradict: {named}"
        state.report(INDEX, what)


def _check_index(state: _VerifyState, manifest: pa.Table, markers: list[Marker | None]) -> None:
    if state.index is None or not all(markers):
        return
    known = [marker for marker in markers if marker is not None]
    if state.index["shardlist"] != index_entries_of_shards(state.store, known):
        state.report(INDEX, "lists other shards than the manifest and the markers")
    kinds = manifest["kind"].to_pylist()
    counts = {"real": kinds.count("real"), "augmented": kinds.count("augmented")}
    counts |= {"samples": len(kinds), "shards": len(known)}
    ratio = max(marker.round for marker in known)
    if (state.index["counts"], state.index["ratio"]) != (counts, ratio):
        state.report(INDEX, f"counts are not those of the manifest: {counts}, ratio {ratio}")


def _table(state: _VerifyState, name: str, schema: pa.Schema) -> pa.Table | None:
    if not state.is_trusted(name):
        return None
    try:
        table = read_parquet(state.store.read(name))
    except (pa.ArrowException, OSError, ValueError) as error:
        state.report(name, f"cannot be read as Parquet: {error}")
        return None
    if not table.schema.equals(schema):
        state.report(name, "has other columns than its schema")
        return None
    return table


def _check_shard(state: _VerifyState, name: str, rows: pa.Table) -> Marker | None:
    """Tar, Parquet and marker of a shard against its manifest rows; returns an intact marker."""
    if f"{name}.tar" in state.tars:
        _check_tar(state, f"{name}.tar", rows.to_pylist())
    table = _table(state, f"{name}.parquet", MANIFEST)
    if table is not None and not table.equals(rows):
        state.report(f"{name}.parquet", "has other rows than manifest.parquet")
    return _check_marker(state, name, rows)


def _check_tar(state: _VerifyState, file: str, rows: list[dict[str, Any]]) -> None:
    """Hash, members and, with `deep`, pixels of a tar."""
    try:
        with open_hashed(state.store, file) as (digest, tar):
            state.actual[file] = digest
            check = compare_members if state.is_trusted(file) else damaged_images
            for what in check(tar, rows):
                state.report(file, what)
            if state.deep and state.is_trusted(file):
                for what in wrong_pixels(tar, rows):
                    state.report(file, what)
    except (OSError, tarfile.TarError, ValueError, TypeError) as error:
        state.actual.setdefault(file, "")
        reason = getattr(error, "strerror", None) or error
        state.report(file, f"cannot be read: {reason}")


def _check_marker(state: _VerifyState, name: str, rows: pa.Table) -> Marker | None:
    file = f"{name}.json"
    if not state.is_trusted(file):
        return None
    raw = state.store.read(file)
    try:
        marker = Marker.parse(raw)
    except ValueError as error:
        state.report(file, f"cannot be read as a marker: {error}")
        return None
    first, last = rows.slice(0, 1).to_pylist()[0], rows.slice(rows.num_rows - 1).to_pylist()[0]
    wanted = {
        "shard": name,
        "round": first["round"],
        "kind": first["kind"],
        "samples": rows.num_rows,
        "first_key": first["key"],
        "last_key": last["key"],
        "rows_digest": rows_digest(rows),
        "recipe_digest": first["recipe_digest"],
    }
    wrong = [key for key, value in wanted.items() if getattr(marker, key) != value]
    if wrong or rows["recipe_digest"].unique().to_pylist() != [marker.recipe_digest]:
        state.report(file, f"does not agree with the manifest: {wrong or ['recipe_digest']}")
    if json_bytes(asdict(marker)) != raw:
        state.report(file, "is not in the form in which markers are written")
    for extension, facts in (("tar", marker.tar), ("parquet", marker.parquet)):
        other = f"{name}.{extension}"
        size, skipped = state.store.size(other), other in state.skipped
        if size is not None and not skipped and state.actual.get(other) != facts.sha256:
            state.report(other, "is not the file that its marker committed")
        elif size is not None and size != facts.size:
            if skipped:
                state.report(other, f"has another size than {file} says")
            else:
                state.report(file, f"has a wrong size for {other}")
    return marker
