"""The ROC curves of a comparison: TAR over FAR, the mean of the seeds and their range."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...manifests.errors import ConfigError
from ..report.charts import roc_curves
from .judge import GRID


def draw_roc(results: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """SVG of the ROC on the unseen classes. results: arm -> the result of each seed.

    Raises ConfigError where matplotlib is not installed, or there were no unseen classes.
    """
    curves = {
        arm: np.array([each["figures"]["roc"] for each in found])
        for arm, found in results.items()
        if all("roc" in each["figures"] for each in found)
    }
    if not curves:
        raise ConfigError("there is no ROC without unseen classes")
    return roc_curves(np.array(GRID), curves)
