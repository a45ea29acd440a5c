"""selection: which inputs train, which are held out, and which class they have.

Every draw is seeded and looks at names and classes only, never at the order of work.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from ..manifests.errors import ConfigError
from ..manifests.streams import image_seed, stream
from .decode import Decoded
from .sources import Input

_KEPT_PER_CLASS = 2  # never held out: an image needs a partner of its class
_LISTED = 5  # folders that an error names


@dataclass(eq=False)
class Record:
    """One input on its way to a row of sources.parquet."""

    index: int  # of its row
    input: Input
    is_image: bool  # by name or by content; whether it can be used is known once it is decoded
    class_name: str | None = None
    decoded: Decoded | None = None  # without its pixels, which are in the staging file
    slot: int | None = None  # place in the staging file, if it is good
    reason: str | None = None  # why it is rejected

    @property
    def why_not(self) -> str | None:
        return self.reason or self.input.refused

    def row(self, left_out: str, classes: list[str]) -> dict[str, Any]:
        """Its row of sources.parquet as long as nobody takes it, with all that is known of it.

        left_out: the reason of a good one.
        """
        facts = self.decoded or Decoded()
        return {
            "index": self.index,
            "name": self.input.name,
            "status": "rejected" if self.why_not else "unused",
            "reason": self.why_not or left_out,
            "class_id": classes.index(self.class_name) if self.class_name in classes else -1,
            "class_name": self.class_name,
            "bytes": facts.bytes,
            "sha256": facts.sha256,
            "format": facts.format,
            "mode": facts.mode,
            "width": facts.width,
            "height": facts.height,
            "note": facts.note,
            "license": self.input.license,
        }


@dataclass
class Group:
    """Records of which `wanted` good ones are to be found, in this order; bad ones are replaced."""

    order: list[Record]
    wanted: int  # counted down with every good one
    taken: int = 0

    def take(self) -> list[Record]:
        """The next records to read: as many as are still wanted, empty when done or used up."""
        batch = self.order[self.taken : self.taken + self.wanted]
        self.taken += len(batch)
        return batch

    @property
    def left_out(self) -> list[Record]:
        return self.order[self.taken :]


def classify(records: Iterable[Record], what: str, usable: Callable[[Record], bool]) -> list[str]:
    """Gives every image its class and returns the names of the classes, sorted; [] without.

    The class is what the source says, else the first folder below the root.
    usable: decodes a record; asked only where images lie both in the root and in folders.

    Raises:
        ConfigError: usable images lie both in the root and in folders.
    """
    images = [record for record in records if record.is_image]
    for record in images:
        record.class_name = record.input.label or record.input.folder
    loose = [record for record in images if record.class_name is None]
    nested = [record for record in images if record.class_name is not None]
    if loose and nested:
        # A broken file among the class folders, or below unlabelled images, is no mixture.
        good = next(filter(usable, loose), None)
        other = next(filter(usable, nested), None) if good else None
        if good and other:
            folders = sorted({record.class_name or "" for record in nested})
            more = ", ..." if len(folders) > _LISTED else ""
            raise ConfigError(
                f"{what} has {len(loose)} images directly in it ({good.input.name!r}) and"
                f" {len(nested)} in {len(folders)} folders ({', '.join(folders[:_LISTED])}{more}):"
                " are the folders classes? Then move the loose images into one; else move all"
                " images into one folder, or name a folder with ingest.path."
            )
        if good:
            for record in nested:
                record.class_name = None
            return []
    return sorted({record.class_name for record in nested if record.class_name is not None})


def choose(
    records: Iterable[Record],
    what: str,
    *,
    limit: int | None,
    per_class: int | None,
    fraction: float | None,
    seed: int,
) -> list[Group]:
    """The training images to look for, in groups; without any of the options, all of them.

    Raises:
        ConfigError: per_class, and there are no classes.
    """
    images = [record for record in records if record.is_image]
    if per_class is None and fraction is None:
        return [Group(images, len(images) if limit is None else limit)]
    classes: dict[str | None, list[Record]] = {}
    for record in images:
        classes.setdefault(record.class_name, []).append(record)
    if per_class is not None:
        if images and classes.keys() == {None}:
            raise ConfigError(
                f"ingest.per_class is {per_class}, and {what} has no classes: its images lie in one"
                " folder. Use ingest.limit, or sort the images into a folder per class."
            )
        return [Group(members, per_class) for members in classes.values()]
    assert fraction is not None
    return [
        Group(shuffled(members, seed, f"fraction/{name}"), max(1, round(fraction * len(members))))
        for name, members in classes.items()
    ]


def shuffled(records: list[Record], seed: int, purpose: str) -> list[Record]:
    order = stream(image_seed(seed, "ingest"), purpose).permutation(len(records))
    return [records[place] for place in order]


def hold_out(records: list[Record], share: float, at_most: int, seed: int) -> set[Record]:
    """A seeded choice of round(share N) records, spread evenly over the classes.

    Two images of every class stay, so fewer may be held out where classes are small.
    """
    classes: dict[str | None, list[Record]] = {}
    for record in records:
        classes.setdefault(record.class_name, []).append(record)
    free = [
        record
        for name, members in classes.items()
        for record in shuffled(members, seed, f"holdout/{name}")[_KEPT_PER_CLASS:]
    ]
    count = min(round(share * len(records)), at_most, len(free))
    # Class after class, at equal distances: every class gives its share, to within one image.
    return {free[(2 * place + 1) * len(free) // (2 * count)] for place in range(count)}
