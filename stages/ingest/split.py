"""Splits the inputs into training and held-out images.

Every draw is seeded and depends on names and classes alone, never on the order of work.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from ...manifests.errors import ConfigError
from ...manifests.plan.random_streams import image_seed, stream
from ...manifests.plan.schema import SOURCES
from ..corpus.store import FORGOTTEN, FORGOTTEN_REASON
from ..images.decode import Decoded
from ..images.input import Input

_MIN_TRAIN_PER_CLASS = 2  # never held out: an image needs a partner of its class


@dataclass(eq=False, slots=True)
class InputRecord:
    """One input on its way to a row of sources.parquet."""

    index: int  # of its row
    source: int  # place in ingest.source, -1 for ingest.reference
    input: Input
    is_image: bool  # by name or by content; whether it can be used is known once it is decoded
    class_name: str | None = None
    decoded: Decoded | None = None  # without its pixels, which are in the PixelFile
    pixel_index: int | None = None  # of its pixels in the PixelFile, if it is good
    reason: str | None = None  # why it is rejected, once it was read
    duplicate_of: str | None = None  # the name of an earlier image with the same pixels
    forgotten: bool = False  # removed on request: it leaves a row without a name

    @property
    def rejection(self) -> str | None:
        """Why it cannot be used; None as long as nothing speaks against it."""
        return self.reason or self.input.refused

    @property
    def pixel_sha256(self) -> str | None:
        """sha256 of the prepared pixels; None where there are none."""
        return self.decoded.pixel_sha256 if self.decoded else None

    def row(self, unused_reason: str, class_ids: dict[str | None, int]) -> dict[str, Any]:
        """Its row of sources.parquet if it neither trains nor is held out.

        unused_reason: the reason in the row if nothing is wrong with it.
        """
        if self.forgotten:
            return self._tombstone()
        facts = self.decoded or Decoded()
        status, reason = "unused", unused_reason
        if self.rejection:
            status, reason = "rejected", self.rejection
        elif self.duplicate_of is not None:
            status, reason = "duplicate", f"same pixels as {self.duplicate_of}"
        return {
            "index": self.index,
            "source": self.source,
            "name": self.input.name,
            "status": status,
            "reason": reason,
            "class_id": class_ids.get(self.class_name, -1),
            "class_name": self.class_name,
            "bytes": facts.bytes,
            "sha256": facts.sha256,
            "pixel_sha256": facts.pixel_sha256,
            "format": facts.format,
            "mode": facts.mode,
            "width": facts.width,
            "height": facts.height,
            "note": facts.note,
            "phash": None if facts.phash is None else f"{facts.phash:016x}",
            "license": self.input.license,
        }

    def _tombstone(self) -> dict[str, Any]:
        """The hashes alone, by which it is recognised."""
        assert self.decoded is not None
        return dict.fromkeys(SOURCES.names) | {
            "index": self.index,
            "source": self.source,
            "status": FORGOTTEN,
            "reason": FORGOTTEN_REASON,
            "class_id": -1,
            "sha256": self.decoded.sha256,
            "pixel_sha256": self.decoded.pixel_sha256,
        }


@dataclass
class CandidateGroup:
    """Records to read, in order, until `needed` of them are good: later ones replace bad ones."""

    candidates: list[InputRecord]
    needed: int  # good ones still to be found
    position: int = 0  # of the next candidate

    def next_batch(self) -> list[InputRecord]:
        """The next records to read: as many as are needed; empty when done or used up."""
        batch = self.candidates[self.position : self.position + self.needed]
        self.position += len(batch)
        return batch

    @property
    def rest(self) -> list[InputRecord]:
        """Candidates that were not read."""
        return self.candidates[self.position :]


def select_training(
    records: Iterable[InputRecord],
    title: str,
    *,
    limit: int | None,
    per_class: int | None,
    fraction: float | None,
    seed: int,
) -> list[CandidateGroup]:
    """The candidates for training, in groups; without any of the options, all images in one.

    `limit` takes one image of every class in turn: in name order, the first so many would be of the
    first classes alone. Without classes, it takes the first.

    title: of the sources, for messages. limit, per_class, fraction, seed: as in IngestConfig.

    Raises:
        ConfigError: per_class, and there are no classes.
    """
    images = [record for record in records if record.is_image]
    classes: dict[str | None, list[InputRecord]] = {}
    for record in images:
        classes.setdefault(record.class_name, []).append(record)
    if limit is not None:
        return [CandidateGroup(_in_turn(classes), limit)]
    if per_class is None and fraction is None:
        return [CandidateGroup(images, len(images))]
    if per_class is not None:
        if images and classes.keys() == {None}:
            raise ConfigError(
                f"ingest.per_class is {per_class}, and {title} has no classes: its images lie in"
                " one folder. Use ingest.limit, or sort the images into a folder per class."
            )
        return [CandidateGroup(members, per_class) for members in classes.values()]
    assert fraction is not None
    return [
        CandidateGroup(
            shuffled(members, seed, f"fraction/{name}"), max(1, round(fraction * len(members)))
        )
        for name, members in classes.items()
    ]


def _in_turn(classes: dict[str | None, list[InputRecord]]) -> list[InputRecord]:
    """The first of every class, then the second of each; those without a class at the end."""
    named = [members for name, members in classes.items() if name is not None]
    rounds = zip_longest(*named)
    turns = [record for members in rounds for record in members if record is not None]
    return turns + classes.get(None, [])


def shuffled(records: list[InputRecord], seed: int, purpose: str) -> list[InputRecord]:
    """A seeded permutation; another `purpose` gives another one."""
    order = stream(image_seed(seed, "ingest"), purpose).permutation(len(records))
    return [records[index] for index in order]


def hold_out(records: list[InputRecord], share: float, at_most: int, seed: int) -> set[InputRecord]:
    """A seeded choice of round(share N) records, spread evenly over the classes.

    Two images of every class stay, so fewer may be held out where classes are small.
    """
    classes: dict[str | None, list[InputRecord]] = {}
    for record in records:
        classes.setdefault(record.class_name, []).append(record)
    # An image that occurs twice is never held out: its copy would stay in training.
    copies = Counter(record.pixel_sha256 for record in records if record.pixel_sha256)
    free = [
        record
        for name, members in classes.items()
        for record in shuffled(members, seed, f"holdout/{name}")[_MIN_TRAIN_PER_CLASS:]
        if copies[record.pixel_sha256 or ""] < 2
    ]
    count = min(round(share * len(records)), at_most, len(free))
    # `free` is sorted by class: equal distances take each class's share, to within one image.
    return {free[(2 * step + 1) * len(free) // (2 * count)] for step in range(count)}
