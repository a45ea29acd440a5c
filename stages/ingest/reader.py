"""reading: inputs are looked at and decoded, what is bad or double is told apart."""

import hashlib
import statistics
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from ...manifests.errors import InputError
from ...manifests.plan.random_streams import image_seed, stream
from ..common.progress import Advance
from ..corpus.store import Staging
from ..images.decode import Decoded, Preparation, side_in_header
from ..images.decode_pool import Decoders
from ..images.input import Input
from ..sources.base import Source
from ..sources.folders import read_head
from .split import Group, InputRecord

_HEADERS = 64  # read to find the usual size
_HEAD = 1 << 20  # bytes of a file of unknown kind that are read
_LISTED = 10  # bad inputs that an error names


def list_records(source: Source, place: int, first: int, pool: Decoders) -> list[InputRecord]:
    """A record for every input of the source at `place`, numbered from `first`.

    What is no image has its reason. A name that claims to be an image is believed until it is
    decoded; any other file is looked into, so that photos without an extension count and a README
    does not.
    """
    claims = [_claim(item) for item in source.inputs]
    unclear = [
        item for item, claim in zip(source.inputs, claims, strict=True) if claim == "look inside"
    ]
    sides = pool.map(_side_of_unknown, unclear)
    records = []
    for index, (item, claim) in enumerate(zip(source.inputs, claims, strict=True), first):
        reason: str | None = claim
        if claim == "look inside":
            reason = None if next(sides) is not None else "not an image"
        records.append(InputRecord(index, place, item, is_image=reason is None, reason=reason))
    return records


def _side_of_unknown(item: Input) -> int | None:
    """From the file's head: a film beside the images is not read whole to find that it is none."""
    if item.path is not None:
        return side_in_header(partial(read_head, item.path, _HEAD))
    return side_in_header(item.read)


def cut_up(records: list[InputRecord], first: int, per_image: int, seed: int) -> list[InputRecord]:
    """`per_image` records in place of every image, each a patch at a seeded place; renumbered.

    The places depend on name and seed alone, so that more patches begin with the same ones.
    """
    found: list[InputRecord] = []
    for record in records:
        if not record.is_image:
            found.append(replace(record, index=first + len(found)))
            continue
        random = stream(image_seed(seed, f"{record.source}/{record.input.name}"), "patches")
        for number, (left, top) in enumerate(random.random((per_image, 2)).tolist()):
            name = f"{record.input.name}#{number:04d}"
            patch = replace(record.input, name=name, patch=(left, top), declared_image=True)
            found.append(replace(record, index=first + len(found), input=patch))
    return found


def _claim(item: Input) -> str | None:
    """None for an image by name, else why it is none, or "look inside"."""
    if item.hidden:
        return "hidden file"
    if item.claims_image:
        return None
    return item.refused or "look inside"


def median_side(records: list[InputRecord], what: str) -> int:
    """Median of the short sides in pixels, from at most 64 headers spread evenly over the names.

    Raises:
        InputError: none of those headers is an image's.
    """
    images = [record for record in records if record.is_image and not record.input.refused]
    some = images[:: -(-len(images) // _HEADERS)] if images else []
    sides = [side for record in some if (side := side_in_header(record.input.read))]
    if not sides:
        raise no_images(what, records)
    return statistics.median_low(sides)


@dataclass
class Tally:
    """Counts the good and the bad images of one source, and says when it is enough."""

    what: str  # the source, for messages
    in_a_row_limit: int  # so many bad ones in a row stop the run
    fraction_limit: float  # more than this part of those that were read stops it
    good: int = 0
    bad: list[InputRecord] = field(default_factory=list)
    in_a_row: int = 0

    def add(self, record: InputRecord, readable: bool) -> None:
        """Raises InputError at the last straw; names the first bad ones."""
        if readable:
            self.good += 1
            self.in_a_row = 0
            return
        self.bad.append(record)
        self.in_a_row += 1
        if self.in_a_row >= self.in_a_row_limit:
            raise self._error(f"{self.in_a_row} in a row")

    def conclude(self) -> None:
        """Once all is read: raises InputError if too large a part was bad."""
        if len(self.bad) > self.fraction_limit * (self.good + len(self.bad)):
            raise self._error(f"more than a part of {self.fraction_limit:g}")

    def _error(self, rule: str) -> InputError:
        return InputError(
            f"{self.what}: {len(self.bad)} of {len(self.bad) + self.good} images read are bad,"
            f" {rule}; ingest.max_bad stops there. The first are:{_named(self.bad)}\nMend or remove"
            " them, or raise ingest.max_bad.consecutive or ingest.max_bad.fraction."
        )


@dataclass(frozen=True)
class Reader:
    """Decodes records into the staging file until enough of them are good."""

    pool: Decoders
    how: Preparation
    staging: Staging
    keep_duplicates: bool
    refused: frozenset[str] = frozenset()  # hashes of files and pixels that were forgotten
    seen: dict[str, InputRecord] = field(
        default_factory=dict
    )  # the first record of every pixel hash

    def read(
        self, groups: list[Group], tally: Tally, advance: Advance, *, held_out: bool = False
    ) -> list[InputRecord]:
        """Reads until every group has what it wants or is used up; the good ones by index.

        Which records are read does not depend on timing: a round reads exactly as many as are
        still wanted, the next one replaces those that were bad or double.
        held_out: what has the pixels of a training image is not taken, whatever the option says.

        Raises:
            InputError: too many in a row are bad.
        """
        good: list[InputRecord] = []
        trained = set(self.seen) if held_out else set()
        rounds = 0
        while batch := [(record, group) for group in groups for record in group.take()]:
            batch.sort(key=lambda pair: pair[0].index)
            results = self.pool.prepare([record.input for record, _ in batch], self.how)
            for (record, group), decoded in zip(batch, results, strict=True):
                is_good = self._settle(record, decoded, trained)
                was_read = is_good or record.twin is not None or record.forgotten
                tally.add(record, was_read or decoded.policy)
                if is_good:
                    good.append(record)
                    group.wanted -= 1
                if rounds == 0:  # replacements were not in the total
                    advance(1)
            rounds += 1
        return sorted(good, key=lambda record: record.index)

    def _settle(self, record: InputRecord, decoded: Decoded, trained: set[str]) -> bool:
        """Puts the pixels away and keeps the facts; True if they are wanted."""
        record.decoded, record.reason = decoded, decoded.reason
        pixels, decoded.pixels = decoded.pixels, None
        if pixels is None or decoded.pixel_sha256 is None:
            return False
        if self.refused and self.refused & _hashes(decoded, pixels):
            record.forgotten = True
            return False
        first = self.seen.setdefault(decoded.pixel_sha256, record)
        if first is not record and (decoded.pixel_sha256 in trained or not self.keep_duplicates):
            record.twin = first.input.name
            return False
        record.slot = self.staging.append(pixels)
        return True


def _hashes(decoded: Decoded, pixels: NDArray[np.uint8]) -> set[str | None]:
    """Of the file, of the pixels, and of one channel: a corpus that is all gray keeps one."""
    gray = hashlib.sha256(pixels[..., :1].tobytes()).hexdigest() if decoded.gray else None
    return {decoded.sha256, decoded.pixel_sha256, gray}


def no_images(what: str, records: list[InputRecord]) -> InputError:
    if not records:
        return InputError(
            f"{what} is empty. Name a source that holds images (ingest.source, ingest.path)."
        )
    return InputError(
        f"{what} has {len(records)} files and none is an image:{_named(records)}\n"
        "Name the folder that holds the images (ingest.source, ingest.path)."
    )


def _named(records: list[InputRecord]) -> str:
    lines = [f"\n  {record.input.name}: {record.why_not}" for record in records[:_LISTED]]
    more = len(records) - _LISTED
    return "".join(lines) + (f"\n  and {more} more" if more > 0 else "")
