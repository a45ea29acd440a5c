"""listing: what there is in the sources, which class it has, and which of it is to be read."""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from ...manifests.errors import ConfigError
from ..images.decode import Preparation, pillow_limits
from ..images.decode_pool import Decoders, prepare
from ..sources.base import Source
from ..sources.open import open_source
from ..sources.remote import FetchOptions
from .config import SIDES, IngestConfig
from .reader import cut_up, list_records, median_side, no_images
from .split import Group, InputRecord, choose, class_label_name, classify, hold_out

_HOLDOUT = 0.1  # where nothing else gives held-out images ...
_HOLDOUT_FROM = 100  # ... and there are at least so many images


@dataclass(frozen=True)
class Inventory:
    """What is there, which class it has, and which of it is to be looked at."""

    what: str  # the sources, for messages
    sources: list[Source]
    pool: Decoders
    records: list[InputRecord]  # of the sources
    others: list[InputRecord]  # of ingest.reference; their rows come after the sources'
    how: Preparation
    classes: list[str]
    groups: list[Group]  # to train on


@contextlib.contextmanager
def open_inventory(
    config: IngestConfig,
    seed: int,
    workers: int | None,
    *,
    reading: bool = True,
    fetching: FetchOptions | None = None,
) -> Iterator[Inventory]:
    """Opens the sources and lists what is in them; they can be read as long as it is open.

    reading: all of them will be; otherwise no decoding process is started ahead.
    fetching: where to sources at URLs are fetched.
    """
    workers = workers or min(16, len(os.sched_getaffinity(0)))
    with (
        pillow_limits(config.max_pixels),
        contextlib.ExitStack() as stack,
        Decoders(workers) as pool,
    ):
        asked = config.sources
        key = "ingest.source" if len(asked) == 1 else "ingest.source[{}]"
        sources = [
            stack.enter_context(open_source(item, key.format(place), fetching))
            for place, item in enumerate(asked)
        ]
        what = sources[0].what if len(sources) == 1 else f"ingest.source ({len(sources)} sources)"
        parts: list[tuple[Source, list[InputRecord]]] = []
        first = 0
        for place, source in enumerate(sources):
            part = list_records(source, place, first, pool)
            if config.patches is not None:
                part = cut_up(part, first, config.patches.per_image, seed)
            parts.append((source, part))
            first += len(part)
        records = [record for _, part in parts for record in part]
        if not any(record.is_image for record in records):
            raise no_images(what, records)
        if reading:
            pool.expect(len(records))
        how = _preparation(config, sources, records, what)
        classes = classify(parts, lambda record: not prepare([record.input], how)[0].reason)
        choice = partial(choose, limit=config.limit, per_class=config.per_class)
        groups = choice(records, what, fraction=config.fraction, seed=seed)
        others = _reference(config, stack, first, pool, classes, fetching)
        yield Inventory(what, sources, pool, records, others, how, classes, groups)


def _reference(
    config: IngestConfig,
    stack: contextlib.ExitStack,
    first: int,
    pool: Decoders,
    classes: list[str],
    fetching: FetchOptions | None,
) -> list[InputRecord]:
    """The inputs of ingest.reference, with a class where the training images have it too."""
    if config.beside is None:
        return []
    source = stack.enter_context(open_source(config.beside, "ingest.reference", fetching))
    records = list_records(source, -1, first, pool)
    digits = len(classes[-1]) if classes and classes[-1].isdecimal() else 0
    for record in records:
        name = class_label_name(record.input.label, digits)
        record.class_name = name if record.is_image and name in classes else None
    return records


def _preparation(
    config: IngestConfig, sources: list[Source], records: list[InputRecord], what: str
) -> Preparation:
    suggested = {source.resolution for source in sources}
    side = config.resolution or (suggested.pop() if len(suggested) == 1 else None)
    if side is None:
        median = config.patches.size if config.patches else median_side(records, what)
        side = min(SIDES[-1], max(SIDES[0], 1 << (median.bit_length() - 1)))
    return replace(
        config.preparation(side, gray=config.colour == "gray"),
        min_side=config.min_side,
        max_aspect=config.max_aspect,
        patch_side=config.patches.size if config.patches else 0,
    )


def spares(config: IngestConfig, found: Inventory) -> list[InputRecord]:
    """Images that may be held out, in name order."""
    if config.reference is not None:
        return [record for record in found.others if record.is_image]
    if config.holdout or config.patches is not None:  # patches of one image overlap
        return []
    left = [record for group in found.groups for record in group.left_out]
    return sorted(left, key=lambda record: record.index)


def hold_out_share(
    config: IngestConfig, train: list[InputRecord], reference: list[InputRecord], seed: int
) -> tuple[list[InputRecord], list[InputRecord]]:
    """Moves `holdout` of the training images to the reference, where it is asked for or due."""
    share = config.holdout
    if share is None:
        # Patches of one image overlap: those held out would not be unseen.
        due = not reference and config.reference is None and config.patches is None
        due = due and len(train) >= _HOLDOUT_FROM
        share = _HOLDOUT if due else 0.0
    held = hold_out(train, share, config.reference_limit, seed)
    if config.patches is not None:
        images = {_image(record): record for record in train}
        chosen = hold_out(list(images.values()), share, config.reference_limit, seed)
        names = {_image(record) for record in chosen}
        held = {record for record in train if _image(record) in names}
    kept = [record for record in train if record not in held]
    return kept, reference + [record for record in train if record in held]


def _image(record: InputRecord) -> tuple[int, str]:
    """Of which image a patch is."""
    return record.source, record.input.name.rpartition("#")[0]


def keep_apart(found: Inventory, out: Path) -> None:
    """Raises ConfigError where the corpus would become an input of the next run."""
    for source in found.sources:
        if source.folder is not None and out.resolve().is_relative_to(source.folder):
            raise ConfigError(
                f"The corpus is to be written to {out}, which lies inside {source.what}: what a run"
                " writes would be its input the next time. Put the run folder elsewhere."
            )
