"""How far the corpus as a whole is from held-out images, at every ratio from 0 to mu.

One build serves any ratio up to its own, so this is what there is to choose from. The corpus is
taken as what a trainer draws from, again and again: images that are in it twice change nothing.

Real images, visible mixtures and near-copies of a parent count by their shares of the corpus, and
one sample over all rounds stands for each. What that sample is off by is known of exact copies of
the nearer parents, for which no image need be made: the others are set right by as much.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ...models.metrics.distances import Reference
from ...models.metrics.mixture import frechet_of_mixtures, kernel_of_mixtures, of_repeated
from .row_sample import fold_lambda, nearer_parents

Features = NDArray[np.floating[Any]]
Floats = NDArray[np.float64]

COPIES = "copies"


@dataclass(frozen=True)
class TrainingFeatures:
    """Training images whose features are known: their rows, ascending, and features (n, D)."""

    rows: NDArray[np.int64]
    features: Features


def by_ratio(
    plan: pa.Table,
    real: Features,
    steps: Mapping[str, Features],
    folded: Floats,
    heavy: float,
    reference: Reference,
    names: tuple[str, str],
    looked: TrainingFeatures,
) -> list[dict[str, Any]]:
    """An entry a ratio: the kernel and the Frechet distance of the corpus, per step.

    real (m, D) training images; steps, name -> (n, D) of judged rows with folded lambda (n,),
    COPIES among them; names: of the two distances. Without `exact_copies` the ratios are of a
    sample as it is, too noisy to compare. Empty where a part has no two images to judge by.
    """
    made = plan.filter(pc.equal(plan["kind"], "augmented"))
    visible = float(np.mean(fold_lambda(made["lambda"]) >= heavy))
    parts = [(folded >= heavy, visible), (folded < heavy, 1.0 - visible)]
    parts = [(mask, share) for mask, share in parts if share > 0]
    if len(real) < 2 or any(mask.sum() < 2 for mask, _ in parts):
        return []
    ratios = np.arange(int(pc.max(made["round"]).as_py()) + 1)
    # Images of a forgotten parent are gone from their rounds.
    until = np.cumsum(np.bincount(made["round"].to_numpy(), minlength=len(ratios)))
    originals = np.full(len(ratios), plan.num_rows - made.num_rows)
    counts = np.stack([originals, *(until * share for _, share in parts)], axis=1)
    shares = counts / counts.sum(axis=1, keepdims=True)
    found: dict[str, tuple[Floats, Floats]] = {}
    for step, features in steps.items():
        if alike := [name for name in found if steps[name] is features]:  # as with method mixup
            found[step] = found[alike[0]]
            continue
        sets = [real, *(features[mask] for mask, _ in parts)]
        found[step] = (
            kernel_of_mixtures(sets, shares, reference, counts),
            frechet_of_mixtures(sets, shares, reference),
        )
    exact = _exact_copies(plan, made, ratios, looked, reference)
    if exact is not None:
        off = [true - sampled for true, sampled in zip(exact, found[COPIES], strict=True)]
        found = {step: (kd + off[0], fd + off[1]) for step, (kd, fd) in found.items()}
    return [
        {
            "ratio": int(ratio),
            "mixtures_per_real_image": float(until[place] * visible / originals[place]),
            "exact_copies": exact is not None,
        }
        | {
            step: dict(zip(names, (float(kd[place]), float(fd[place])), strict=True))
            for step, (kd, fd) in found.items()
        }
        for place, ratio in enumerate(ratios)
    ]


def _exact_copies(
    plan: pa.Table,
    made: pa.Table,
    ratios: NDArray[np.int64],
    looked: TrainingFeatures,
    reference: Reference,
) -> tuple[Floats, Floats] | None:
    """Both distances at each ratio of real images and copies; None where some are not known."""
    real = plan.filter(pc.equal(plan["kind"], "real"))["row_1"].to_numpy()
    parents = nearer_parents(made)
    if not np.isin(np.concatenate([real, parents]), looked.rows).all():
        return None
    size = len(looked.rows)
    counts = np.empty((len(ratios), size))
    counts[0] = np.bincount(np.searchsorted(looked.rows, real), minlength=size)
    rounds = made["round"].to_numpy()
    for ratio in ratios[1:]:
        of_round = np.searchsorted(looked.rows, parents[rounds == ratio])
        counts[ratio] = counts[ratio - 1] + np.bincount(of_round, minlength=size)
    return of_repeated(looked.features, counts, reference)
