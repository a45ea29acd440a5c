"""New classes: each a mixture of classes of the corpus (SM-REC, Rahimi & Marcel).

A corpus of K classes has ids 0 to K-1; the new ones follow in the order of their list.
"""

from dataclasses import dataclass
from typing import Literal

Selection = Literal["distant", "close", "random"]  # how the classes of a new class are chosen


@dataclass(frozen=True)
class NewClass:
    """A class that no real image has."""

    id: int  # K + its place among the new classes
    name: str  # names of its classes, "+" between them
    classes: tuple[int, ...]  # ids of the classes that it mixes, at least two, none twice
    weights: tuple[float, ...]  # of their scores, sum 1
    distance: float | None  # cosine distance of the centres, largest pair; None: unknown
    selection: Selection
