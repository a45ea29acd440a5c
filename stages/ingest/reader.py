"""Decodes inputs and sorts out bad ones, duplicates, and files that are no images."""

import hashlib
import statistics
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from ...manifests.errors import InputError
from ...manifests.foreign_text import printable
from ...manifests.plan.random_streams import image_seed, stream
from ..common.progress import Advance
from ..images.decode import Decoded, side_in_header
from ..images.decode_pool import DecodePool
from ..images.input import REPLACED, SECOND_IMAGE, Input
from ..images.pixel_file import PixelFile
from ..images.preparation import Preparation
from ..sources import tables, tars
from ..sources.base import FOLLOW_REMEDY, Source
from ..sources.folders import read_head
from .config import MaxBad
from .split import CandidateGroup, InputRecord

_HEADERS = 64  # that are read to find the usual size
_HEAD_BYTES = 1 << 20  # of a file of unknown kind, that are read
_LISTED = 10  # bad inputs that an error names
_FOLDERS = 5  # with tars or tables in them, that an error names
_ARCHIVES = (*tars.SUFFIXES, *tables.SUFFIXES)
_INSPECT = "inspect"  # neither hidden nor named like an image: its content decides


def list_records(source: Source, number: int, first: int, pool: DecodePool) -> list[InputRecord]:
    """A record for every input of the source `number`, with indices from `first` on.

    What is no image has its reason. A name that claims to be an image is believed until it is
    decoded. Of any other file the head is read, so that photos without an extension count and a
    README does not.
    """
    checks = [_check_name(item) for item in source.inputs]
    unknown = [item for item, check in zip(source.inputs, checks, strict=True) if check == _INSPECT]
    sides = pool.map(_side_of_unknown, unknown)
    records = []
    for index, (item, check) in enumerate(zip(source.inputs, checks, strict=True), first):
        reason: str | None = check
        if check == _INSPECT:
            reason = None if next(sides) is not None else "not an image"
        records.append(InputRecord(index, number, item, is_image=reason is None, reason=reason))
    return records


def _side_of_unknown(item: Input) -> int | None:
    """Short side in the header. Of a file only the head is read: it may be a film."""
    if item.path is not None:
        return side_in_header(partial(read_head, item.path, _HEAD_BYTES))
    return side_in_header(item.read)


def cut_into_patches(
    records: list[InputRecord], first: int, per_image: int, seed: int
) -> list[InputRecord]:
    """Replaces every image by `per_image` records, each a random patch; indices from `first` on.

    The positions depend on name and seed alone, so a larger `per_image` begins with the same ones.
    """
    patches: list[InputRecord] = []
    for record in records:
        if not record.is_image:
            patches.append(replace(record, index=first + len(patches)))
            continue
        random = stream(image_seed(seed, f"{record.source}/{record.input.name}"), "patches")
        for number, (left, top) in enumerate(random.random((per_image, 2)).tolist()):
            name = f"{record.input.name}#{number:04d}"
            patch = replace(record.input, name=name, patch=(left, top), declared_image=True)
            patches.append(replace(record, index=first + len(patches), input=patch))
    return patches


def image_of_patch(record: InputRecord) -> tuple[int, str]:
    """Source and name of the image that a patch is cut from."""
    return record.source, record.input.name.rpartition("#")[0]


def _check_name(item: Input) -> str | None:
    """None for an image by its name, else the reason why it is none, or _INSPECT."""
    if item.hidden:
        return "hidden file"
    if item.refused in (REPLACED, SECOND_IMAGE):
        return item.refused
    if item.claims_image:
        return None
    return item.refused or _INSPECT


def median_side(records: list[InputRecord], title: str) -> int:
    """Median of the short sides in pixels, from at most 64 headers spread evenly over the names.

    Raises:
        InputError: none of those headers is an image's.
    """
    images = [record for record in records if record.is_image and not record.input.refused]
    some = images[:: -(-len(images) // _HEADERS)] if images else []
    sides = [side for record in some if (side := side_in_header(record.input.read))]
    if not sides:
        raise no_images(title, records)
    return statistics.median_low(sides)


@dataclass
class BadInputLimit:
    """Counts the good and the bad images of one source; stops the run at ingest.max_bad."""

    title: str  # of the source, for messages
    limits: MaxBad
    good: int = 0
    bad: list[InputRecord] = field(default_factory=list)
    consecutive: int = 0  # bad ones since the last good one

    def count(self, record: InputRecord, is_good: bool) -> None:
        """Raises InputError, which names the first bad ones, if too many in a row are bad."""
        if is_good:
            self.good += 1
            self.consecutive = 0
            return
        self.bad.append(record)
        self.consecutive += 1
        if self.consecutive >= self.limits.consecutive:
            raise self._error(f"{self.consecutive} in a row")

    def check_fraction(self) -> None:
        """Once all are read: raises InputError if too large a part of them is bad."""
        if len(self.bad) > self.limits.fraction * (self.good + len(self.bad)):
            raise self._error(f"more than a part of {self.limits.fraction:g}")

    def _error(self, rule: str) -> InputError:
        return InputError(
            f"{self.title}: {len(self.bad)} of {len(self.bad) + self.good} images read are bad,"
            f" {rule}; ingest.max_bad stops there. The first are:{_reasons_of(self.bad)}\nMend or"
            " remove them, or raise ingest.max_bad.consecutive or ingest.max_bad.fraction."
        )


@dataclass(frozen=True)
class Reader:
    """Decodes records into the PixelFile until enough of them are good."""

    pool: DecodePool
    preparation: Preparation
    pixel_file: PixelFile
    keep_duplicates: bool
    forgotten: frozenset[str] = frozenset()  # sha256 of files and pixels that must not come back
    first_with_pixels: dict[str, InputRecord] = field(default_factory=dict)  # by pixel_sha256
    first_patch_of: dict[str, InputRecord] = field(default_factory=dict)  # by whole_sha256

    def read(
        self,
        groups: list[CandidateGroup],
        limit: BadInputLimit,
        advance: Advance,
        *,
        held_out: bool = False,
    ) -> list[InputRecord]:
        """Reads until every group has the images it needs or is used up; the good ones by index.

        Which records are read does not depend on timing: a round reads exactly as many as are
        needed, and the next one replaces those that were bad or duplicates.
        held_out: an image with the pixels of a training image is dropped, whatever the option says,
        and so is every patch of an image of which one is trained on.

        Raises:
            InputError: too many in a row are bad.
        """
        good: list[InputRecord] = []
        trained = self.first_with_pixels.keys() | self.first_patch_of.keys() if held_out else set()
        rounds = 0
        while batch := [(record, group) for group in groups for record in group.next_batch()]:
            batch.sort(key=lambda pair: pair[0].index)
            results = self.pool.decode([record.input for record, _ in batch], self.preparation)
            for (record, group), decoded in zip(batch, results, strict=True):
                is_stored = self._store_if_good(record, decoded, trained)
                is_readable = is_stored or record.duplicate_of is not None or record.forgotten
                limit.count(record, is_readable or decoded.excluded)
                if is_stored:
                    good.append(record)
                    group.needed -= 1
                if rounds == 0:  # replacements were not in the total
                    advance(1)
            rounds += 1
        return sorted(good, key=lambda record: record.index)

    def _store_if_good(self, record: InputRecord, decoded: Decoded, trained: set[str]) -> bool:
        """Moves the pixels to the PixelFile, the other results to the record; False if dropped."""
        record.decoded, record.reason = decoded, decoded.reason
        pixels, decoded.pixels = decoded.pixels, None
        if pixels is None or decoded.pixel_sha256 is None:
            return False
        if self.forgotten and self.forgotten & _content_hashes(decoded, pixels):
            record.forgotten = True
            return False
        if decoded.whole_sha256 is not None:
            # Patches lie elsewhere in a copy under another name: their own pixels differ.
            first = self.first_patch_of.setdefault(decoded.whole_sha256, record)
            is_copy = image_of_patch(first) != image_of_patch(record)
            if is_copy and (decoded.whole_sha256 in trained or not self.keep_duplicates):
                record.duplicate_of = image_of_patch(first)[1]
                return False
        first = self.first_with_pixels.setdefault(decoded.pixel_sha256, record)
        if first is not record and (decoded.pixel_sha256 in trained or not self.keep_duplicates):
            record.duplicate_of = first.input.name
            return False
        record.pixel_index = self.pixel_file.append(pixels)
        return True


def _content_hashes(decoded: Decoded, pixels: NDArray[np.uint8]) -> set[str | None]:
    """sha256 of the file, of its pixels, and of one channel (what a gray corpus keeps)."""
    gray = hashlib.sha256(pixels[..., :1].tobytes()).hexdigest() if decoded.gray else None
    return {decoded.sha256, decoded.pixel_sha256, gray}


def no_images(title: str, records: list[InputRecord]) -> InputError:
    """The error for a source none of whose files is an image."""
    if not records:
        return InputError(
            f"{title} is empty. Name a source, or a folder in it (path), that holds images."
        )
    files = "1 file" if len(records) == 1 else f"{len(records):,} files"
    return InputError(
        f"{title} has {files} and none is an image:{_reasons_of(records)}\n"
        f"Name the folder that holds the images (source, path)"
        f"{_archives_in(records)}."
    )


def _archives_in(records: list[InputRecord]) -> str:
    """Which folders to name, where tars or tables lie in them."""
    names = (record.input.name for record in records)
    folders = {name.rpartition("/")[0] for name in names if name.lower().endswith(_ARCHIVES)}
    shown = sorted(folders - {""}, key=lambda folder: ("train" not in folder, folder))
    found = ", ".join(shown[:_FOLDERS]) + (", ..." if len(shown) > _FOLDERS else "")
    return f"; tars or tables are in: {found}" if shown else ""


def _reasons_of(records: list[InputRecord]) -> str:
    lines = [
        f"\n  {printable(record.input.name, line=True)}: {record.rejection}"
        for record in records[:_LISTED]
    ]
    more = len(records) - _LISTED
    text = "".join(lines) + (f"\n  and {more} more" if more > 0 else "")
    links = any((record.rejection or "").startswith("symbolic link") for record in records)
    return f"{text}\n{FOLLOW_REMEDY}" if links else text
