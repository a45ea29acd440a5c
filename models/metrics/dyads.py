"""Dyadic-robust interval of a difference of kernel distances, for rows that share parents.

A bootstrap of rows assumes that they are independent; rows that share a parent are not. Here the
influence of each row and of each reference image on the difference is computed, and the variance
sums the products of all pairs of rows with a common parent.

Sources: Aronow, Samii and Assenova 2015, "Cluster-robust variance estimation for dyadic data";
influence functions of a U-statistic, van der Vaart 1998, "Asymptotic Statistics", chapter 12.
Legend: before, after (n, D), the same plan row at the same place; parents (n, 2).
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .distances import Floats, Reference, kernel_sums

TWO_SIDED = 1.959963984540054  # standard normal quantile of .975


def interval_with_parents(
    reference: Reference, before: ArrayLike, after: ArrayLike, parents: NDArray[np.int64]
) -> tuple[float, float]:
    """95 % interval of kernel distance `after` less `before`, over rows, parents and reference.

    A normal interval of first order: valid where the difference is not tiny compared with the
    spread of the features. before, after (n, D); parents (n, 2): both training images of each row,
    in any order.

    Raises:
        ValueError: unpaired sets, or parents of other rows.
    """
    a, b = (np.asarray(x, dtype=np.float64) for x in (before, after))
    if a.shape != b.shape or parents.shape != (len(a), 2):
        raise ValueError(
            f"(n, D), (n, D) and (n, 2) are needed, got {a.shape}, {b.shape}, {parents.shape}"
        )
    n, m = len(a), len(reference.vectors)
    within = kernel_sums(b, b).rows - kernel_sums(a, a).rows
    own = [(np.sum(x**2, axis=1) / x.shape[1] + 1.0) ** 3 for x in (a, b)]
    within = (within - (own[1] - own[0])) / (n - 1)  # mean over the other rows
    towards_b, towards_a = (kernel_sums(x, reference.vectors) for x in (b, a))
    rows = (towards_b.rows - towards_a.rows) / m
    images = (towards_b.columns - towards_a.columns) / n
    difference = float(within.mean() - 2.0 * rows.mean())
    of_rows = 2.0 * (within - within.mean()) - 2.0 * (rows - rows.mean())
    of_images = -2.0 * (images - images.mean())
    variance = dyadic_variance(of_rows, parents) / n**2 + float(np.sum(of_images**2)) / m**2
    half = TWO_SIDED * float(np.sqrt(max(variance, 0.0)))
    return difference - half, difference + half


def dyadic_variance(influence: Floats, parents: NDArray[np.int64]) -> float:
    """Sum of influence_a influence_b over all pairs of rows with a common parent, a = b too.

    influence (n,), parents (n, 2): a real image is a row whose parents are itself, twice.

    Each row is added to the sums of both its parents, so pairs with one parent in common count
    once, and pairs with both twice; these are subtracted once. At least the independent sum.
    """
    low, high = parents.min(axis=1), parents.max(axis=1)
    names, place = np.unique(np.stack([low, high]), return_inverse=True)
    low, high = place.reshape(2, -1)
    two = low != high
    count = len(names)
    per_parent = np.bincount(low, influence, count) + np.bincount(high[two], influence[two], count)
    _, dyad = np.unique(low[two] * count + high[two], return_inverse=True)
    per_dyad = np.bincount(dyad, influence[two]) if two.any() else np.zeros(1)
    variance = float(np.sum(per_parent**2) - np.sum(per_dyad**2))
    return max(variance, float(np.sum(influence**2)))
