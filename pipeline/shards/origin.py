"""Which run made shards that do not record it, or record another id."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from ...manifests.errors import ScoreMixError
from ...manifests.files.atomic import canonical_digest, read_parquet
from ...manifests.plan.plan import group_by_shard, rows_digest
from ...manifests.published.index import INDEX, parse_index
from ...manifests.published.sums import SUMS
from ...manifests.run_folder import RunFolder
from ...manifests.shards.shard import read_marker
from ...manifests.storage.location import Place, same_place
from ...manifests.storage.store import Store
from ..ledger import Ledger


def is_made_by(ledger: Ledger, files: RunFolder, store: Store) -> bool:
    """Whether the shards at `store` follow from a plan that the run's ledger records.

    The plan or the index there must have its digest; where both are damaged or gone, the marker of
    a shard the digest of its rows.
    """
    write = ledger.stages.get("write", {}).get("inputs", {})
    recorded = {ledger.outcome("plan").get("digest"), write.get("plan")} - {None}
    found = {_plan_digest(store), _indexed_digest(store)} - {None}
    if found:
        return not recorded.isdisjoint(found)
    return any(
        marker.rows_digest == digest
        for name, digest in _planned_digests(files)
        if (marker := read_marker(store, name)) is not None
    )


def is_published_by(ledger: Ledger, files: RunFolder, store: Store) -> bool:
    """Whether the shards at `store` are this run's, though their record names another id.

    Stricter than `is_made_by`: corpora of as many images have equal plans, so that the recipe,
    which names the corpus, must agree too; or SHA256SUMS is the file that the run published.
    """
    sums = ledger.outcome("write").get("sums_sha256")
    if sums is not None and store.size(SUMS) is not None and store.sha256(SUMS) == sums:
        return True
    recorded = ledger.stages.get("plan", {}).get("inputs", {}).get("recipe")
    recipe = canonical_digest(recorded) if recorded else None
    if (index := _index(store)) is not None:
        return recipe == canonical_digest(index["recipe"]) and is_made_by(ledger, files, store)
    return any(
        (marker.rows_digest, marker.recipe_digest) == (digest, recipe)
        for name, digest in _planned_digests(files)
        if (marker := read_marker(store, name)) is not None
    )


def other_runs_at(shards: Place, run: Path, original: Path | None) -> list[Path]:
    """Other run folders that name `shards` as theirs: around and beside them, and beside the run.

    None where `run` lies beside the shards under the name that `augment` gives it.

    original: a folder that `run` was copied from.
    """
    near = {run.parent}
    if isinstance(shards, Path):
        if run == shards.with_name(f"{shards.name}.run"):
            return []
        near |= {shards.parent, shards.parent.parent}
    folders = {path for folder in near if folder.is_dir() for path in folder.iterdir()} | near
    folders |= {original} if original is not None else set()
    return sorted(
        folder for folder in folders if folder.resolve() != run.resolve() and _names(folder, shards)
    )


def _names(folder: Path, shards: Place) -> bool:
    try:
        return RunFolder(folder).ledger.is_file() and same_place(Ledger(folder).place(), shards)
    except (ScoreMixError, OSError):
        return False


def _plan_digest(store: Store) -> str | None:
    if store.size("plan.parquet") is None:
        return None
    try:
        return rows_digest(read_parquet(store.read("plan.parquet")))
    except (pa.ArrowException, OSError, ValueError, KeyError):
        return None


def _indexed_digest(store: Store) -> str | None:
    index = _index(store)
    return None if index is None else str(index["plan_digest"])


def _index(store: Store) -> dict[str, Any] | None:
    if store.size(INDEX) is None:
        return None
    try:
        return parse_index(store.read(INDEX))
    except (OSError, ValueError):
        return None


def _planned_digests(files: RunFolder) -> Iterator[tuple[str, str]]:
    try:
        parts = group_by_shard(read_parquet(files.plan))
    except (pa.ArrowException, OSError, ValueError, KeyError, ScoreMixError):
        return
    for name, rows in parts.items():
        yield name, rows_digest(rows)
