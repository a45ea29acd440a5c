"""ingest: sources become a corpus, with a row for every input.

What is there (listing.py) -> which of it trains and which is held out (selection.py) -> prepared
pixels, in parallel (reading.py, decoders.py, decode.py) -> a memory-mapped corpus (corpus.py).
Equal bytes, options and seed give an equal corpus, byte for byte, whatever the number of workers.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

from ...manifests.errors import InputError
from ..common.progress import Progress
from ..corpus.store import Corpus, Staging, write_corpus
from ..images.similarity import nearest_earlier
from ..sources.remote import FetchOptions
from .config import IngestConfig, MaxBad, SourceConfig
from .inventory import Inventory, hold_out_share, keep_apart, open_inventory, spares
from .reader import Reader, Tally, no_images
from .split import Group, InputRecord, shuffled

__all__ = ["IngestConfig", "MaxBad", "SourceConfig", "ingest"]

ALGORITHM = 3  # raised whenever equal inputs and options would give another corpus

_Rows = list[dict[str, Any]]  # of sources.parquet


def ingest(
    config: IngestConfig,
    out: Path,
    *,
    seed: int,
    progress: Progress,
    workers: int | None = None,
    fetching: FetchOptions | None = None,
    refused: frozenset[str] = frozenset(),
) -> Corpus:
    """Reads the sources that `config` names into the corpus folder `out`, and opens it.

    out: replaced once everything is decoded; until then an earlier corpus in it stays.
    workers: decoding threads or processes; by default one per core that this process may use, at
    most 16.
    fetching: where to sources at URLs are fetched; by default a temporary folder.

    Raises:
        ConfigError: a source or path that is not there, images with a class and without,
            `per_class` without classes, a missing package.
        InputError: no image, fewer than two to train on, or more bad ones than `max_bad` allows.
        StorageError: the disk is full or cannot be written, or a source's store does not answer.
    """
    with open_inventory(config, seed, workers, fetching=fetching) as found:
        keep_apart(found, out)

        # Bytes become pixels, in parallel and in order.
        with Staging(out, found.how.resolution, 1 if found.how.gray else 3) as staging:
            reader = Reader(found.pool, found.how, staging, config.duplicates == "keep", refused)
            train, reference = _read(config, reader, found, seed, progress)
            train, reference = hold_out_share(config, train, reference, seed)
            if config.holdout and not reference:
                progress.note(_none_held_out(config.holdout, len(train)))
            found = _without_empty_classes(found, progress)
            if len(train) < 2:
                raise _too_few(found, train)

            # The corpus appears as a whole, corpus.json last.
            corpus = write_corpus(
                out,
                staging,
                train=[record.slot for record in train if record.slot is not None],
                reference=[record.slot for record in reference if record.slot is not None],
                gray=config.colour == "auto" and _all_gray(train + reference),
                rows=_rows(config, found, train, reference),
                classes=found.classes,
                finish=_mark_near,
            )
    progress.note(_summary(corpus))
    return corpus


def _read(
    config: IngestConfig, reader: Reader, found: Inventory, seed: int, progress: Progress
) -> tuple[list[InputRecord], list[InputRecord]]:
    """The good training and reference images, each in name order."""
    wanted = sum(min(group.wanted, len(group.order)) for group in found.groups)
    spare = len(spares(config, found)) - (0 if config.separate else wanted)
    limits = config.max_bad.consecutive, config.max_bad.fraction
    tally = Tally(found.what, *limits)
    total = wanted + min(spare, config.reference_limit)
    with progress.task("ingest", total, "images") as advance:
        train = reader.read(found.groups, tally, advance)
        if config.beside is not None:
            tally.conclude()
            tally = Tally(f"ingest.reference {config.beside.source}", *limits)
        # Only now is it known which of the others had to replace bad ones.
        left = shuffled(spares(config, found), seed, "reference")
        group = Group(left, min(len(left), config.reference_limit))
        reference = reader.read([group], tally, advance, held_out=True)
        tally.conclude()
    if config.beside is not None and config.reference_limit and not reference:
        twin = next((record for record in found.others if record.twin), None)
        if twin is None:
            raise no_images(tally.what, found.others)
        raise InputError(
            f"{tally.what}: every image of it is a training image too ({twin.input.name} has the"
            f" pixels of {twin.twin}). Name images that are not trained on, or ingest.holdout."
        )
    return train, reference


def _none_held_out(share: float, count: int) -> str:
    return (
        f"ingest: nothing is held out: a share of {share:g} of {count:,} images, with two of every"
        " class left to train on, is none. Take more images or a larger ingest.holdout."
    )


def _without_empty_classes(found: Inventory, progress: Progress) -> Inventory:
    """Classes all of whose images are bad would be labels that nothing has."""
    alive = {record.class_name for record in found.records if not record.why_not}
    empty = [name for name in found.classes if name not in alive]
    if empty:
        progress.note(f"ingest: left out, for all of their images are bad: {', '.join(empty)}")
    return replace(found, classes=[name for name in found.classes if name in alive])


def _too_few(found: Inventory, train: list[InputRecord]) -> InputError:
    named = "".join(f" ({record.input.name})" for record in train)
    plural = "" if train else "s"
    left = (record for record in found.records if record.is_image and record not in train)
    other = next((record for record in left if record.why_not or record.twin), None)
    reason = other and (other.why_not or f"same pixels as {other.twin}")
    why = f" Others were left out: {other.input.name}, {reason}." if other else ""
    return InputError(
        f"{found.what} gives {len(train)} training image{plural}{named}; mixing needs at least two."
        f"{why} Add images, or raise ingest's limits."
    )


def _all_gray(records: list[InputRecord]) -> bool:
    return all(record.decoded is not None and record.decoded.gray for record in records)


def _rows(
    config: IngestConfig, found: Inventory, train: list[InputRecord], reference: list[InputRecord]
) -> _Rows:
    """A row for every input, those of ingest.reference after the sources'."""
    limit = f"ingest.reference_limit {config.reference_limit}"
    left_out = f"left out by {config.choice}"
    if not config.separate:
        left_out += f"; {limit} is reached"
    ids: dict[str | None, int] = {name: place for place, name in enumerate(found.classes)}
    table = [record.row(left_out, ids) for record in found.records]
    table += [record.row(f"left out by {limit}", ids) for record in found.others]
    for status, part in (("train", train), ("reference", reference)):
        for place, record in enumerate(part):
            key = f"{place:06d}" if status == "train" else None
            table[record.index] |= {"status": status, "reason": None, "row": place, "key": key}
    return table


def _mark_near(rows: _Rows) -> None:
    """Names, in column `near`, the first image that an image in use resembles."""
    used = [row for row in rows if row["status"] in ("train", "reference") and row["phash"]]
    earlier = nearest_earlier([int(row["phash"], 16) for row in used])
    for row, place in zip(used, earlier, strict=True):
        row["near"] = None if place is None else used[place]["index"]


def _summary(corpus: Corpus) -> str:
    count, side, _, channels = corpus.images.shape
    counts = corpus.counts
    classes = f" in {len(corpus.classes)} classes" if corpus.classes else ", no classes"
    near = len(corpus.sources) - corpus.sources["near"].null_count
    similar = f"; {near:,} resemble an earlier image (column near)" if near else ""
    return (
        f"ingest: {count:,} training images{classes}, {side} px"
        f" {'gray' if channels == 1 else 'RGB'}; {counts['reference']:,} held out,"
        f" {counts['rejected']:,} rejected, {counts['duplicate']:,} duplicates,"
        f" {counts['unused']:,} unused{similar}"
    )
