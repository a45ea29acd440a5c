"""Distances of the whole corpus to held-out images, at every ratio from 0 to mu.

One build serves any ratio up to its own; these distances help to choose one. The corpus is taken
as the distribution that a trainer draws from: repeating all images changes nothing.

Real images, visible mixtures and near-copies of a parent are weighted by their shares of the
corpus, and one sample over all rounds represents each. Exact parent copies serve as a control
variate: their distance is known exactly and from the same sample, and its error corrects the
others.

How much nearer a ratio is than the real images alone has a 95 % interval over the choice of rows,
of held-out images and of training images (`models.metrics.corpus_interval`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ...manifests.files.rows import rows_where
from ...models.metrics.corpus_interval import SampledCorpus, half_widths
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
    rows: pa.Table,
    real: TrainingFeatures,
    steps: Mapping[str, Features],
    reference: Reference,
    names: tuple[str, str],
    training: TrainingFeatures,
) -> list[dict[str, Any]]:
    """For each ratio, the kernel and the Frechet distance of the corpus, per step.

    real: training images as a sample of real ones. steps: name -> (n, D) of `rows`, a sample of the
        plan's augmented rows, COPIES among them. names: of the two distances.

    An entry without `exact_copies` has the sample's own distances, too noisy to compare ratios
    with each other: features of some training images are missing in `training`.
    `less_real_images` is the kernel distance less that of ratio 0, per step but COPIES. The list
    is empty where a part of the corpus has fewer than two sampled images.
    """
    made = rows_where(plan, kind="augmented")
    folded = fold_lambda(rows)
    visible = float(np.mean(fold_lambda(made) >= MIXED_LAMBDA))
    parts = [(folded >= MIXED_LAMBDA, visible), (folded < MIXED_LAMBDA, 1.0 - visible)]
    parts = [(mask, share) for mask, share in parts if share > 0]
    if len(real.features) < 2 or any(mask.sum() < 2 for mask, _ in parts):
        return []
    ratios = np.arange(int(pc.max(made["round"]).as_py()) + 1)
    # Images of a forgotten parent are gone from their rounds.
    until = np.cumsum(np.bincount(made["round"].to_numpy(), minlength=len(ratios)))
    originals = np.full(len(ratios), plan.num_rows - made.num_rows)
    counts = np.stack([originals, *(until * share for _, share in parts)], axis=1)
    masks = [mask for mask, _ in parts]
    distances = _distances(real.features, steps, masks, counts, reference)
    copies = _count_copies(plan, made, ratios, training)
    if copies is not None:  # the control variate
        exact = distances_of_repeated(training.features, copies, reference)
        error = [true - sampled for true, sampled in zip(exact, distances[COPIES], strict=True)]
        distances = {step: (kd + error[0], fd + error[1]) for step, (kd, fd) in distances.items()}
    corpus = _sampled(rows, masks, counts, copies, real if copies is None else training)
    halves = _half_widths(corpus, steps, reference)
    return [
        {
            "ratio": int(ratio),
            "mixtures_per_real_image": float(until[place] * visible / originals[place]),
            "exact_copies": copies is not None,
            "less_real_images": {
                step: _difference(distances[step][0], half, place) for step, half in halves.items()
            },
        }
        | {
            step: dict(zip(names, (float(kd[place]), float(fd[place])), strict=True))
            for step, (kd, fd) in distances.items()
        }
        for place, ratio in enumerate(ratios)
    ]


def _distances(
    real: Features,
    steps: Mapping[str, Features],
    masks: Sequence[NDArray[np.bool_]],
    counts: Floats,
    reference: Reference,
) -> dict[str, tuple[Floats, Floats]]:
    """Kernel and Frechet distance by ratio, per step, of the sample itself.

    masks: the rows of each part; counts (R, 1 + parts): real images, then those of each part.
    """
    shares = counts / counts.sum(axis=1, keepdims=True)
    distances: dict[str, tuple[Floats, Floats]] = {}
    for step, features in steps.items():
        if equal := [name for name in distances if steps[name] is features]:  # method mixup
            distances[step] = distances[equal[0]]
            continue
        sets = [real, *(features[mask] for mask in masks)]
        distances[step] = (
            kernel_of_mixtures(sets, shares, reference, counts),
            frechet_of_mixtures(sets, shares, reference),
        )
    return distances


def _half_widths(
    corpus: SampledCorpus, steps: Mapping[str, Features], reference: Reference
) -> dict[str, Floats]:
    """Half of the interval of each step but COPIES, by ratio; (R,) each."""
    halves: dict[str, Floats] = {}
    for step, features in steps.items():
        if step == COPIES:
            continue
        if equal := [name for name in halves if steps[name] is features]:
            halves[step] = halves[equal[0]]
            continue
        vectors = np.asarray(features, dtype=np.float64)
        halves[step] = half_widths(replace(corpus, made=vectors), reference)
    return halves


def _sampled(
    rows: pa.Table,
    masks: Sequence[NDArray[np.bool_]],
    counts: Floats,
    copies: Floats | None,
    training: TrainingFeatures,
) -> SampledCorpus:
    """The corpus of which intervals are computed; its made images are filled in per step.

    masks, counts: as above. copies (R, N): how often it holds each training image.
    """
    shares = counts / counts.sum(axis=1, keepdims=True)
    weights, groups = np.zeros((len(shares), rows.num_rows)), np.zeros(rows.num_rows, np.int64)
    for number, mask in enumerate(masks):
        weights[:, mask] = shares[:, 1 + number, None] / mask.sum()
        groups[mask] = number
    nearer, alone = None, np.full(len(training.rows), 1.0 / len(training.rows))
    if copies is not None:
        nearer = np.searchsorted(training.rows, nearer_parent_rows(rows))
        copies = copies / copies.sum(axis=1, keepdims=True)
        alone = copies[0]
    return SampledCorpus(
        training=np.asarray(training.features, dtype=np.float64),
        training_rows=training.rows,
        alone=alone,
        made=np.empty((0, 0)),
        parents=np.stack([rows[name].to_numpy() for name in ("row_1", "row_2")], axis=1),
        groups=groups,
        real_share=shares[:, 0],
        made_weights=weights,
        nearer=nearer,
        copies=copies,
    )


def _difference(distances: Floats, half: Floats, place: int) -> dict[str, Any]:
    """A ratio's kernel distance less that of ratio 0, with its interval."""
    difference = float(distances[place] - distances[0])
    interval = (difference - float(half[place]), difference + float(half[place]))
    return {"difference": difference, "interval_95_other_training_images": interval}


def _count_copies(
    plan: pa.Table, made: pa.Table, ratios: NDArray[np.int64], training: TrainingFeatures
) -> Floats | None:
    """How often real images and parent copies hold each training image, (R, N) by ratio.

    None where features are missing.
    """
    real = rows_where(plan, kind="real")["row_1"].to_numpy()
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
    return counts
