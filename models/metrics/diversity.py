"""Diversity of a set of images: the mean distance of its pairs."""

from dataclasses import dataclass

import numpy as np

from .neighbours import Floats, Vectors

MAX_IMAGES = 4000  # images whose pairs are all measured; of more, a seeded choice
_ROWS = 512


@dataclass(frozen=True)
class Diversity:
    """A mean over pairs of images, with its standard error."""

    mean: float  # in the features' own unit
    standard_error: float  # over the choice of images
    n: int  # images whose pairs were measured
    pairs: int
    seed: int | None  # of the choice of images; None where all were taken


def mean_pairwise_distance(x: Vectors, seed: int, most: int = MAX_IMAGES) -> Diversity:
    """Mean Euclidean distance over all pairs of x (n, D); 0 where all images are alike.

    Differences, not the Gram form, would be exact; the mean does not need it: the error of a
    distance d is at most 1e-6 of the set's radius, and only for pairs that are nearly alike.

    Raises:
        ValueError: fewer than two images.
    """
    if x.ndim != 2 or len(x) < 2:
        raise ValueError(f"diversity needs two or more vectors (n, D), got {x.shape}")
    rows = np.arange(len(x))
    if len(x) > most:
        rows = np.sort(np.random.default_rng(seed).permutation(len(x))[:most])
    vectors = np.asarray(x[rows], dtype=np.float64)
    vectors = vectors - vectors.mean(axis=0)
    sums = _distance_sums(vectors)
    n = len(vectors)
    means = sums / (n - 1)  # of one image to all others
    error = 2.0 * float(means.std(ddof=1)) / np.sqrt(n)  # of a U-statistic of order two
    drawn = seed if len(x) > most else None
    return Diversity(float(means.mean()), float(error), n, n * (n - 1) // 2, drawn)


def _distance_sums(x: Floats) -> Floats:
    """sum_j |x_i - x_j| for every i; (n,)."""
    squares = np.sum(x * x, axis=1)
    sums = np.empty(len(x))
    for start in range(0, len(x), _ROWS):
        block = slice(start, start + _ROWS)
        squared = squares[block, None] + squares - 2.0 * (x[block] @ x.T)
        own = np.arange(start, min(start + _ROWS, len(x)))
        squared[own - start, own] = 0.0
        sums[block] = np.sqrt(squared.clip(min=0.0)).sum(axis=1)
    return sums
