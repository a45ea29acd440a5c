"""Looks into a source before anything is made of it: counts, sizes, classes, copies, bad files."""

import hashlib
import os
import statistics
from collections import Counter, defaultdict
from dataclasses import dataclass

from ..images.decode import size_in_header
from ..images.input import Input
from .config import IngestConfig
from .inventory import open_inventory, source_notes
from .reader import no_images
from .split import InputRecord

_HEADERS = 256  # that are read for the sizes
_DECODED = 32  # images, to see which are bad and which are gray
_HASHED = 20_000  # images among which copies are looked for, at most
_READ_WHOLE = 2_000  # the same, where sizes of files are not known beforehand


@dataclass(frozen=True)
class SourceSurvey:
    """What is in a source, as far as its listing, some headers and a few decoded images show."""

    title: str  # of the source, for people
    images: int
    others: int  # files that are no images
    classes: dict[str, int]  # name -> images, in the order of the classes; {} without
    sides: tuple[int, int, int]  # least, median and largest short side in pixels
    aspect: float  # median of long side / short side
    all_gray: bool  # of those decoded
    copies: int | None  # files whose bytes are those of an earlier one; None: not counted
    bad: dict[str, str]  # name -> why it cannot be used, of those decoded
    decoded: int  # how many were
    suggested: int | None  # side in pixels that the source itself suggests
    notes: tuple[str, ...]  # on how it is read


def survey_source(config: IngestConfig, workers: int | None = None) -> SourceSurvey:
    """Looks into the sources of `config`; writes nothing.

    workers: as `ingest` has it. Raises what `ingest` raises before it decodes, and InputError where
    no header can be read.
    """
    with open_inventory(config, 0, workers, decode_all=False) as inventory:
        images = [record for record in inventory.records if record.is_image]
        usable = [record for record in images if not record.rejection]
        sizes = _sizes(_spread(usable, _HEADERS))
        if not sizes:
            raise no_images(inventory.title, inventory.records)
        some = _spread(usable, _DECODED)
        found = list(inventory.pool.decode([r.input for r in some], inventory.preparation))
        bad = {
            record.input.name: str(image.reason)
            for record, image in zip(some, found, strict=True)
            if image.reason
        }
        sides = [min(size) for size in sizes]
        counts = Counter(record.class_name for record in images)
        return SourceSurvey(
            title=inventory.title,
            images=len(images),
            others=len(inventory.records) - len(images),
            classes={name: counts[name] for name in inventory.classes},
            sides=(min(sides), statistics.median_low(sides), max(sides)),
            aspect=statistics.median(max(size) / min(size) for size in sizes),
            all_gray=all(image.gray for image in found if not image.reason),
            copies=_count_copies([record.input for record in usable]),
            bad=bad,
            decoded=len(some),
            suggested=next((source.resolution for source in inventory.sources), None),
            notes=tuple(source_notes(inventory)),
        )


def _spread(records: list[InputRecord], most: int) -> list[InputRecord]:
    """At most so many, evenly over the names."""
    return records[:: -(-len(records) // most)] if records else []


def _sizes(records: list[InputRecord]) -> list[tuple[int, int]]:
    found = [size_in_header(record.input.read) for record in records]
    return [size for size in found if size is not None and min(size) > 0]


def _count_copies(inputs: list[Input]) -> int | None:
    """Inputs with the bytes of an earlier one; files are read where another has their size."""
    if len(inputs) > _HASHED:
        return None
    on_disk = all(item.path is not None for item in inputs)
    if not on_disk and len(inputs) > _READ_WHOLE:
        return None
    by_size: dict[int, list[Input]] = defaultdict(list)
    for item in inputs:
        by_size[os.path.getsize(item.path) if item.path is not None else -1].append(item)
    copies = 0
    for size, alike in by_size.items():
        if len(alike) > 1 or size < 0:
            copies += len(alike) - len({_digest(item) for item in alike})
    return copies


def _digest(item: Input) -> str:
    """sha256 of the bytes; of what cannot be read its name, which no other has."""
    try:
        return hashlib.sha256(item.read()).hexdigest()
    except Exception:  # decoding gives the reason
        return item.name
