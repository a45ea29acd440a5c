"""The curves of a trial: distance over images shown, the mean of the seeds and their range."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..report.charts import band_curves


def draw_curves(results: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """SVG of the kernel distance times 1,000 of every arm's snapshots. results: as outcomes has it.

    Raises ConfigError where matplotlib is not installed.
    """
    curves = {}
    for arm, found in results.items():
        images = np.array([snapshot["images"] for snapshot in found[0]["snapshots"]])
        kd = np.array([[1000 * each["kd"] for each in one["snapshots"]] for one in found])
        curves[arm] = (images, kd)
    return band_curves(curves, "Kernel distance × 1000 to held-out images", "images shown")
