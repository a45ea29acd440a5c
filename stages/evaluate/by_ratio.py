"""Distances of the whole corpus to held-out images, at every ratio from 0 to mu.

One build serves any ratio up to its own; these distances help to choose one. The corpus is taken
as the distribution that a trainer draws from: repeating all images changes nothing.

Real images, visible mixtures and near-copies of a parent are weighted by their shares of the
corpus, and one sample over all rounds represents each. Exact parent copies serve as a control
variate: their distance is known exactly and from the same sample, and its error corrects the
others.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ...models.metrics.distances import Reference
from ...models.metrics.mixture import distances_of_repeated, frechet_of_mixtures, kernel_of_mixtures
from .row_sample import MIXED_LAMBDA, fold_lambda, nearer_parent_rows

Features = NDArray[np.floating[Any]]
Floats = NDArray[np.float64]

COPIES = "copies"


@dataclass(frozen=True)
class TrainingFeatures:
    """Training images whose features are known."""

    rows: NDArray[np.int64]  # (n,) ascending
    features: Features  # (n, D)


def by_ratio(
    plan: pa.Table,
    real: Features,
    steps: Mapping[str, Features],
    folded: Floats,
    reference: Reference,
    names: tuple[str, str],
    training: TrainingFeatures,
) -> list[dict[str, Any]]:
    """For each ratio, the kernel and the Frechet distance of the corpus, per step.

    real: (m, D) training images. steps: name -> (n, D) of sampled rows with folded lambda (n,),
        COPIES among them. names: of the two distances.

    An entry without `exact_copies` has the sample's own distances, too noisy to compare ratios:
    features of some training images are missing in `training`. The list is empty where a part of
    the corpus has fewer than two sampled images.
    """
    made = plan.filter(pc.equal(plan["kind"], "augmented"))
    visible = float(np.mean(fold_lambda(made) >= MIXED_LAMBDA))
    parts = [(folded >= MIXED_LAMBDA, visible), (folded < MIXED_LAMBDA, 1.0 - visible)]
    parts = [(mask, share) for mask, share in parts if share > 0]
    if len(real) < 2 or any(mask.sum() < 2 for mask, _ in parts):
        return []
    ratios = np.arange(int(pc.max(made["round"]).as_py()) + 1)
    # Images of a forgotten parent are gone from their rounds.
    until = np.cumsum(np.bincount(made["round"].to_numpy(), minlength=len(ratios)))
    originals = np.full(len(ratios), plan.num_rows - made.num_rows)
    counts = np.stack([originals, *(until * share for _, share in parts)], axis=1)
    shares = counts / counts.sum(axis=1, keepdims=True)
    distances: dict[str, tuple[Floats, Floats]] = {}
    for step, features in steps.items():
        if equal := [name for name in distances if steps[name] is features]:  # method mixup
            distances[step] = distances[equal[0]]
            continue
        sets = [real, *(features[mask] for mask, _ in parts)]
        distances[step] = (
            kernel_of_mixtures(sets, shares, reference, counts),
            frechet_of_mixtures(sets, shares, reference),
        )
    exact = _exact_copies(plan, made, ratios, training, reference)
    if exact is not None:  # the control variate
        error = [true - sampled for true, sampled in zip(exact, distances[COPIES], strict=True)]
        distances = {step: (kd + error[0], fd + error[1]) for step, (kd, fd) in distances.items()}
    return [
        {
            "ratio": int(ratio),
            "mixtures_per_real_image": float(until[place] * visible / originals[place]),
            "exact_copies": exact is not None,
        }
        | {
            step: dict(zip(names, (float(kd[place]), float(fd[place])), strict=True))
            for step, (kd, fd) in distances.items()
        }
        for place, ratio in enumerate(ratios)
    ]


def _exact_copies(
    plan: pa.Table,
    made: pa.Table,
    ratios: NDArray[np.int64],
    training: TrainingFeatures,
    reference: Reference,
) -> tuple[Floats, Floats] | None:
    """Both distances of real images and parent copies, exact; None where features are missing."""
    real = plan.filter(pc.equal(plan["kind"], "real"))["row_1"].to_numpy()
    parents = nearer_parent_rows(made)
    if not np.isin(np.concatenate([real, parents]), training.rows).all():
        return None
    size = len(training.rows)
    counts = np.empty((len(ratios), size))
    counts[0] = np.bincount(np.searchsorted(training.rows, real), minlength=size)
    rounds = made["round"].to_numpy()
    for ratio in ratios[1:]:
        of_round = np.searchsorted(training.rows, parents[rounds == ratio])
        counts[ratio] = counts[ratio - 1] + np.bincount(of_round, minlength=size)
    return distances_of_repeated(training.features, counts, reference)
