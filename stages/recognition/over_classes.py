"""Differences of arms over the unseen classes: would they be the same on other classes?

Every recogniser is judged on the same draws of the unseen classes, so that an arm is compared with
another draw by draw; the seeds of each are averaged first. Intervals over seeds, of these classes
alone, are in outcome.py.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

DRAWS = "draws_of_classes"  # of a result's figures: name -> a figure of every draw
_SAME = 1e-9  # differences of rates that are one but for rounding
Interval = tuple[float, float]


def intervals_over_classes(
    results: Mapping[str, Sequence[Mapping[str, Any]]], arm: str, baseline: str
) -> dict[str, Interval]:
    """Figure -> 95 % interval, by percentiles, of what `arm` has more than `baseline`.

    results: arm -> results by seed. Empty where one of them has no draws. A figure whose
    difference is the same in every draw has no interval: the classes are too few to draw others.
    """
    if arm == baseline or baseline not in results:
        return {}
    mine, theirs = (_mean_draws(results[name]) for name in (arm, baseline))
    return {
        name: (float(low), float(high))
        for name in mine
        if name in theirs and len(mine[name]) == len(theirs[name])
        for low, high in [np.quantile(mine[name] - theirs[name], [0.025, 0.975])]
        if high - low > _SAME
    }


def _mean_draws(results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    every = [result["figures"].get(DRAWS, {}) for result in results]
    names = [name for name in every[0] if all(name in draws for draws in every)]
    return {name: np.mean([draws[name] for draws in every], axis=0) for name in names}
