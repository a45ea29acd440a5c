"""forget: removes an image and everything made from it from a run, for good.

tombstones.json is written first, durably; everything else follows from it and may be killed and
repeated: pixels and names are erased from corpus/, samples removed from the shards (the others keep
their bytes), the small files written again, report and caches deleted. The plan's file stays as it
is and is filtered when it is read.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ...manifests.errors import ConfigError, ScoreMixError
from ...manifests.files.atomic import storage_errors
from ...manifests.files.crash_points import crash_point
from ...manifests.files.durable import remove_file, remove_tree
from ...manifests.files.rows import rows_where
from ...manifests.run_folder import RunFolder
from ...manifests.shards.shard import is_complete
from ...manifests.tombstones import Tombstone, Tombstones, read_tombstones
from ...stages.corpus.erase import erase_forgotten
from ...stages.corpus.store import FORGOTTEN, Corpus, check_pixels, open_corpus
from ..finished_run import FinishedRun, OtherOptions, load_finished_run, resolved_config
from ..ledger import Ledger
from ..means import means_sha256_of
from ..own_places import refuse_shards_among
from ..planned import check_plan, read_plan, without_keys
from ..shards.local import LocalDestination
from ..shards.ownership import claim_to_change
from ..shards.stores import open_shards
from .remove_samples import remove_forgotten, remove_shards

_MIN_REAL = 2  # real images that must be left: fewer cannot be mixed
_LISTED = 5  # damaged shards that an error names
_MADE = re.compile(r"\d{6,}-\d{3,}")  # the key of an augmented image


@dataclass(frozen=True)
class Forgotten:
    """What was removed."""

    inputs: int  # rows of sources.parquet: the images, their copies, held-out ones
    keys: tuple[str, ...]  # of real images that were in the shards
    samples: int  # removed from the shards, augmented ones included
    shards: int  # written again or removed
    resembling: tuple[str, ...]  # keys of images that resemble them, and stay


def forget(run: Path, names: tuple[str, ...]) -> Forgotten:
    """Removes the inputs that `names` names, by key or by name. The caller holds the run's lock.

    A request that was killed is ended first.

    Raises:
        ConfigError: an unknown key or name; too little would be left; the run is not finished; the
            shards lie among what is removed.
        VerifyError: the corpus is damaged, or a shard, which is then repaired first.
    """
    finish_pending(run)
    opened = load_finished_run(run)
    refuse_shards_among(RunFolder(run), opened.ledger.place())
    claim_to_change(run)
    check_pixels(opened.corpus)  # shards are written again with their digests
    before = read_tombstones(run)
    rows = _chosen(opened.corpus.sources.to_pylist(), names, before)
    if not rows:
        return Forgotten(0, (), 0, 0, ())
    gone = [Tombstone(row["sha256"], row["pixel_sha256"], False) for row in rows]
    tombstones = before.with_added(gone, names)
    keys = frozenset(row["key"] for row in rows if row["key"] is not None)
    planned = opened.planned.rows
    left = without_keys(planned, keys)
    _check_left(opened, keys)
    shards = _shards_between(planned, left)
    _check_whole(opened, shards)
    # Mean images that shards were made about cannot be computed without the forgotten ones.
    means_sha256_of(RunFolder(run), opened.config, opened.corpus, opened.ledger, write=True)
    tombstones.write(run)
    crash_point("tombstones")
    finish_pending(run)
    sources = opened.corpus.sources.to_pylist()
    return Forgotten(
        inputs=len(rows),
        keys=tuple(sorted(keys)),
        samples=planned.num_rows - left.num_rows,
        shards=len(shards),
        resembling=_resembling(sources, rows),
    )


def finish_pending(run: Path) -> None:
    """Finishes the removal that tombstones.json asks for; does nothing where nothing is pending.

    May be killed and called again.
    """
    tombstones = read_tombstones(run)
    if not tombstones.pending:
        return
    ledger = Ledger(run)
    refuse_shards_among(RunFolder(run), ledger.place())  # which _remove_traces would remove
    erase_forgotten(RunFolder(run).corpus, tombstones)
    crash_point("erased")
    if tombstones.leaving_plan:
        _record_corpus(ledger, open_corpus(RunFolder(run).corpus))
        remove_file(RunFolder(run).means)  # the next plan computes them without it
    else:
        claim_to_change(run)
        _remove_samples(run, ledger)
    _remove_traces(run, ledger)
    crash_point("traces-removed")
    tombstones.completed().write(run)


def _remove_samples(run: Path, ledger: Ledger) -> None:
    """Takes the samples of forgotten images from the shards.

    Where the options were changed since the request, which shards there would be is another matter:
    those that hold a forgotten image go as they are, and the run makes all of them anew.
    """
    try:
        remove_forgotten(load_finished_run(run, finished=False))
    except OtherOptions:
        files, forgotten = RunFolder(run), open_corpus(RunFolder(run).corpus).forgotten
        rows = read_plan(files, ledger.outcome("plan").get("digest"))
        left = None if rows is None else without_keys(rows, forgotten)
        names = None if rows is None or left is None else _shards_between(rows, left)
        remove_shards(ledger.place(), run, names)


def _shards_between(rows: pa.Table, left: pa.Table) -> set[str]:
    """Shards of the plan `rows` that have other rows in `left`."""
    return set(rows.filter(pc.invert(pc.is_in(rows["key"], left["key"])))["shard"].to_pylist())


def drop_from_plan(run: Path) -> None:
    """Removes forgotten images from the plan too, so that the next network is trained without them.

    Raises ConfigError, before anything is changed, where no plan can be made without them.
    """
    finish_pending(run)
    corpus = open_corpus(RunFolder(run).corpus)
    check_pixels(corpus)
    if any(not stone.retrained for stone in read_tombstones(run).entries):
        config = resolved_config(RunFolder(run), Ledger(run), corpus)
        check_plan(config, corpus, without_forgotten=True)
        read_tombstones(run).all_retrained().write(run)
        finish_pending(run)


def _chosen(
    sources: list[dict[str, Any]], names: tuple[str, ...], before: Tombstones
) -> list[dict[str, Any]]:
    """The rows that are named, and all that are of the same file or have the same pixels."""
    known = {value for row in sources for value in (row["key"], row["name"])}
    words = [word for word in names if word in known or not before.was_requested(word)]
    named = [row for word in words for row in _named(sources, word)]
    if any(row["sha256"] is None for row in named):
        raise ConfigError("A row of sources.parquet has no hash. Run ingest again.")
    files = {row["sha256"] for row in named}
    pixels = {row["pixel_sha256"] for row in named}
    return [
        row
        for row in sources
        if row["status"] in ("train", "reference", "duplicate")
        and (row["sha256"] in files or row["pixel_sha256"] in pixels)
    ]


def _named(sources: list[dict[str, Any]], word: str) -> list[dict[str, Any]]:
    found = [row for row in sources if row["key"] == word] or [
        row for row in sources if row["name"] == word
    ]
    used = [row for row in found if row["status"] in ("train", "reference", "duplicate")]
    if used or (found and found[0]["status"] == FORGOTTEN):
        return used
    if found:
        raise ConfigError(
            f"{word} is {found[0]['status']} ({found[0]['reason']}): nothing of it is in the run."
            " Delete the file itself."
        )
    hint = " That is an augmented image: name its parents." if _MADE.fullmatch(word) else ""
    raise ConfigError(
        f"{word!r} is neither the key of a real image nor the name of an input of this run.{hint}"
        " Keys look like 000123; names, also of held-out images, are in corpus/sources.parquet."
    )


def _resembling(sources: list[dict[str, Any]], gone: list[dict[str, Any]]) -> tuple[str, ...]:
    """Keys and names of images in use that resemble the forgotten, by the column `near`."""
    places = {row["index"] for row in gone}
    near = {row["near"] for row in gone} - {None}
    return tuple(
        row["key"] or row["name"]
        for row in sources
        if row["index"] not in places
        and row["status"] in ("train", "reference")
        and (row["near"] in places or row["index"] in near)
    )


def _check_left(opened: FinishedRun, keys: frozenset[str]) -> None:
    plan = without_keys(opened.planned.rows, keys)
    real = rows_where(plan, kind="real").num_rows
    if real < _MIN_REAL or real == plan.num_rows:
        raise ConfigError(
            f"{real} real and {plan.num_rows - real} augmented images would be left, too few for a"
            f" corpus. Nothing was changed. Delete {opened.folder} and its shards instead, or make"
            " a run without these images."
        )


def _check_whole(opened: FinishedRun, names: set[str]) -> None:
    """Refuses damaged shards: what is to be removed from a shard must be found in it."""
    place = opened.ledger.place()
    shards = open_shards(place, opened.folder)
    damaged = [
        task.name
        for task in opened.planned.shards
        if not is_complete(
            shards,
            task.name,
            rows_digest=task.rows_digest,
            recipe_digest=task.recipe_digest,
            thorough=task.name in names,
        )
    ]
    if damaged:
        raise ScoreMixError(
            f"{', '.join(damaged[:_LISTED])} in {place} are damaged or missing. Nothing was"
            f" changed. Run `scoremix-pipeline repair {opened.folder}` first."
        )


def _record_corpus(ledger: Ledger, corpus: Corpus) -> None:
    """Records the new corpus digest, so that ingest is not stale."""
    entry = ledger.stages.get("ingest")
    if entry is not None:
        outcome = entry["outcome"] | {"digest": corpus.digest}
        ledger.record("ingest", entry["inputs"], **outcome)


def _remove_traces(run: Path, ledger: Ledger) -> None:
    """Deletes what holds or shows images: report, pilot's sheet, trial, recognition, a tracker's
    files, caches in .scoremix.

    Durably: the tombstones then say that it is done. Raises StorageError where something stays.
    """
    files, shards = RunFolder(run), ledger.place()
    kept = (files.lock, files.plan, files.ledger_backup, files.mirror)
    with storage_errors(run):
        remove_tree(files.report)
        remove_tree(files.trial)
        remove_tree(files.tracking)
        remove_tree(files.recognition)
        remove_file(files.pilot_sheet)
        for path in files.internal.iterdir():
            if path in kept:
                continue
            if path.is_dir():
                remove_tree(path)
            else:
                remove_file(path)
        if isinstance(shards, Path) and shards.is_dir():
            remove_tree(LocalDestination(shards, run).temporary())
