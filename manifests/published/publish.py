"""Finished shards become a corpus: plan, manifest, card, index and, last of all, SHA256SUMS.

A folder without SHA256SUMS is not a corpus. Whoever is about to change anything calls `unpublish`
first; `publish` puts the file back as its last act. Publishing is a function of the shards, the
plan and the facts: any number of publishers write the same bytes, and once more writes nothing.
"""

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from ..errors import ScoreMixError, VerifyError
from ..files.atomic import json_bytes, parquet_bytes, read_parquet
from ..files.crash_points import crash_point
from ..files.rows import rows_where
from ..plan.methods import ONE_PARENT
from ..plan.plan import group_by_shard, rows_digest
from ..plan.schema import MANIFEST, PLAN
from ..shards.shard import NORMS, Marker, is_complete, read_marker
from ..storage.store import LocalStore, Store, store_of
from .card import CorpusFacts, Counts, dataset_card
from .croissant import CROISSANT, croissant_bytes, digest_of_sources
from .foreign import foreign_shard_files, planned_shards
from .index import INDEX, build_index, file_hashes, index_entries_of_shards
from .names import METADATA_FILES, SHARD_FILE, listed_extras
from .sums import SUMS, parse_sums, render_sums

_CRASH_POINTS = {
    "plan.parquet": "plan",
    "manifest.parquet": "manifest",
    "README.md": "card",
    CROISSANT: "croissant",
}
_OPTIONAL = {CROISSANT}  # corpora of earlier versions are whole without it

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Published:
    """What a corpus holds, and what publishing changed."""

    shards: int
    samples: int
    bytes: int  # of all tars
    plan_digest: str
    written: tuple[str, ...]  # names of files that were new or different
    removed: tuple[str, ...]  # files of shards that the plan does not name


def publish(
    shards: Path | Store,
    plan: pa.Table,
    *,
    expected: Mapping[str, tuple[str, str]],
    facts: CorpusFacts,
    temporary: Path | None = None,
) -> Published:
    """Makes the folder of finished shards a corpus that holds exactly the plan's shards.

    temporary: for unfinished files of a local folder, on its file system.

    `expected` gives every shard's (rows_digest, recipe_digest). Raises ScoreMixError, before
    anything is touched, unless every shard of the plan is complete. Shards that the plan does not
    name (a ratio that was lowered) are removed, since readers take every tar in the folder; files
    that are only named as theirs stay (foreign.py).
    """
    store = LocalStore(shards, temporary) if isinstance(shards, Path) else shards
    markers = finished_markers(store, plan, expected)
    files = metadata_files(store, plan, markers, facts)
    made = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    hashes = made | listed_extras(store)
    files[INDEX], sums = index_and_sums(store, plan, markers, facts, hashes)
    stale = _stale(store, markers)
    changed = [name for name, data in files.items() if not _has_content(store, name, data)]
    if changed or stale or not _has_content(store, SUMS, sums):
        _replace(store, {name: files[name] for name in changed}, stale, sums)
        changed.append(SUMS)
    return Published(
        shards=len(markers),
        samples=plan.num_rows,
        bytes=sum(marker.tar.size for marker in markers),
        plan_digest=rows_digest(plan),
        written=tuple(changed),
        removed=tuple(stale),
    )


def index_and_sums(
    shards: Path | Store,
    plan: pa.Table,
    markers: list[Marker],
    facts: CorpusFacts,
    hashes: Mapping[str, str],
) -> tuple[bytes, bytes]:
    """index.json and SHA256SUMS of these shards and these other files (name -> sha256)."""
    entries = index_entries_of_shards(store_of(shards), markers)
    index = json_bytes(build_index(rows_digest(plan), entries, facts, hashes))
    own = {INDEX: hashlib.sha256(index).hexdigest()}
    return index, render_sums(file_hashes(entries, hashes) | own)


def write_plan(store: Store, plan: pa.Table) -> None:
    """Writes the plan as it will be published, before the shards: it vouches for those that are
    begun. Files that the plan before it alone vouched for are removed."""
    data = plan_bytes(plan)
    if not _has_content(store, "plan.parquet", data):
        names, planned = store.names(), frozenset(plan["shard"].to_pylist())
        begun = set(foreign_shard_files(store, names, planned))
        for name in begun - set(foreign_shard_files(store, names, planned | planned_shards(store))):
            store.remove(name)
        store.write("plan.parquet", data)


def is_published(shards: Path | Store) -> bool:
    """Whether SHA256SUMS and every file it names are there, and metadata files are unchanged.

    Of shards only the presence is checked; `verify` reads every byte.
    """
    store = store_of(shards)
    try:
        raw = store.read(SUMS)
    except OSError:
        return False
    sums = parse_sums(raw)
    if render_sums(sums) != raw or any(store.size(name) is None for name in sums):
        return False
    if not sums.keys() >= set(METADATA_FILES) - _OPTIONAL:
        return False
    metadata = [name for name in METADATA_FILES if name in sums]
    return all(store.sha256(name) == sums[name] for name in metadata)


def unpublish(shards: Path | Store) -> None:
    """Removes SHA256SUMS, durably: from here on the folder is no corpus."""
    store_of(shards).remove(SUMS)
    crash_point("unpublished")


def counts_of(plan: pa.Table, manifest: pa.Table) -> Counts:
    """The numbers of the dataset card. plan and manifest have the same rows."""
    augmented = rows_where(plan, kind="augmented")
    mixtures = augmented.filter(
        pc.invert(pc.is_in(augmented["method"], pa.array(sorted(ONE_PARENT))))
    )
    lambdas = mixtures["lambda"].to_numpy()
    return Counts(
        real=plan.num_rows - augmented.num_rows,
        augmented=augmented.num_rows,
        ratio=pc.max(plan["round"]).as_py(),
        shards=len(group_by_shard(plan)),
        classed=pc.min(plan["class_id"]).as_py() >= 0,
        soft=manifest["soft_label"].null_count == 0,
        normed=manifest["norm_final"].null_count == 0,
        methods=tuple(sorted(pc.unique(augmented["method"]).to_pylist())),
        near_copies=int(((lambdas < 0.1) | (lambdas > 0.9)).sum()),
    )


def finished_markers(
    shards: Path | Store, plan: pa.Table, expected: Mapping[str, tuple[str, str]]
) -> list[Marker]:
    """The plan's shards in order. Raises ScoreMixError unless every one is complete."""
    store = store_of(shards)
    parts = group_by_shard(plan)
    if not parts:
        raise ScoreMixError("The plan is empty: there is nothing to publish.")
    unplanned = sorted(parts.keys() ^ expected.keys())
    if unplanned:
        raise ScoreMixError(f"Plan and expected digests name different shards: {unplanned[:5]}.")
    missing = []
    for name, rows in parts.items():
        planned, recipe = expected[name]
        assert rows_digest(rows) == planned, f"expected digest of {name} is not the plan's"
        if not is_complete(store, name, rows_digest=planned, recipe_digest=recipe):
            missing.append(name)
    if missing:
        raise ScoreMixError(
            f"{len(missing)} of {len(parts)} shards are not finished: {', '.join(missing[:5])}"
            f"{', ...' if len(missing) > 5 else ''}. Run the same command again to make them."
        )
    markers = [read_marker(store, name) for name in parts]
    return [marker for marker in markers if marker is not None]


def metadata_files(
    shards: Path | Store,
    plan: pa.Table,
    markers: list[Marker],
    facts: CorpusFacts,
    kept: Mapping[str, tuple[int, str]] | None = None,
) -> dict[str, bytes]:
    """The files that shards, plan and facts determine, in the order in which they are written.

    kept: size and sha256 of files that stay as they are, though another pyarrow wrote them.
    """
    store = store_of(shards)
    tables = [_read_rows(store, f"{marker.shard}.parquet") for marker in markers]
    manifest = pa.concat_tables(tables).cast(MANIFEST).combine_chunks()
    if rows_digest(manifest) != rows_digest(plan):
        raise ScoreMixError(
            "The Parquet files of the shards hold other rows than the plan, though their markers "
            "agree with it: they were changed after they were written. Run verify, then repair."
        )
    _check_fields(manifest)
    counts = counts_of(plan, manifest)
    files = {
        "plan.parquet": plan_bytes(plan),
        "manifest.parquet": parquet_bytes(manifest),
        "README.md": dataset_card(facts, counts).encode(),
    }
    facts_of_files = {
        name: (len(data), hashlib.sha256(data).hexdigest()) for name, data in files.items()
    }
    files[CROISSANT] = croissant_bytes(
        facts,
        counts,
        markers,
        facts_of_files | dict(kept or {}),
        digest_of_sources(manifest),
        rows_digest(plan),
    )
    return files


def _read_rows(store: Store, name: str) -> pa.Table:
    try:
        return read_parquet(store.read(name))
    except (pa.ArrowException, ValueError) as error:
        raise VerifyError(
            f"{store.where(name)} cannot be read ({error}). Run verify, then repair."
        ) from error


def plan_bytes(plan: pa.Table) -> bytes:
    """plan.parquet: the columns of PLAN, without schema metadata."""
    rows = plan.select(PLAN.names).cast(PLAN).replace_schema_metadata(None).combine_chunks()
    return parquet_bytes(rows)


def _check_fields(manifest: pa.Table) -> None:
    """Refuses samples with differing fields: readers take the fields of the first few for all's."""
    unlabelled = pc.sum(pc.less(manifest["class_id"], 0)).as_py()
    absent = {name: manifest[name].null_count for name in ("soft_label", *NORMS)}
    for name, count in (absent | {"class_id": unlabelled}).items():
        if count not in (0, manifest.num_rows):
            raise ScoreMixError(
                f"{count} of {manifest.num_rows} samples have no {name}, the others do. All "
                "samples of a corpus need the same fields: make the shards again with one recipe."
            )


def _stale(store: Store, markers: list[Marker]) -> list[str]:
    """Files of a run's shards that are not among these; not what nothing vouches for."""
    planned = {marker.shard for marker in markers}
    files = [name for name in store.names() if SHARD_FILE.fullmatch(name)]
    others = [name for name in files if name.partition(".")[0] not in planned]
    if not others:
        return []
    foreign = set(foreign_shard_files(store, others))
    return [name for name in others if name not in foreign]


def _has_content(store: Store, name: str, data: bytes) -> bool:
    return store.size(name) == len(data) and store.read(name) == data


def _replace(store: Store, files: Mapping[str, bytes], stale: list[str], sums: bytes) -> None:
    """Removes SHA256SUMS and stale shards (their markers, which vouch for them, last), writes the
    files, then SHA256SUMS."""
    unpublish(store)
    if stale:
        logger.warning(
            "Removing %d files of shards that the plan no longer names: %s%s",
            len(stale),
            ", ".join(stale[:6]),
            ", ..." if len(stale) > 6 else "",
        )
        for name in sorted(stale, key=lambda name: (name.endswith(".json"), name)):
            store.remove(name)
        crash_point("stale-removed")
    for name, data in files.items():
        store.write(name, data)
        crash_point(_CRASH_POINTS.get(name, "index"))
    store.write(SUMS, sums)
    crash_point("sums")
