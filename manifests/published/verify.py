"""Reads a corpus back, every byte of it, and says what is wrong.

Three witnesses know every file's hash: SHA256SUMS; index.json (for all but itself, and it has a
digest of itself); the markers, for tar and Parquet. So a damaged file is told from a damaged
witness. A file's contents are parsed only if a witness vouches for its bytes.

`deep` also decodes every image. A `Part` reads the tars and Parquet files of some of the shards;
all parts together read everything, and each reads every small file.
"""

import json
import os
import re
import tarfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from ..errors import ScoreMixError
from ..files.atomic import json_bytes, read_parquet
from ..plan.plan import group_by_shard, rows_digest
from ..plan.schema import MANIFEST, PLAN
from ..shards.shard import Marker
from ..shards.tar import compare_members, damaged_images
from ..storage.store import Store, store_of
from .index import INDEX, indexed_hashes, shard_entries
from .index import index_digest as digest_of_index
from .partition import Partition
from .pixel_check import wrong_pixels
from .publish import SUMS, render_sums

_COMPARED = ("shardlist", "plan_digest", "counts", "ratio")  # fields of the index
_LINE = re.compile(rb"([0-9a-f]{64})  ([^\r\n\\]+)\n")


@dataclass(frozen=True)
class Problem:
    file: str  # name below the corpus folder
    what: str

    def __str__(self) -> str:
        return f"{self.file}: {self.what}"


@dataclass
class _VerifyState:
    shards: Store
    deep: bool = False
    unread: set[str] = field(default_factory=set)  # of other parts; they are there
    sums: dict[str, str] = field(default_factory=dict)  # as SHA256SUMS says
    promised: dict[str, str] = field(default_factory=dict)  # as a sound index.json says
    found: dict[str, str] = field(default_factory=dict)  # as read
    index: dict[str, Any] | None = None  # if sound
    problems: list[Problem] = field(default_factory=list)

    def report(self, file: str, what: str) -> None:
        printable = os.fsencode(file).decode(errors="backslashreplace")
        self.problems.append(Problem(printable, what))

    def sound(self, name: str) -> bool:
        """Whether a witness vouches for the bytes as read."""
        seen = self.found.get(name)
        return seen is not None and seen in (self.sums.get(name), self.promised.get(name))


def verify(
    shards: Path | Store, *, deep: bool = False, part: Partition | None = None
) -> list[Problem]:
    """Every problem of a published corpus, sorted by file; an empty list means it is whole.

    Never raises for damaged contents. Reads each tar twice: once to hash, once member by member.
    part: read these tars and Parquet files alone; of the others, whether they are there and have
        the size that their marker says.
    """
    findings = _VerifyState(store_of(shards), deep)
    if isinstance(shards, Path) and not shards.is_dir():
        return [Problem(".", f"{shards} is not a folder")]
    names = [name for name in findings.shards.names() if name != SUMS]
    if part is not None:
        sizes = findings.shards.sizes()
        findings.unread = {name for name in part.left_out(names) if name in sizes}
        names = [name for name in names if name not in findings.unread]
    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        _hash_all(findings, names, pool)
        _read_index(findings)
        _read_sums(findings)
        _compare(findings)
        _check_contents(findings, pool)
    return sorted(set(findings.problems), key=lambda problem: (problem.file, problem.what))


def _hash_all(findings: _VerifyState, names: list[str], pool: ThreadPoolExecutor) -> None:
    def hashed(name: str) -> str | None:
        if findings.shards.size(name) is None:  # a pipe would wait for ever
            findings.report(name, "is not a regular file, or a link to nothing")
            return None
        try:
            return findings.shards.sha256(name)
        except OSError as error:
            findings.report(name, f"cannot be read: {error.strerror or error}")
            return None

    found = zip(names, pool.map(hashed, names), strict=True)
    findings.found = {name: digest or "" for name, digest in found}


def _read_index(findings: _VerifyState) -> None:
    """Takes index.json as a witness if it is in canonical form and agrees with its own digest."""
    if not findings.found.get(INDEX):
        return
    raw = findings.shards.read(INDEX)
    try:
        index = json.loads(raw)
        if json_bytes(index) == raw and index["index_digest"] == digest_of_index(index):
            findings.promised = indexed_hashes(index)
            findings.index = {name: index[name] for name in _COMPARED}
            return
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        findings.report(INDEX, "cannot be read as the index of a corpus")
        return
    findings.report(INDEX, "was changed: it does not agree with the digest inside it")


def _read_sums(findings: _VerifyState) -> None:
    if findings.shards.size(SUMS) is None:
        findings.report(SUMS, "is missing: the corpus was not finished or is being changed")
        return
    raw = findings.shards.read(SUMS)
    lines = _LINE.findall(raw)
    findings.sums = {os.fsdecode(name): digest.decode() for digest, name in lines}
    if not raw or render_sums(findings.sums) != raw:
        findings.report(SUMS, "was changed: it is not in the form in which it is written")


def _compare(findings: _VerifyState) -> None:
    """Every file that is there or that a witness names, against the witnesses."""
    known = findings.sums.keys() | findings.promised.keys()
    for name in findings.unread - known if known else ():
        findings.report(name, f"is extra: neither {SUMS} nor {INDEX} names it")
    for name in (findings.found.keys() | known) - findings.unread - {SUMS}:
        seen = findings.found.get(name)
        listed, promised = findings.sums.get(name), findings.promised.get(name)
        matches = (seen is not None and seen == promised) or (
            name == INDEX and findings.index is not None
        )
        if seen is None:
            findings.report(name, "is missing")
        elif listed is None and findings.sums and not matches:
            findings.report(name, f"is extra: {SUMS} does not list it")
        elif listed is not None and seen != listed and not matches:
            findings.report(name, f"was changed: sha256 is {seen}, {SUMS} says {listed}")
        elif promised is not None and seen != promised:
            findings.report(name, f"is not what {INDEX} promises: sha256 is {seen}, not {promised}")
        elif findings.index is not None and promised is None and name != INDEX:
            findings.report(name, f"is extra: {INDEX} does not name it")
        wrong = listed != promised if promised is not None else matches and listed != seen
        if findings.sums and wrong:
            findings.report(SUMS, f"has a wrong line for {name}, or none")
    if findings.index is not None:
        for name in findings.sums.keys() - findings.promised.keys() - {INDEX}:
            findings.report(SUMS, f"lists {name}, which {INDEX} does not name")


def _check_contents(findings: _VerifyState, pool: ThreadPoolExecutor) -> None:
    """What the files say, against each other."""
    plan = _table(findings, "plan.parquet", PLAN)
    manifest = _table(findings, "manifest.parquet", MANIFEST)
    if plan is not None and findings.index is not None:
        if rows_digest(plan) != findings.index["plan_digest"]:
            findings.report("plan.parquet", f"is not the plan that {INDEX} names")
    if manifest is None:
        return
    if plan is not None and rows_digest(plan) != rows_digest(manifest):
        findings.report("manifest.parquet", "has other plan columns than plan.parquet")
    keys = manifest["key"].to_pylist()
    if len(set(keys)) != len(keys):
        findings.report("manifest.parquet", "has a key more than once")
    try:
        parts = group_by_shard(manifest)
    except ScoreMixError as error:
        findings.report("manifest.parquet", str(error))
        return
    markers = list(pool.map(lambda part: _check_shard(findings, *part), parts.items()))
    _check_index(findings, manifest, markers)


def _check_index(findings: _VerifyState, manifest: pa.Table, markers: list[Marker | None]) -> None:
    if findings.index is None or not all(markers):
        return
    known = [marker for marker in markers if marker is not None]
    if findings.index["shardlist"] != shard_entries(findings.shards, known):
        findings.report(INDEX, "lists other shards than the manifest and the markers")
    kinds = manifest["kind"].to_pylist()
    counts = {"real": kinds.count("real"), "augmented": kinds.count("augmented")}
    counts |= {"samples": len(kinds), "shards": len(known)}
    ratio = max(marker.round for marker in known)
    if (findings.index["counts"], findings.index["ratio"]) != (counts, ratio):
        findings.report(INDEX, f"counts are not those of the manifest: {counts}, ratio {ratio}")


def _table(findings: _VerifyState, name: str, schema: pa.Schema) -> pa.Table | None:
    if not findings.sound(name):
        return None
    try:
        table = read_parquet(findings.shards.read(name))
    except (pa.ArrowException, OSError, ValueError) as error:
        findings.report(name, f"cannot be read as Parquet: {error}")
        return None
    if not table.schema.equals(schema):
        findings.report(name, "has other columns than its schema")
        return None
    return table


def _check_shard(findings: _VerifyState, name: str, rows: pa.Table) -> Marker | None:
    """Marker, Parquet and tar of a shard against its manifest rows; returns a sound marker."""
    marker = _check_marker(findings, name, rows)
    table = _table(findings, f"{name}.parquet", MANIFEST)
    if table is not None and not table.equals(rows):
        findings.report(f"{name}.parquet", "has other rows than manifest.parquet")
    file = f"{name}.tar"
    if findings.found.get(file):
        check = compare_members if findings.sound(file) else damaged_images
        try:
            with findings.shards.open(file) as tar:
                for what in check(tar, rows.to_pylist()):
                    findings.report(file, what)
                if findings.deep and findings.sound(file):
                    for what in wrong_pixels(tar, rows.to_pylist()):
                        findings.report(file, what)
        except (OSError, tarfile.TarError, ValueError, TypeError) as error:
            findings.report(file, f"cannot be read: {error}")
    return marker


def _check_marker(findings: _VerifyState, name: str, rows: pa.Table) -> Marker | None:
    file = f"{name}.json"
    if not findings.sound(file):
        return None
    raw = findings.shards.read(file)
    try:
        marker = Marker.parse(raw)
    except ValueError as error:
        findings.report(file, f"cannot be read as a marker: {error}")
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
        findings.report(file, f"does not agree with the manifest: {wrong or ['recipe_digest']}")
    if json_bytes(asdict(marker)) != raw:
        findings.report(file, "is not in the form in which markers are written")
    for extension, facts in (("tar", marker.tar), ("parquet", marker.parquet)):
        other = f"{name}.{extension}"
        size, unread = findings.shards.size(other), other in findings.unread
        if size is not None and not unread and findings.found.get(other) != facts.sha256:
            findings.report(other, "is not the file that its marker committed")
        elif size is not None and size != facts.size:
            if unread:
                findings.report(other, f"has another size than {file} says")
            else:
                findings.report(file, f"has a wrong size for {other}")
    return marker
