"""The curves of a trial: distance over images shown, over the ratio, over training images.

The mean of the seeds, and their range.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..report.charts import band_curves
from .arms import REAL, Arm
from .outcome import ArmOutcome, distance_of

_TITLES = {
    "kd": "Kernel distance × 1000 to held-out images",
    "sfd": "Single-image Frechet distance × 1000 to the target image",
}


def draw_curves(results: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """SVG of the kernel distance times 1,000 of every arm's snapshots. results: as outcomes has it.

    Of seeds with different numbers of snapshots the first ones. Raises ConfigError where matplotlib
    is not installed.
    """
    curves = {}
    for arm, found in results.items():
        first = found[0]["snapshots"]
        along = "images" if "images" in first[0] else "step"
        places = np.array([snapshot[along] for snapshot in first])
        name = distance_of(first[0])
        kd = [[1000 * each[name] for each in one["snapshots"]] for one in found]
        least = min(map(len, kd))  # a trainer may leave as many as it likes
        curves[arm] = (places[:least], np.array([values[:least] for values in kd]))
    shown = {"images": "images shown", "step": "snapshot"}[along]
    return band_curves(curves, _TITLES[name], shown)


def draw_ratios(outcomes: Sequence[ArmOutcome], arms: Sequence[Arm]) -> str | None:
    """SVG of the distance of the best snapshots over the ratio, a curve for each method.

    Ratio 0 is the arm of real images. None where no method has arms of two ratios. Raises
    ConfigError where matplotlib is not installed.
    """
    found = {arm.name: arm for arm in outcomes if arm.distance == "kd"}
    by_method: dict[str, dict[int, list[float]]] = {}
    for arm in arms:
        if arm.method is not None and not arm.growing and arm.name in found:
            values = [1000 * each["kd"] for each in found[arm.name].best]
            by_method.setdefault(arm.method, {})[arm.ratio] = values
    by_method = {name: points for name, points in by_method.items() if len(points) > 1}
    if not by_method:
        return None
    if REAL in found:
        real = [1000 * each["kd"] for each in found[REAL].best]
        by_method = {name: {0: real, **points} for name, points in by_method.items()}
    curves = {}
    for name, points in by_method.items():
        ratios = sorted(points)
        kd = np.array([points[ratio] for ratio in ratios]).T
        curves[name] = (np.array(ratios, dtype=np.float64), kd)
    return band_curves(curves, _TITLES["kd"], "augmented images for each real one")


def draw_sizes(sizes: Sequence[int], arms: Sequence[Sequence[ArmOutcome]]) -> str:
    """SVG of the distance of every arm's best snapshots over the number of training images.

    arms: of each size, the outcome of every arm. Raises ConfigError where matplotlib is missing.
    """
    curves = {}
    for name in [arm.name for arm in arms[0]]:
        found = [next((arm for arm in some if arm.name == name), None) for some in arms]
        if all(arm is not None and arm.distance == "kd" for arm in found):
            kd = [[1000 * each["kd"] for each in arm.best] for arm in found if arm is not None]
            curves[name] = (np.array(sizes, dtype=np.float64), np.array(kd).T)
    return band_curves(curves, _TITLES["kd"], "training images")
