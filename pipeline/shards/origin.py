"""Which run made shards that do not record it: those of earlier versions."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from ...manifests.errors import ScoreMixError
from ...manifests.files.atomic import read_parquet
from ...manifests.plan.plan import group_by_shard, rows_digest
from ...manifests.published.index import INDEX, parse_index
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
        marker is not None and marker.rows_digest == digest
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
    if store.size(INDEX) is None:
        return None
    try:
        return str(parse_index(store.read(INDEX))["plan_digest"])
    except (OSError, ValueError):
        return None


def _planned_digests(files: RunFolder) -> Iterator[tuple[str, str]]:
    try:
        parts = group_by_shard(read_parquet(files.plan))
    except (pa.ArrowException, OSError, ValueError, KeyError, ScoreMixError):
        return
    for name, rows in parts.items():
        yield name, rows_digest(rows)
