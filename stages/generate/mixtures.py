"""Which classes of the network each class of the plan is made of, and with which weights."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...manifests.plan.new_classes import NewClass


@dataclass(frozen=True)
class ClassMixtures:
    """By class id, real classes first; each real one is itself alone."""

    ids: NDArray[np.int64]  # (K + P, m) real classes
    weights: NDArray[np.float32]  # (K + P, m)


def class_mixtures(classes: int, new_classes: Sequence[NewClass]) -> ClassMixtures:
    """The mixtures of `classes` real and of the new classes.

    m is the most members that one has; a class of fewer repeats its first with a weight of 0.
    """
    members = max((len(one.classes) for one in new_classes), default=1)
    ids = np.empty((classes + len(new_classes), members), dtype=np.int64)
    weights = np.zeros(ids.shape, dtype=np.float32)
    ids[:classes] = np.arange(classes)[:, None]
    weights[:classes, 0] = 1.0
    for one in new_classes:
        count = len(one.classes)
        ids[one.id] = one.classes[0]
        ids[one.id, :count] = one.classes
        weights[one.id, :count] = one.weights
    return ClassMixtures(ids, weights)
