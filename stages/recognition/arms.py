"""Arms: what the recognisers of a comparison are trained on."""

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from ...manifests.plan.methods import CLASS_METHODS, NEW_CLASS_METHODS, Selection

REAL, OWN = "real", "own"
TWICE = "real@twice"  # trained for twice as many updates: what length alone does
AFFINE = "+affine"
METHODS = ("compose", "condition-mix", "mixup-classes", "reproduce")
assert CLASS_METHODS == {*METHODS}

# again: distant, by a recogniser that was trained on the arm without this word.
ArmSelection = Literal["distant", "close", "random", "again"]
_SELECTIONS: tuple[ArmSelection, ...] = get_args(ArmSelection)
assert {*_SELECTIONS} == {*get_args(Selection), "again"}
# NAME, @SELECTION (or real@twice), :IMAGES of each class, :IMAGESxCLASSES or :xCLASSES, +affine;
# with - for the colon, as tables and folders have it
_ARM = re.compile(
    r"(?P<name>[a-z]+(?:-[a-z]+)*)(?:@(?P<selection>[a-z]+))?"
    r"(?:[:-](?P<images>[1-9]\d{0,5})?(?:x(?P<classes>[1-9]\d{0,6}))?(?<=\d))?(?P<affine>\+affine)?"
)


@dataclass(frozen=True)
class MadeFor:
    """A corpus that is made for the comparison: the real images, and those of a method."""

    method: str  # of METHODS
    selection: ArmSelection | None = None  # of new classes; None: the run's
    images_per_class: int | None = None  # None: generate.images_per_class
    new_classes: int | None = None  # None: generate.new_classes

    @property
    def name(self) -> str:
        """As folders have it: compose, compose@random, compose-10, compose-10x50, compose-x50."""
        chosen = "" if self.selection is None else f"@{self.selection}"
        images = str(self.images_per_class or "")
        numbers = images + (f"x{self.new_classes}" if self.new_classes else "")
        return self.method + chosen + (f"-{numbers}" if numbers else "")


@dataclass(frozen=True)
class RecognitionArm:
    """What the recognisers of one row of the table are trained on."""

    corpus: str  # REAL: the training images; OWN: with those of the run's shards; made.name
    affine: bool  # small random turns, sizes and shifts of every image
    made: MadeFor | None = None  # None for REAL and OWN
    twice: bool = False  # trained for twice as many updates

    @property
    def name(self) -> str:
        """As tables and folders have it."""
        return (TWICE if self.twice else self.corpus) + (AFFINE if self.affine else "")


def parse_recognition_arms(
    texts: Sequence[str], images_per_class: Sequence[int] = (), new_classes: Sequence[int] = ()
) -> list[RecognitionArm]:
    """The arms in order.

    An arm by a method that names no number of images, or of classes, is one at each of
    `images_per_class`, or `new_classes`, if there are some.

    Raises ValueError for an unknown name, and for an arm that comes twice.
    """
    arms: list[RecognitionArm] = []
    for text in texts:
        arm = _parsed(text.strip())
        if arm.made is None:
            arms.append(arm)
            continue
        images = [arm.made.images_per_class]
        images = [*images_per_class] if images_per_class and images == [None] else images
        classes = [arm.made.new_classes]
        classes = [*new_classes] if new_classes and classes == [None] else classes
        for each, count in itertools.product(images, classes):
            made = MadeFor(arm.made.method, arm.made.selection, each, count)
            arms.append(RecognitionArm(made.name, arm.affine, made))
    names = [arm.name for arm in arms]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ValueError(f"the arm {twice} is named twice in {', '.join(texts)}")
    return arms


def are_rivals(arm: str, other: str) -> bool:
    """Whether `arm`, of made images or trained twice as long, is to be compared with `other`."""
    return arm not in (REAL, REAL + AFFINE) and arm.endswith(AFFINE) == other.endswith(AFFINE)


def table_name(text: str) -> str:
    """The name that tables and folders have of one arm, however it is written; as given where it
    is none."""
    try:
        return _parsed(text.strip()).name
    except ValueError:
        return text


def _parsed(text: str) -> RecognitionArm:
    """Raises ValueError for anything but NAME[@SELECTION][:IMAGES[xCLASSES]][+affine]."""
    found = _ARM.fullmatch(text)
    name = "" if found is None else found["name"]
    if found is None or name not in (REAL, OWN, *METHODS):
        raise ValueError(
            f"no arm {text!r}; use {', '.join((REAL, TWICE, OWN, *METHODS))}, each with {AFFINE}"
            " too. A method may choose its classes and their number, as in compose@random or"
            " compose:10 (10 images of each class) or compose:10x50 (of 50 new classes)"
        )
    affine, selection = found["affine"] is not None, found["selection"]
    images, classes = found["images"], found["classes"]
    if name in (REAL, OWN):
        if text.removesuffix(AFFINE) == TWICE:
            return RecognitionArm(name, affine, twice=True)
        if selection or images or classes:
            raise ValueError(
                f"no arm {text!r}: {name} is made already, so that it takes no selection or number"
            )
        return RecognitionArm(name, affine)
    if selection is not None and name not in NEW_CLASS_METHODS:
        raise ValueError(f"no arm {text!r}: {name} makes the real classes again and selects none")
    if selection is not None and selection not in _SELECTIONS:
        known = ", ".join(_SELECTIONS)
        raise ValueError(f"no arm {text!r}: classes are chosen {known}")
    made = MadeFor(
        name, selection, int(images) if images else None, int(classes) if classes else None
    )
    return RecognitionArm(made.name, affine, made)
