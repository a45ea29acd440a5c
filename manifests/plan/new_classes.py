"""New classes: each a mixture of classes of the corpus (SM-REC, Rahimi & Marcel).

A corpus of K classes has ids 0 to K-1; the new ones follow in the order of their list.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..errors import ConfigError, VerifyError
from ..files.atomic import canonical_digest, write_json
from ..files.json_reader import parse_json
from .methods import Selection, extrapolates
from .random_streams import image_seed, stream


@dataclass(frozen=True)
class NewClass:
    """A class that no real image has."""

    id: int  # K + its place among the new classes
    name: str  # names of its classes, "+" between them
    classes: tuple[int, ...]  # ids of the classes that it mixes, at least two, none twice
    weights: tuple[float, ...]  # of their scores, sum 1
    distance: float | None  # cosine distance of the centres, largest pair; None: unknown
    selection: Selection

    @property
    def extrapolates(self) -> bool:
        """Whether its weights are not convex: its images leave the range of the data."""
        return extrapolates(self.weights)

    def as_json(self) -> dict[str, Any]:
        """As index.json and new_classes.json have it."""
        return asdict(self) | {"classes": list(self.classes), "weights": list(self.weights)}

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> "NewClass":
        """Raises KeyError, TypeError or ValueError for anything that `as_json` does not give."""
        distance = fields["distance"]
        found = cls(
            id=int(fields["id"]),
            name=str(fields["name"]),
            classes=tuple(map(int, fields["classes"])),
            weights=tuple(map(float, fields["weights"])),
            distance=None if distance is None else float(distance),
            selection=fields["selection"],
        )
        if found.as_json() != fields or found.selection not in ("distant", "close", "random"):
            raise ValueError(f"{fields!r} is no new class")
        return found


def class_count(
    asked: int | None, classes: int, members: int, named: str = "generate.new_classes"
) -> int:
    """How many new classes of so many members there are to be, of `classes` real ones.

    asked: None for as many as real ones, or all that there are where these are fewer. named: what
    asks for them.

    Raises ConfigError where there are not as many.
    """
    if classes < members:
        raise ConfigError(
            f"A new class mixes {members} classes (generate.weights), and the corpus has {classes}."
            " Add classes, or give fewer weights."
        )
    possible = math.comb(classes, members)
    if asked is not None and asked > possible:
        raise ConfigError(
            f"{named} is {asked}, and of {classes} classes there are {possible}"
            f" different choices of {members}. Set it to {possible} or fewer."
        )
    return min(classes, possible) if asked is None else asked


def random_classes(
    names: Sequence[str], count: int, weights: Sequence[float], seed: int
) -> list[NewClass]:
    """`count` different choices of classes, each as likely, in the order in which they are drawn.

    names: of the real classes by id. The first n of a longer list are the list of n. Which class
    comes first, and has the first weight, is drawn, too.
    """
    random = stream(image_seed(seed, "new-classes"), "random")
    members, made, drawn = len(weights), list[NewClass](), set[tuple[int, ...]]()
    while len(made) < count:
        ids = tuple(int(id_) for id_ in random.permutation(len(names))[:members])
        if (same := tuple(sorted(ids))) in drawn:
            continue
        drawn.add(same)
        name = "+".join(names[id_] for id_ in ids)
        place = len(names) + len(made)
        made.append(NewClass(place, name, ids, tuple(weights), None, "random"))
    return made


def digest_of(new_classes: Sequence[NewClass]) -> str:
    """What a recipe records of them."""
    return canonical_digest([one.as_json() for one in new_classes])


def check_new_classes(new_classes: Sequence[NewClass], classes: int) -> None:
    """Raises ValueError unless ids follow those of `classes` real ones, whose ids members have."""
    ids = [one.id for one in new_classes]
    if ids != list(range(classes, classes + len(ids))):
        raise ValueError(f"ids of new classes are {ids[:5]} ..., and must go on from {classes}")
    for one in new_classes:
        if len(one.classes) < 2 or len(set(one.classes)) < len(one.classes):
            raise ValueError(f"{one.name} must mix two or more different classes")
        if len(one.weights) != len(one.classes) or not all(0 <= i < classes for i in one.classes):
            raise ValueError(f"{one.name} has weights or classes that do not fit")


def write_new_classes(
    path: Path, new_classes: Sequence[NewClass], made_from: dict[str, Any], corpus_digest: str
) -> None:
    """Writes recogniser/new_classes.json: a selection, with what it was made from.

    made_from: JSON-able identity of the selection: recogniser, options, seed.
    """
    listed = [one.as_json() for one in new_classes]
    content = {"corpus": corpus_digest, "made_from": made_from, "new_classes": listed}
    write_json(path, content | {"digest": canonical_digest(content)})


def read_new_classes(path: Path, corpus_digest: str, classes: int) -> list[NewClass]:
    """The selection in the file.

    classes: real ones of the corpus.

    Raises VerifyError where it is missing or damaged, or was made for another corpus.
    """
    remedy = "Restore it; or delete it, and run the same command again."
    try:
        content = parse_json(path.read_bytes())
        digest = content.pop("digest")
        if digest != canonical_digest(content):
            raise ValueError("its content does not have its digest")
        found = [NewClass.from_json(fields) for fields in content["new_classes"]]
        check_new_classes(found, classes)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise VerifyError(f"{path} cannot be used ({error}). {remedy}") from error
    if content["corpus"] != corpus_digest:
        raise VerifyError(f"{path} chooses classes of another corpus than this run has. {remedy}")
    return found
