"""Verification: do two images show one class? Figures over scores of pairs of images.

A pair is accepted where its score is above a threshold. Genuine pairs are of one class, impostor
pairs of two. FAR(t) is the share of impostor pairs above t, TAR(t) that of genuine pairs.

    TAR at FAR f   the share of genuine pairs above the least threshold with FAR <= f. The threshold
                   is an impostor's score, and what equals it is not accepted: ties lower both.
    EER            where FAR = 1 - TAR on the ROC curve, which is linear between scores.

Intervals are bootstrapped over classes, not pairs: the pairs of one class are not independent.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]
Flags = NDArray[np.bool_]

LEAST_ACCEPTED = 10  # impostor pairs above the threshold of a FAR, below which it says nothing
_BLOCK = 1 << 18  # pairs whose scores are computed at once


@dataclass(frozen=True)
class Pairs:
    """Pairs of images, each once, no image with itself."""

    first: Rows  # (P,)
    second: Rows  # (P,)
    genuine: Flags  # (P,) of one class

    @property
    def impostors(self) -> int:
        """The number of pairs of two classes."""
        return int(len(self.genuine) - self.genuine.sum())


def draw_pairs(labels: Rows, most: int, random: np.random.Generator) -> Pairs:
    """All pairs of images with classes `labels` (N,), or a sample where there are more than `most`.

    A sample has all genuine pairs, at most half of `most` of them, and is otherwise of impostors.

    Raises:
        ValueError: fewer than two classes, or no class with two images.
    """
    count = len(labels)
    sizes = np.unique(labels, return_counts=True)[1]
    if len(sizes) < 2 or sizes.max() < 2:
        raise ValueError(
            f"verification needs two classes or more, and one with two images; found {len(sizes)}"
            f" classes of {count} images"
        )
    if count * (count - 1) // 2 <= most:
        first, second = (rows.astype(np.int64) for rows in np.triu_indices(count, 1))
        return Pairs(first, second, labels[first] == labels[second])
    total = int((sizes * (sizes - 1)).sum()) // 2
    if total > most // 2:
        numbers = np.sort(random.choice(total, most // 2, replace=False))
    else:
        numbers = np.arange(total)
    genuine = _genuine_pairs(labels, numbers)
    impostors = _draw_impostors(labels, most - len(genuine), random)
    both = np.concatenate([genuine, impostors])
    return Pairs(both[:, 0], both[:, 1], np.arange(len(both)) < len(genuine))


def _genuine_pairs(labels: Rows, numbers: Rows) -> Rows:
    """(P, 2) the pairs of one class with these numbers: class by class, image by image."""
    order = np.argsort(labels, kind="stable")
    ends = np.searchsorted(labels[order], labels[order], side="right")
    following = ends - np.arange(len(labels)) - 1  # images of the same class, each a pair
    before = np.cumsum(following) - following
    first = np.searchsorted(before + following, numbers, side="right")
    return np.stack([order[first], order[first + 1 + numbers - before[first]]], axis=1)


def _draw_impostors(labels: Rows, wanted: int, random: np.random.Generator) -> Rows:
    """(P, 2) different pairs of two classes, at most `wanted`, each as likely as another."""
    count = len(labels)
    sizes = np.unique(labels, return_counts=True)[1].astype(np.int64)
    wanted = min(wanted, int((count**2 - (sizes**2).sum()) // 2))
    codes = np.empty(0, np.int64)
    while len(codes) < wanted:
        drawn = np.sort(random.integers(count, size=(2 * wanted, 2)), axis=1)
        drawn = drawn[labels[drawn[:, 0]] != labels[drawn[:, 1]]]
        codes = np.unique(np.concatenate([codes, drawn[:, 0] * count + drawn[:, 1]]))
    codes = np.sort(random.choice(codes, wanted, replace=False))
    return np.stack([codes // count, codes % count], axis=1)


def cosine_scores(embeddings: NDArray[np.floating], pairs: Pairs) -> Floats:
    """(P,) cosines of embeddings (N, E); 0 for an embedding of length 0."""
    unit = normalised(embeddings)
    scores = np.empty(len(pairs.first))
    for start in range(0, len(scores), _BLOCK):
        part = slice(start, start + _BLOCK)
        scores[part] = np.einsum("pe,pe->p", unit[pairs.first[part]], unit[pairs.second[part]])
    return scores


def normalised(embeddings: NDArray[np.floating]) -> Floats:
    """Embeddings (N, E) of length 1; those of length 0 stay."""
    vectors = np.asarray(embeddings, dtype=np.float64)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: Floats = vectors / np.where(lengths > 0, lengths, 1.0)
    return unit


def tar_at_far(genuine: Floats, impostor: Floats, far: float) -> float:
    """The share of genuine scores above the least threshold with a FAR of at most `far`.

    Raises:
        ValueError: too few impostor pairs for this FAR, or no genuine one.
    """
    _check(genuine, impostor)
    accepted = allowed_impostors(len(impostor), far)
    threshold = np.partition(impostor, -accepted - 1)[-accepted - 1]
    return float(np.mean(genuine > threshold))


def allowed_impostors(count: int, far: float) -> int:
    """How many of `count` impostor pairs may be accepted at `far`.

    Raises ValueError where they are fewer than LEAST_ACCEPTED, or all.
    """
    allowed = int(far * count * (1 + 1e-12))
    if not 0 < far < 1 or allowed < LEAST_ACCEPTED:
        raise ValueError(
            f"TAR at FAR {far:g} needs {LEAST_ACCEPTED} impostor pairs above the threshold, and"
            f" {count:,} pairs give {allowed}: take more images or classes, or a higher FAR"
        )
    return allowed


def roc_points(genuine: Floats, impostor: Floats) -> tuple[Floats, Floats]:
    """FAR and TAR (n,) at every threshold, from (0, 0) to (1, 1); equal scores are one point."""
    _check(genuine, impostor)
    scores = np.concatenate([genuine, impostor])
    order = np.argsort(-scores, kind="stable")
    is_genuine = (np.arange(len(scores)) < len(genuine))[order]
    return _curve(scores[order], is_genuine, np.ones(len(scores)))


def _curve(scores: Floats, is_genuine: Flags, weights: Floats) -> tuple[Floats, Floats]:
    """The ROC of scores in falling order with weights (P,)."""
    ends = np.append(np.flatnonzero(np.diff(scores)), len(scores) - 1)
    curves = []
    for mask in (~is_genuine, is_genuine):
        summed = np.cumsum(np.where(mask, weights, 0.0))
        curves.append(np.concatenate([[0.0], summed[ends] / summed[-1]]))
    return curves[0], curves[1]


def equal_error_rate(far: Floats, tar: Floats) -> float:
    """The FAR at which it equals 1 - TAR, on the curve of `roc_points`."""
    missed = 1.0 - tar
    after = int(np.argmax(far >= missed))  # the last point is (1, 0): there is one
    low, high = after - 1, after
    gap = missed[low] - far[low]  # above 0; at `high` it is not
    share = gap / (gap + far[high] - missed[high])
    return float(far[low] + share * (far[high] - far[low]))


def tar_on_grid(far: Floats, tar: Floats, grid: Sequence[float]) -> Floats:
    """TAR at each FAR of `grid`, for a picture: the highest point that is not beyond it."""
    places = np.searchsorted(far, np.asarray(grid) * (1 + 1e-12), side="right") - 1
    return np.asarray(tar[places])


@dataclass(frozen=True)
class VerificationIntervals:
    """95 % intervals over draws of classes, by percentiles."""

    eer: tuple[float, float]
    tar: dict[float, tuple[float, float]]  # by FAR
    draws: Floats  # (resamples, 1 + FARs): the equal error rate and each TAR of every draw


def class_intervals(
    scores: Floats,
    pairs: Pairs,
    labels: Rows,
    fars: Sequence[float],
    resamples: int,
    random: np.random.Generator,
) -> VerificationIntervals:
    """Draws as many classes as there are, with repetition; a pair counts once for each drawing.

    A genuine pair counts as often as its class was drawn, an impostor pair as often as its two
    classes were together. Pairs of a class with its own copy are left out: they are no impostors.
    """
    order = np.argsort(-scores, kind="stable")
    ranked, is_genuine = scores[order], pairs.genuine[order]
    _, numbers = np.unique(labels, return_inverse=True)
    first, second = numbers[pairs.first[order]], numbers[pairs.second[order]]
    classes = int(numbers.max()) + 1
    found: list[list[float]] = []
    while len(found) < resamples:
        drawn = np.bincount(random.integers(classes, size=classes), minlength=classes)
        drawn = drawn.astype(np.float64)
        weights = np.where(is_genuine, drawn[first], drawn[first] * drawn[second])
        if not weights[is_genuine].any() or not weights[~is_genuine].any():
            continue  # one class alone was drawn, or none with two images
        far, tar = _curve(ranked, is_genuine, weights)
        found.append([equal_error_rate(far, tar), *tar_on_grid(far, tar, fars)])
    draws = np.array(found)
    ends = np.quantile(draws, [0.025, 0.975], axis=0).T
    eer, *tars = [(float(low), float(high)) for low, high in ends]
    return VerificationIntervals(eer, dict(zip(fars, tars, strict=True)), draws)


def _check(genuine: Floats, impostor: Floats) -> None:
    if not len(genuine) or not len(impostor):
        raise ValueError(
            f"verification needs genuine and impostor pairs; found {len(genuine)} and"
            f" {len(impostor)}"
        )
    if not (np.isfinite(genuine).all() and np.isfinite(impostor).all()):
        raise ValueError("scores of pairs must be finite numbers; some embeddings are not")
