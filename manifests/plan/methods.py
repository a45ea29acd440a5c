"""What the names of methods say about a plan. Light: options are checked by them."""

from collections.abc import Sequence
from typing import Literal

# Methods that make an image from one real image: parent 2 is parent 1, and lambda 1.
ONE_PARENT = frozenset({"augmix", "renoise", "reproduce", "sample"})
# Methods that paste pixels of both parents: lambda is the exact share of parent 1's.
PASTING = frozenset({"cutmix", "fmix"})
# Methods that make images of new classes, and all that make images class by class.
NEW_CLASS_METHODS = frozenset({"compose", "condition-mix", "mixup-classes"})
CLASS_METHODS = NEW_CLASS_METHODS | {"reproduce"}

Selection = Literal["distant", "close", "random"]  # how the classes of a new class are chosen


def extrapolates(weights: Sequence[float]) -> bool:
    """Whether weights are not convex: what they mix leaves the range of the data."""
    return min(weights) < 0 or max(weights) > 1
