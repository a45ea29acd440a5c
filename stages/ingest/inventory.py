"""Lists the inputs of all sources, with their classes, and selects those to read."""

import contextlib
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from ...manifests.errors import ConfigError
from ..common.processors import usable_cores
from ..common.progress import Progress
from ..images.decode import pillow_limits
from ..images.decode_pool import DecodePool, decode_inputs
from ..images.preparation import Preparation
from ..sources.base import Source
from ..sources.open import open_source
from ..sources.remote import FetchOptions
from .classes import Listed, classify, classify_reference
from .config import SIDES, IngestConfig
from .reader import cut_into_patches, list_records, median_side, no_images
from .split import (
    CandidateGroup,
    InputRecord,
    hold_out,
    select_training,
)

_HOLDOUT_FROM = 100  # images, below which none can be spared
_HOLDOUT, _HOLDOUT_MOST = 0.1, 0.2  # shares of all images
# Held-out images that pilot and verdict need to compare with, and that a trial needs.
JUDGED, TRIED = 50, 60
# Endings of images that people keep data in and that images/decode.py does not read.
_UNREAD = frozenset(
    ".arw .cr2 .cr3 .dcm .dds .dng .exr .fit .fits .hdr .nef .orf .pcx .psd .raf .rw2 .sgi .svg"
    " .tga".split()
)


@dataclass(frozen=True)
class Inventory:
    """The inputs of all sources, with their classes and the candidates for training."""

    title: str  # of the sources, for messages
    sources: list[Source]
    pool: DecodePool
    records: list[InputRecord]  # of the sources
    reference_records: list[InputRecord]  # of ingest.reference; their rows come after the sources'
    preparation: Preparation
    classes: list[str]
    groups: list[CandidateGroup]  # to train on
    notes: list[str]  # what a user should know of the classes and of ingest.reference


@contextlib.contextmanager
def open_inventory(
    config: IngestConfig,
    seed: int,
    workers: int | None,
    *,
    decode_all: bool = True,
    fetching: FetchOptions | None = None,
    key: str = "ingest.source",
) -> Iterator[Inventory]:
    """Opens the sources and lists their inputs, which can be read as long as the block runs.

    workers, fetching, key: see ingest. decode_all: start the decoder processes for all inputs now.

    Raises what `ingest` raises, but for errors of decoding.
    """
    workers = workers or min(16, usable_cores())
    with (
        pillow_limits(config.max_pixels),
        contextlib.ExitStack() as stack,
        DecodePool(workers) as pool,
    ):
        specs = config.sources
        each_key = key if len(specs) == 1 else f"{key}[{{}}]"
        sources = [
            stack.enter_context(open_source(spec, each_key.format(number), fetching))
            for number, spec in enumerate(specs)
        ]
        title = sources[0].title if len(sources) == 1 else f"{key} ({len(sources)} sources)"
        listed: list[Listed] = []
        first = 0
        for number, source in enumerate(sources):
            part = list_records(source, number, first, pool)
            if config.patches is not None:
                part = cut_into_patches(part, first, config.patches.per_image, seed)
            listed.append((source, part))
            first += len(part)
        records = [record for _, part in listed for record in part]
        if not any(record.is_image for record in records):
            raise no_images(title, records)
        if decode_all:
            pool.start_for(len(records))
        preparation = _preparation(config, sources, records, title)
        is_usable = partial(_is_usable, preparation)
        classes = classify(listed, is_usable)
        groups = select_training(
            records,
            title,
            limit=config.limit,
            per_class=config.per_class,
            fraction=config.fraction,
            seed=seed,
        )
        reference = _open_reference(config, seed, stack, first, pool, fetching)
        notes = [*classes.notes]
        if reference is not None:
            notes += [*reference[0].notes, *classify_reference(reference, listed, classes)]
        held_out = [] if reference is None else reference[1]
        yield Inventory(
            title, sources, pool, records, held_out, preparation, classes.names, groups, notes
        )


def _is_usable(preparation: Preparation, record: InputRecord) -> bool:
    return not decode_inputs([record.input], preparation)[0].reason


def _open_reference(
    config: IngestConfig,
    seed: int,
    stack: contextlib.ExitStack,
    first: int,
    pool: DecodePool,
    fetching: FetchOptions | None,
) -> Listed | None:
    """ingest.reference with its inputs, cut as the training images are; None without one."""
    if config.reference_source is None:
        return None
    source = stack.enter_context(open_source(config.reference_source, "ingest.reference", fetching))
    records = list_records(source, -1, first, pool)
    if config.patches is not None:
        records = cut_into_patches(records, first, config.patches.per_image, seed)
    return source, records


def _preparation(
    config: IngestConfig, sources: list[Source], records: list[InputRecord], title: str
) -> Preparation:
    suggested = {source.resolution for source in sources}
    side = config.resolution or (suggested.pop() if len(suggested) == 1 else None)
    if side is None:
        median = config.patches.size if config.patches else median_side(records, title)
        side = min(SIDES[-1], max(SIDES[0], 1 << (median.bit_length() - 1)))
    return replace(
        config.preparation(side, gray=config.colour == "gray"),
        min_side=config.min_side,
        max_aspect=config.max_aspect,
        patch_side=config.patches.size if config.patches else 0,
    )


def reference_candidates(config: IngestConfig, inventory: Inventory) -> list[InputRecord]:
    """Images that may be held out and are no candidates for training, in name order."""
    if config.reference is not None:
        return [record for record in inventory.reference_records if record.is_image]
    if config.holdout is not None or config.patches is not None:  # patches of one image overlap
        return []
    rest = [record for group in inventory.groups for record in group.rest]
    return sorted(rest, key=lambda record: record.index)


def hold_out_share(
    config: IngestConfig, train: list[InputRecord], reference: list[InputRecord], seed: int
) -> tuple[list[InputRecord], list[InputRecord]]:
    """Moves a part of the training images to the reference: `holdout`, or the default."""
    share = config.holdout
    if share is None:
        # Patches of one image overlap: the network would have seen parts of held-out ones.
        has_other = bool(reference) or config.reference is not None or config.patches is not None
        share = 0.0 if has_other else default_holdout(len(train))
    held = hold_out(train, share, config.reference_limit, seed)
    if config.patches is not None:
        images = {_content_of_patch(record): record for record in train}
        chosen = hold_out(list(images.values()), share, config.reference_limit, seed)
        contents = {_content_of_patch(record) for record in chosen}
        held = {record for record in train if _content_of_patch(record) in contents}
    kept = [record for record in train if record not in held]
    return kept, reference + [record for record in train if record in held]


def default_holdout(images: int) -> float:
    """ingest.holdout where nothing else gives held-out images, for so many that are chosen.

    None of fewer than 100. A tenth, by which training ends in time; where a fifth is enough for
    pilot and verdict to compare with, 60 images, or that fifth: from 250 images on.
    """
    if images < _HOLDOUT_FROM:
        return 0.0
    if _HOLDOUT_MOST * images < JUDGED:
        return _HOLDOUT
    return min(max(_HOLDOUT, TRIED / images), _HOLDOUT_MOST)


def _content_of_patch(record: InputRecord) -> str | None:
    """What image a decoded patch is cut from, under whatever names it lies in the sources."""
    return record.decoded.whole_sha256 if record.decoded else None


def note_sources(inventory: Inventory, progress: Progress) -> None:
    """Shows what a user should know about how the sources are read."""
    for note in source_notes(inventory):
        progress.note(f"ingest: {note}")


def source_notes(inventory: Inventory) -> Iterator[str]:
    """What a user should know about how the sources are read, and what in them is not."""
    for source in inventory.sources:
        yield from source.notes
    yield from inventory.notes
    endings = (os.path.splitext(r.input.name)[1] for r in inventory.records if not r.is_image)
    counts = Counter(ending.lower() for ending in endings if ending.lower() in _UNREAD)
    if counts:
        shown = ", ".join(f"{count} {ending}" for ending, count in sorted(counts.items()))
        yield (
            f"{inventory.title}: files of image formats that are not read are left out ({shown})."
            " Convert them, as in `mogrify -format png FILES`."
        )


def refuse_output_in_source(inventory: Inventory, out: Path) -> None:
    """Raises ConfigError where the corpus would become an input of the next run."""
    for source in inventory.sources:
        if source.folder is not None and out.resolve().is_relative_to(source.folder):
            raise ConfigError(
                f"The corpus is to be written to {out}, which lies inside {source.title}: the next"
                " run would read it as input. Put the run folder elsewhere."
            )


def source_rows(
    config: IngestConfig,
    inventory: Inventory,
    classes: list[str],
    train: list[InputRecord],
    reference: list[InputRecord],
) -> list[dict[str, Any]]:
    """A row of sources.parquet for every input, those of ingest.reference after the sources'."""
    limit = f"ingest.reference_limit {config.reference_limit}"
    reason = f"left out by {config.selection_option}"
    if not config.rest_is_unused and config.patches is None:
        reason += f"; {limit} is reached"
    class_ids: dict[str | None, int] = {name: number for number, name in enumerate(classes)}
    rows = [record.row(reason, class_ids) for record in inventory.records]
    rows += [
        record.row(f"left out by {limit}", class_ids) for record in inventory.reference_records
    ]
    for status, records in (("train", train), ("reference", reference)):
        for row, record in enumerate(records):
            key = f"{row:06d}" if status == "train" else None
            rows[record.index] |= {"status": status, "reason": None, "row": row, "key": key}
    return rows
