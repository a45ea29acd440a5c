"""How far the corpus as a whole is from held-out images, at every ratio from 0 to mu.

One build serves any ratio up to its own, so this is what there is to choose from. The images of
every round are alike, so one sample of them stands for each ratio; real ones, visible mixtures and
near-copies of a parent count by their shares of the corpus, not of the sample. The corpus is taken
as what a trainer draws from, again and again: images that are in it twice change nothing.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ..models.distances import Reference
from ..models.metrics.mixture import frechet_of_mixtures, kernel_of_mixtures
from .judged_rows import fold

Features = NDArray[np.floating[Any]]


def by_ratio(
    plan: pa.Table,
    real: Features,
    steps: Mapping[str, Features],
    folded: NDArray[np.float64],
    heavy: float,
    reference: Reference,
    names: tuple[str, str],
) -> list[dict[str, Any]]:
    """An entry a ratio: the kernel and the Frechet distance of the corpus, per step.

    real (m, D) training images; steps, name -> (n, D) of judged rows with folded lambda (n,);
    names: of the two distances. Empty where a part of the corpus has no two images to judge by.
    """
    made = plan.filter(pc.equal(plan["kind"], "augmented"))
    visible = float(np.mean(fold(made["lambda"]) >= heavy))
    parts = [(folded >= heavy, visible), (folded < heavy, 1.0 - visible)]
    parts = [(mask, share) for mask, share in parts if share > 0]
    if len(real) < 2 or any(mask.sum() < 2 for mask, _ in parts):
        return []
    ratios = np.arange(int(pc.max(made["round"]).as_py()) + 1)
    augmented = ratios / (1.0 + ratios)
    shares = np.stack([1.0 - augmented, *(augmented * share for _, share in parts)], axis=1)
    originals = plan.num_rows - made.num_rows
    counts = originals * (1.0 + ratios)[:, None] * shares
    entries: list[dict[str, Any]] = [
        {"ratio": int(ratio), "mixtures_per_real_image": float(ratio * visible)} for ratio in ratios
    ]
    for step, features in steps.items():
        sets = [real, *(features[mask] for mask, _ in parts)]
        kernel = kernel_of_mixtures(sets, shares, reference, counts)
        frechet = frechet_of_mixtures(sets, shares, reference)
        for entry, kd, fd in zip(entries, kernel, frechet, strict=True):
            entry[step] = dict(zip(names, (float(kd), float(fd)), strict=True))
    return entries
