"""Turns sources into a corpus, with a row of sources.parquet for every input.

Inputs and their classes (inventory.py) -> which train and which are held out (split.py) -> prepared
pixels, in parallel (reader.py, images/) -> a memory-mapped corpus (corpus/store.py).
Equal bytes, options and seed give an equal corpus, byte for byte, whatever the number of workers.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc

from ...manifests.errors import InputError
from ...manifests.files.rows import rows_where
from ...manifests.foreign_text import first_names, printable
from ..common.progress import Progress
from ..corpus.store import Corpus, write_corpus
from ..images.decode import SEVERAL_FRAMES
from ..images.pixel_file import PixelFile
from ..images.similarity import nearest_earlier
from ..sources.remote import FetchOptions
from .config import IngestConfig, MaxBad, SourceConfig
from .inventory import (
    Inventory,
    hold_out_share,
    note_sources,
    open_inventory,
    reference_candidates,
    refuse_output_in_source,
    source_rows,
)
from .reader import BadInputLimit, Reader, no_images
from .split import CandidateGroup, InputRecord, shuffled

__all__ = ["IngestConfig", "MaxBad", "SourceConfig", "ingest"]

ALGORITHM = 9  # raised whenever equal inputs and options would give another corpus

_SMALL = 16  # px, below which photographs cannot be made out
_SHRUNK = 4  # times smaller than they were, from which on that is worth a warning
_LISTED, _PAIRS = 5, 3  # classes, pairs of images that a warning names

_Rows = list[dict[str, Any]]  # of sources.parquet


def ingest(
    config: IngestConfig,
    out: Path,
    *,
    seed: int,
    progress: Progress,
    workers: int | None = None,
    fetching: FetchOptions | None = None,
    forgotten: frozenset[str] = frozenset(),
    key: str = "ingest.source",
) -> Corpus:
    """Reads the sources that `config` names into the corpus folder `out`, and opens it.

    out: replaced once everything is decoded; until then an earlier corpus in it stays.
    workers: decoding threads or processes; by default one per usable core, at most 16.
    fetching: how to download sources at URLs; by default into a temporary folder.
    forgotten: sha256 of files and pixels that were removed on request and must not come back.
    key: the option that names the sources, for messages.

    Raises:
        ConfigError: a source or path that is not there, images with a class and without,
            `per_class` without classes, a missing package.
        InputError: no image, fewer than two to train on, or more bad ones than `max_bad` allows.
        StorageError: the disk is full or cannot be written, or a source's store does not answer.
    """
    with open_inventory(config, seed, workers, fetching=fetching, key=key) as inventory:
        refuse_output_in_source(inventory, out)
        note_sources(inventory, progress)
        preparation = inventory.preparation
        with PixelFile(out, preparation.resolution, preparation.channels) as pixels:
            # Decode, in parallel and in order.
            keep = config.duplicates == "keep"
            reader = Reader(inventory.pool, preparation, pixels, keep, forgotten)
            train, reference = _read_images(config, reader, inventory, seed, progress)

            # Hold out images that the network does not see.
            train, reference = hold_out_share(config, train, reference, seed)
            if config.holdout and not reference:
                progress.note(_nothing_held_out(config.holdout, len(train)))
            classes = _used_classes(inventory, progress)
            if len(train) < 2:
                raise _too_few_images(inventory, train)

            # Write the corpus, corpus.json last.
            corpus = write_corpus(
                out,
                pixels,
                train=[record.pixel_index for record in train if record.pixel_index is not None],
                reference=[r.pixel_index for r in reference if r.pixel_index is not None],
                gray=config.colour == "auto" and _all_gray(train + reference),
                rows=source_rows(config, inventory, classes, train, reference),
                classes=classes,
                complete_rows=_mark_similar,
            )
    frames, conflicts = _frames_left_out(corpus), _conflicting_classes(config, inventory)
    notes = frames, conflicts, _summary(corpus), _nearly_nothing_left(corpus)
    for note in (*notes, _empty_classes(corpus)):
        if note:
            progress.note(note)
    return corpus


def _read_images(
    config: IngestConfig, reader: Reader, inventory: Inventory, seed: int, progress: Progress
) -> tuple[list[InputRecord], list[InputRecord]]:
    """The good training and reference images, each in name order."""
    needed = sum(min(group.needed, len(group.candidates)) for group in inventory.groups)
    spare = len(reference_candidates(config, inventory)) - (0 if config.rest_is_unused else needed)
    limit = BadInputLimit(inventory.title, config.max_bad)
    total = needed + min(spare, config.reference_limit)
    with progress.task("ingest", total, "images") as advance:
        train = reader.read(inventory.groups, limit, advance)
        if config.reference_source is not None:
            limit.check_fraction()
            title = f"ingest.reference {config.reference_source.source}"
            limit = BadInputLimit(title, config.max_bad)
        # Known only now: which candidates for training did not have to replace a bad one.
        rest = shuffled(reference_candidates(config, inventory), seed, "reference")
        group = CandidateGroup(rest, min(len(rest), config.reference_limit))
        reference = reader.read([group], limit, advance, held_out=True)
        limit.check_fraction()
    if config.reference_source is not None and config.reference_limit and not reference:
        raise _no_reference(limit.title, inventory.reference_records)
    return train, reference


def _no_reference(title: str, records: list[InputRecord]) -> InputError:
    duplicate = next((record for record in records if record.duplicate_of), None)
    if duplicate is None:
        return no_images(title, records)
    return InputError(
        f"{title}: every image of it is a training image too ({duplicate.input.name} has the"
        f" pixels of {duplicate.duplicate_of}). Name images that are not trained on, or"
        " ingest.holdout."
    )


def _nothing_held_out(share: float, count: int) -> str:
    return (
        f"ingest: nothing is held out: with two images of every class left to train on, {share:g}"
        f" of {count:,} images is none. Take more images or a larger ingest.holdout."
    )


def _used_classes(inventory: Inventory, progress: Progress) -> list[str]:
    """The classes, without those all of whose images are bad."""
    with_images = {record.class_name for record in inventory.records if not record.rejection}
    empty = [name for name in inventory.classes if name not in with_images]
    if empty:
        progress.note(
            f"ingest: classes left out because all of their images are bad: {', '.join(empty)}"
        )
    return [name for name in inventory.classes if name in with_images]


def _too_few_images(inventory: Inventory, train: list[InputRecord]) -> InputError:
    named = "".join(f" ({record.input.name})" for record in train)
    plural = "" if train else "s"
    others = (record for record in inventory.records if record.is_image and record not in train)
    other = next((record for record in others if record.rejection or record.duplicate_of), None)
    reason = other and (other.rejection or f"same pixels as {other.duplicate_of}")
    why = f" Others were left out: {other.input.name}, {reason}." if other else ""
    return InputError(
        f"{inventory.title} gives {len(train)} training image{plural}{named}; mixing needs at least"
        f" two.{why} Add images, raise ingest's limits, or cut a single one into squares, as"
        " one-shot translation does (ingest.patches: {per_image: 16, size: 128})."
    )


def _all_gray(records: list[InputRecord]) -> bool:
    return all(record.decoded is not None and record.decoded.gray for record in records)


def _nearly_nothing_left(corpus: Corpus) -> str:
    """A warning where large images became so small that little can be seen; else empty."""
    side = corpus.images.shape[1]
    rows = rows_where(corpus.sources, status="train")
    short = np.minimum(rows["width"].to_numpy(), rows["height"].to_numpy())
    median = int(np.median(short)) if len(short) else side
    if side >= _SMALL or median < _SHRUNK * side:
        return ""
    return (
        f"ingest: WARNING: images of {median:,} px became {side} px (ingest.resolution), of which"
        f" little can be seen. Set ingest.resolution: {2 * _SMALL} or more."
    )


def _empty_classes(corpus: Corpus) -> str:
    """A warning where classes have no image to train on, as with a limit below their number."""
    trained = set(rows_where(corpus.sources, status="train")["class_id"].to_pylist())
    empty = [name for id_, name in enumerate(corpus.classes) if id_ not in trained]
    if not empty:
        return ""
    return (
        f"ingest: WARNING: {len(empty):,} of {len(corpus.classes):,} classes have no training"
        f" image: {first_names(empty, _LISTED)}. Raise ingest.limit, or add images that can be"
        " used."
    )


def _conflicting_classes(config: IngestConfig, inventory: Inventory) -> str:
    """A warning where images of the same pixels have different classes; else empty.

    Patches are left out: a piece of wall or sky is the same in many images.
    """
    if config.patches is not None:
        return ""
    records = [
        record
        for record in (*inventory.records, *inventory.reference_records)
        if record.pixel_sha256 and record.class_name is not None and not record.forgotten
    ]
    kept: dict[str | None, InputRecord] = {}
    for record in sorted(records, key=lambda record: record.pixel_index is None):
        kept.setdefault(record.pixel_sha256, record)
    pairs = [(kept[record.pixel_sha256], record) for record in records]
    pairs = [(first, other) for first, other in pairs if first.class_name != other.class_name]
    if not pairs:
        return ""
    named = [f"{_with_class(one)} and {_with_class(other)}" for one, other in pairs]
    left = "All are used" if config.duplicates == "keep" else "Of each, the first alone is used"
    return (
        f"ingest: WARNING: {len(pairs):,} images have the pixels of an image of another class:"
        f" {first_names(named, _PAIRS, '; ')}. {left}. Remove those whose class is wrong, and run"
        " again."
    )


def _with_class(record: InputRecord) -> str:
    return printable(f"{record.input.name} ({record.class_name})", line=True)


def _frames_left_out(corpus: Corpus) -> str:
    """A note on animations and stacks of pages, of which one image each is taken; else empty."""
    several = pc.fill_null(pc.match_substring(corpus.sources["note"], SEVERAL_FRAMES), False)
    rows = corpus.sources.filter(several)
    if not len(rows):
        return ""
    return (
        f"ingest: files with several frames or pages: {len(rows):,}, such as"
        f" {printable(rows['name'][0].as_py(), line=True)}. The first of each is taken; save the"
        " others as files of their own if they are images too."
    )


def _mark_similar(rows: _Rows) -> None:
    """Fills the column `near`: the row of the first earlier image that this one resembles."""
    used = [row for row in rows if row["status"] in ("train", "reference") and row["phash"]]
    earlier = nearest_earlier([int(row["phash"], 16) for row in used])
    for row, first in zip(used, earlier, strict=True):
        row["near"] = None if first is None else used[first]["index"]


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
