"""ingest: sources become a corpus, with a row for every input.

What is there (sources.py) -> which of it trains and which is held out (selection.py) -> prepared
pixels, in parallel (reading.py, decode.py) -> a memory-mapped corpus (corpus.py). Equal bytes,
options and seed give an equal corpus, byte for byte, whatever the number of workers.
"""

import contextlib
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field, field_validator, model_validator

from ..manifests.errors import ConfigError, InputError
from .corpus import Corpus, Staging, write_corpus
from .decode import Fit, Preparation, pillow_limits
from .progress import Progress
from .reading import Pool, Reader, Tally, list_records, median_side, no_images, prepare
from .selection import Group, Record, choose, classify, hold_out, shuffled
from .sources import Source, open_source

ALGORITHM = 1  # raised whenever equal inputs and options would give another corpus

_HOLDOUT = 0.1  # where nothing else gives held-out images ...
_HOLDOUT_FROM = 100  # ... and there are at least so many images
_PROBED = 32  # images that a survey decodes
_AHEAD = 4  # inputs under way or waiting per worker
_SIDES = [
    side for side in range(8, 1025) if side % (2 if side <= 64 else 4 if side <= 128 else 8) == 0
]  # that the score network's down-sampling divides


class MaxBad(BaseModel, frozen=True, extra="forbid"):
    """From when on bad inputs stop the run. Files that do not claim to be images do not count."""

    consecutive: int = Field(default=100, ge=1)  # so many in a row
    fraction: float = Field(default=0.5, ge=0, le=1)  # more than this part of those that were read


class IngestConfig(BaseModel, frozen=True, extra="forbid"):
    """Section `ingest`.

    At most one of `limit`, `per_class` and `fraction` chooses the training images; what it leaves
    out is the reference, unless `reference` or a `holdout` above 0 says what is: then the rest is
    not used at all. `reference` and a `holdout` above 0 exclude each other. `holdout` is taken out
    of what was chosen, and leaves at least two images of every class.
    """

    source: str = "digits"  # a folder, a zip, or the bundled "digits" | "faces"
    path: str | None = None  # the folder inside it to read
    resolution: int | None = None  # side in pixels; unset: digits 8, faces 24, else from headers
    fit: Fit = "crop"  # non-square images: centre crop, pad with background, stretch
    colour: Literal["auto", "rgb", "gray"] = "auto"  # auto: gray only if every image is
    background: str = Field(
        default="#ffffff", pattern="^#[0-9a-fA-F]{6}$"
    )  # under alpha, around padding
    limit: int | None = Field(default=None, ge=1)  # the first so many good images in name order
    per_class: int | None = Field(default=None, ge=1)  # the same within each class
    fraction: float | None = Field(default=None, gt=0, le=1)  # a seeded part of each class
    holdout: float | None = Field(default=None, ge=0, lt=1)  # unset: 0.1 from 100 images on
    reference: str | None = None  # a folder or zip whose images are the reference
    reference_limit: int = Field(default=5000, ge=0)  # held-out images at most, a seeded choice
    max_bad: MaxBad = MaxBad()
    max_pixels: int = Field(default=100_000_000, ge=64)  # width x height in an image's header

    @field_validator("resolution")
    @classmethod
    def _divides(cls, side: int | None) -> int | None:
        if side is not None and side not in _SIDES:
            near = [s for s in _SIDES if s < side][-1:] + [s for s in _SIDES if s > side][:1]
            raise ConfigError(
                f"ingest.resolution is {side}; it must be a multiple of 2 up to 64, of 4 up to 128"
                f" and of 8 up to 1024, at least 8. Nearest: {' or '.join(map(str, near))}."
            )
        return side

    @model_validator(mode="after")
    def _one_choice(self) -> "IngestConfig":
        chosen = [name for name in ("limit", "per_class", "fraction") if getattr(self, name)]
        if len(chosen) > 1:
            raise ConfigError(
                f"ingest.{chosen[0]} and ingest.{chosen[1]} both choose the training images."
                " Give one of them."
            )
        if self.reference is not None and self.holdout:
            raise ConfigError(
                f"ingest.reference is {self.reference} and ingest.holdout {self.holdout}: both say"
                " which images are held out. Give one of them."
            )
        return self

    @property
    def choice(self) -> str | None:
        """The option that chooses the training images, as words for a row's reason."""
        for name in ("limit", "per_class", "fraction"):
            if getattr(self, name) is not None:
                return f"ingest.{name} {getattr(self, name)}"
        return None


@dataclass(frozen=True)
class Survey:
    """What ingest would make of a source, as far as it can be told without decoding all of it."""

    inputs: int  # files of the source, and of ingest.reference
    training: int  # images to train on, as long as none of them is bad
    reference: int  # images held out
    resolution: int  # side in pixels
    channels: int  # 1 gray or 3 RGB, as the probed images are
    seconds_per_image: float  # wall time, with all workers at it
    probed: NDArray[np.uint8]  # (n, H, W, C), a few training images spread over the names


def ingest(
    config: IngestConfig, out: Path, *, seed: int, progress: Progress, workers: int | None = None
) -> Corpus:
    """Reads the source that `config` names into the corpus folder `out`, and opens it.

    out: replaced once everything is decoded; until then an earlier corpus in it stays.
    workers: decoding threads; by default one per core that this process may use, at most 16.

    Raises:
        ConfigError: a source or path that is not there, images both in and beside class folders,
            `per_class` without classes, a missing package for a bundled source.
        InputError: no image, fewer than two to train on, or more bad ones than `max_bad` allows.
        StorageError: the disk is full or cannot be written.
    """
    with _looking(config, seed, workers) as found:
        _keep_apart(found.source, out)

        # Bytes become pixels, in parallel and in order.
        with Staging(out, found.how.resolution, 1 if found.how.gray else 3) as staging:
            reader = Reader(found.pool, found.how, staging)
            train, reference = _read(config, reader, found, seed, progress)
            train, reference = _hold_out(config, train, reference, seed)
            if len(train) < 2:
                raise _too_few(found.source, train)

            # The corpus appears as a whole, corpus.json last.
            corpus = write_corpus(
                out,
                staging,
                train=[record.slot for record in train if record.slot is not None],
                reference=[record.slot for record in reference if record.slot is not None],
                gray=config.colour == "auto" and _all_gray(train + reference),
                rows=_rows(config, found, train, reference),
                classes=found.classes,
            )
    progress.note(_summary(corpus))
    return corpus


def survey(
    config: IngestConfig, *, seed: int, progress: Progress, workers: int | None = None
) -> Survey:
    """Looks at the source as `ingest` would, decodes a few images, writes nothing.

    Raises what `ingest` raises, but for images that only decoding shows to be bad.
    """
    with _looking(config, seed, workers) as found:
        train = [record for group in found.groups for record in group.take()]
        spares = _spares(config, found)[: config.reference_limit]
        train, reference = _hold_out(config, train, spares, seed)
        train.sort(key=lambda record: record.index)
        some = train[:: -(-len(train) // _PROBED)]
        begin = time.perf_counter()
        with progress.task("survey", len(some), "images") as advance:
            decoded = []
            for result in found.pool.map(lambda record: prepare(record, found.how), some):
                decoded.append(result)
                advance(1)
        seconds = (time.perf_counter() - begin) / len(some)
    good = [image.pixels for image in decoded if image.pixels is not None]
    if not good:
        for record, image in zip(some, decoded, strict=True):
            record.reason = image.reason
        raise no_images(found.source.what, some)
    probed = np.stack(good)
    if config.colour == "auto" and all(image.gray for image in decoded if not image.reason):
        probed = probed[..., :1]
    return Survey(
        inputs=len(found.records) + len(found.others),
        training=len(train),
        reference=len(reference),
        resolution=found.how.resolution,
        channels=probed.shape[3],
        seconds_per_image=seconds,
        probed=probed,
    )


@dataclass(frozen=True)
class _Found:
    """What is there, which class it has, and which of it is to be looked at."""

    source: Source
    pool: Pool
    records: list[Record]  # of the source
    others: list[Record]  # of ingest.reference; their rows come after the source's
    how: Preparation
    classes: list[str]
    groups: list[Group]  # to train on


@contextlib.contextmanager
def _looking(config: IngestConfig, seed: int, workers: int | None) -> Iterator[_Found]:
    """Opens the sources and lists what is in them; they can be read as long as it is open."""
    workers = workers or min(16, len(os.sched_getaffinity(0)))
    with (
        pillow_limits(config.max_pixels),
        ThreadPoolExecutor(workers) as threads,
        open_source(config.source, config.path, "ingest.source") as source,
        _open_reference(config) as beside,
    ):
        pool = Pool(threads, workers * _AHEAD)
        records = list_records(source, 0, pool)
        if not any(record.is_image for record in records):
            raise no_images(source.what, records)
        how = _preparation(config, source, records)
        classes = classify(records, source.what, lambda record: not prepare(record, how).reason)
        groups = choose(
            records,
            source.what,
            limit=config.limit,
            per_class=config.per_class,
            fraction=config.fraction,
            seed=seed,
        )
        others = list_records(beside, len(records), pool) if beside else []
        for record in others:
            # The class of their folder, where the source knows it.
            name = record.input.label or record.input.folder
            record.class_name = name if record.is_image and name in classes else None
        yield _Found(source, pool, records, others, how, classes, groups)


def _open_reference(config: IngestConfig) -> contextlib.AbstractContextManager[Source | None]:
    if config.reference is None:
        return contextlib.nullcontext()
    return open_source(config.reference, None, "ingest.reference")


def _keep_apart(source: Source, out: Path) -> None:
    if source.folder is not None and out.resolve().is_relative_to(source.folder):
        raise ConfigError(
            f"The corpus is to be written to {out}, which lies inside {source.what}: what a run"
            " writes would be its input the next time. Put the run folder elsewhere."
        )


def _preparation(config: IngestConfig, source: Source, records: list[Record]) -> Preparation:
    red, green, blue = bytes.fromhex(config.background[1:])
    side = config.resolution or source.resolution
    if side is None:
        median = median_side(records, source.what)
        side = min(_SIDES[-1], max(_SIDES[0], 1 << (median.bit_length() - 1)))
    return Preparation(
        resolution=side,
        fit=config.fit,
        gray=config.colour == "gray",
        background=(red, green, blue),
        max_pixels=config.max_pixels,
    )


def _read(
    config: IngestConfig, reader: Reader, found: _Found, seed: int, progress: Progress
) -> tuple[list[Record], list[Record]]:
    """The good training and reference images, each in name order."""
    wanted = sum(min(group.wanted, len(group.order)) for group in found.groups)
    spare = len(_spares(config, found)) - (0 if _separate(config) else wanted)
    limits = config.max_bad.consecutive, config.max_bad.fraction
    tally = Tally(found.source.what, *limits)
    total = wanted + min(spare, config.reference_limit)
    with progress.task("ingest", total, "images") as advance:
        train = reader.read(found.groups, tally, advance)
        if config.reference is not None:
            tally.conclude()
            tally = Tally(f"ingest.reference {config.reference}", *limits)
        # Only now is it known which of the others had to replace bad ones.
        spares = shuffled(_spares(config, found), seed, "reference")
        group = Group(spares, min(len(spares), config.reference_limit))
        reference = reader.read([group], tally, advance)
        tally.conclude()
    if config.reference is not None and config.reference_limit and not reference:
        raise no_images(tally.what, found.others)
    return train, reference


def _separate(config: IngestConfig) -> bool:
    """Whether what limit, per_class or fraction leave out is not to be the reference."""
    return config.reference is not None or bool(config.holdout)


def _spares(config: IngestConfig, found: _Found) -> list[Record]:
    """Images that may be held out, in name order."""
    if config.reference is not None:
        return [record for record in found.others if record.is_image]
    if config.holdout:
        return []
    left = [record for group in found.groups for record in group.left_out]
    return sorted(left, key=lambda record: record.index)


def _hold_out(
    config: IngestConfig, train: list[Record], reference: list[Record], seed: int
) -> tuple[list[Record], list[Record]]:
    """Moves `holdout` of the training images to the reference, where it is asked for or due."""
    share = config.holdout
    if share is None:
        due = not reference and config.reference is None and len(train) >= _HOLDOUT_FROM
        share = _HOLDOUT if due else 0.0
    held = hold_out(train, share, config.reference_limit, seed)
    kept = [record for record in train if record not in held]
    return kept, reference + [record for record in train if record in held]


def _too_few(source: Source, train: list[Record]) -> InputError:
    named = "".join(f" ({record.input.name})" for record in train)
    return InputError(
        f"{source.what} gives {len(train)} training image{named}; mixing needs at least two. Add"
        " images, or raise ingest's limits."
    )


def _all_gray(records: list[Record]) -> bool:
    return all(record.decoded is not None and record.decoded.gray for record in records)


def _rows(
    config: IngestConfig, found: _Found, train: list[Record], reference: list[Record]
) -> list[dict[str, Any]]:
    """A row for every input, those of ingest.reference after the source's."""
    limit = f"ingest.reference_limit {config.reference_limit}"
    left_out = f"left out by {config.choice}"
    if not _separate(config):
        left_out += f"; {limit} is reached"
    table = [record.row(left_out, found.classes) for record in found.records]
    table += [record.row(f"left out by {limit}", found.classes) for record in found.others]
    for row in table[len(found.records) :]:
        row["note"] = "; ".join(filter(None, ["from ingest.reference", row["note"]]))
    for status, part in (("train", train), ("reference", reference)):
        for place, record in enumerate(part):
            key = f"{place:06d}" if status == "train" else None
            table[record.index] |= {"status": status, "reason": None, "row": place, "key": key}
    return table


def _summary(corpus: Corpus) -> str:
    count, side, _, channels = corpus.images.shape
    counts = corpus.counts
    classes = f" in {len(corpus.classes)} classes" if corpus.classes else ", no classes"
    return (
        f"ingest: {count:,} training images{classes}, {side} px"
        f" {'gray' if channels == 1 else 'RGB'}; {counts['reference']:,} held out,"
        f" {counts['rejected']:,} rejected, {counts['unused']:,} unused"
    )
