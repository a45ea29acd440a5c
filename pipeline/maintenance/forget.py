"""forget: an image and everything made from it leave the run, and do not come back.

tombstones.json first, durably; everything else follows from it and may be killed and done again:
pixels and names out of corpus/, samples out of the shards (the others keep their bytes), the small
files anew, report and caches away. The plan's file stays as it is: it is filtered when it is read.
"""

import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from ...manifests.errors import ConfigError, ScoreMixError
from ...manifests.files.atomic import storage_errors
from ...manifests.files.crash_points import crash_point
from ...manifests.plan.plan import build_plan
from ...manifests.shards.shard import is_complete
from ...manifests.tombstones import Tombstone, Tombstones, read_tombstones
from ...stages.corpus.erase import erase_forgotten
from ...stages.corpus.store import FORGOTTEN, Corpus, check_pixels, open_corpus
from ..fingerprints import plan_options
from ..finished_run import FinishedRun, load_finished_run, without_keys
from ..ledger import Ledger
from ..preflight import open_shards
from ..shards.local import LocalDestination
from .remove_samples import remove_forgotten

_LEAST = 2  # real images that must be left: fewer cannot be mixed
_KEPT_BY_RUN = ("lock", "plan.parquet", "stages.lock.json", "mirror")  # of .scoremix


@dataclass(frozen=True)
class Forgotten:
    """What was removed."""

    inputs: int  # rows of sources.parquet: the images, their copies, held-out ones
    keys: tuple[str, ...]  # real images that left the shards
    samples: int  # that left the shards, augmented ones included
    shards: int  # that were written again or vanished
    resembling: tuple[str, ...]  # keys of images that resemble them, and stay


def forget(run: Path, asked: tuple[str, ...]) -> Forgotten:
    """Removes the inputs that `asked` names, by key or by name. The caller holds the run's lock.

    A request that was killed is ended first.

    Raises:
        ConfigError: an unknown key or name; too little would be left; the run is not finished.
        VerifyError: the corpus is damaged, or a shard, which is then repaired first.
    """
    finish_pending(run)
    opened = load_finished_run(run)
    check_pixels(opened.corpus)  # what is written again is promised again
    before = read_tombstones(run)
    rows = _chosen(opened.corpus.sources.to_pylist(), asked, before)
    if not rows:
        return Forgotten(0, (), 0, 0, ())
    gone = [Tombstone(row["sha256"], row["pixel_sha256"], False) for row in rows]
    stones = before.with_added(gone, asked)
    keys = frozenset(row["key"] for row in rows if row["key"] is not None)
    planned = opened.planned.rows
    left = without_keys(planned, keys)
    _check_left(opened, keys)
    touched = planned.filter(pc.invert(pc.is_in(planned["key"], left["key"])))
    shards = set(touched["shard"].to_pylist())
    _check_whole(opened, shards)
    stones.write(run)
    crash_point("tombstones")
    finish_pending(run)
    sources = opened.corpus.sources.to_pylist()
    return Forgotten(
        inputs=len(rows),
        keys=tuple(sorted(keys)),
        samples=touched.num_rows,
        shards=len(shards),
        resembling=_resembling(sources, rows),
    )


def finish_pending(run: Path) -> None:
    """Ends what a killed process began; does nothing where nothing is pending.

    May be killed and called again: everything follows from tombstones.json.
    """
    stones = read_tombstones(run)
    if not stones.pending:
        return
    erase_forgotten(run / "corpus", stones)
    crash_point("buried")
    ledger = Ledger(run)
    if stones.leaving_plan:
        _record_corpus(ledger, open_corpus(run / "corpus"))
    else:
        remove_forgotten(load_finished_run(run, finished=False))
    _remove_traces(run, ledger)
    crash_point("traces-removed")
    stones.completed().write(run)


def drop_from_plan(run: Path) -> None:
    """The forgotten leave the plan too: whatever is trained from here on has not seen them.

    Raises ConfigError, before anything is changed, where no plan can be made without them.
    """
    finish_pending(run)
    opened_corpus = open_corpus(run / "corpus")
    check_pixels(opened_corpus)
    if any(not stone.retrained for stone in read_tombstones(run).entries):
        _check_plan_without(run, opened_corpus)
        read_tombstones(run).all_retrained().write(run)
        finish_pending(run)


def _check_plan_without(run: Path, corpus: Corpus) -> None:
    opened = load_finished_run(run, finished=False)
    gone = pc.equal(corpus.sources["status"], FORGOTTEN)
    options = plan_options(opened.config)
    options = replace(options, ratio=min(options.ratio, 1))
    build_plan(corpus.sources.filter(pc.invert(gone)), options, opened.config.seed)


def _chosen(
    sources: list[dict[str, Any]], asked: tuple[str, ...], before: Tombstones
) -> list[dict[str, Any]]:
    """The rows that are named, and all that are of the same file or have the same pixels."""
    known = {value for row in sources for value in (row["key"], row["name"])}
    words = [word for word in asked if word in known or not before.was_requested(word)]
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
    hint = " That is an augmented image: name its parents." if word[:6].isdecimal() else ""
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
    real = plan.filter(pc.equal(plan["kind"], "real")).num_rows
    if real < _LEAST or real == plan.num_rows:
        raise ConfigError(
            f"{real} real and {plan.num_rows - real} augmented images would be left, too few for a"
            f" corpus. Nothing was changed. Delete {opened.folder} and its shards instead, or make"
            " a run without these images."
        )


def _check_whole(opened: FinishedRun, names: set[str]) -> None:
    """What is to be cut out of a shard must be found in it."""
    place = opened.ledger.place()
    shards = open_shards(place, opened.folder)
    damaged = [
        work.name
        for work in opened.planned.work
        if not is_complete(
            shards,
            work.name,
            rows_digest=work.rows_digest,
            recipe_digest=work.recipe_digest,
            thorough=work.name in names,
        )
    ]
    if damaged:
        raise ScoreMixError(
            f"{', '.join(damaged[:5])} in {place} are damaged or missing. Nothing was changed. Run"
            f" `scoremix-pipeline repair {opened.folder}` first."
        )


def _record_corpus(ledger: Ledger, corpus: Corpus) -> None:
    """The corpus without the forgotten is what ingest would give: it is not stale."""
    entry = ledger.stages.get("ingest")
    if entry is not None:
        outcome = entry["outcome"] | {"digest": corpus.digest}
        ledger.record("ingest", entry["inputs"], **outcome)


def _remove_traces(run: Path, ledger: Ledger) -> None:
    """The report, whose pictures show images, and what can be made again in .scoremix."""
    shards = ledger.place()
    with storage_errors(run):
        shutil.rmtree(run / "report", ignore_errors=True)
        for path in (run / ".scoremix").iterdir():
            if path.name in _KEPT_BY_RUN:
                continue
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
        if isinstance(shards, Path) and shards.is_dir():
            shutil.rmtree(LocalDestination(shards, run).temporary(), ignore_errors=True)
