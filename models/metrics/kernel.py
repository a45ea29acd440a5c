"""Kernel distance as it is customarily reported: the mean over seeded subsets, and their spread.

`distances.kernel_distance` takes the whole sets instead: the same expectation, less variance, no
draw. This one exists to be set beside published tables (Binkowski et al. 2018: 100 subsets of
1,000), and for its standard deviation.
"""

from dataclasses import dataclass

import numpy as np

from .distances import kernel_between, kernel_within
from .neighbours import Vectors

SUBSETS = 100
SUBSET_SIZE = 1000


@dataclass(frozen=True)
class KernelEstimate:
    mean: float  # raw, as in distances.kernel_distance
    std: float  # of single subsets; the mean's own error is smaller
    subset_size: int  # the smallest set's size where that is less than asked for
    subsets: int
    seed: int


def kernel_over_subsets(
    x: Vectors,
    y: Vectors,
    seed: int,
    subset_size: int = SUBSET_SIZE,
    subsets: int = SUBSETS,
) -> KernelEstimate:
    """x (n, D), y (m, D): `subsets` pairs of subsets without replacement, unbiased MMD^2 of each.

    Every kernel value is worked out once, however many subsets it is in.

    Raises:
        ValueError: fewer than two vectors in a set or subset, or no subset.
    """
    size = min(subset_size, len(x), len(y))
    if size < 2 or subsets < 1:
        raise ValueError(
            f"{subsets} subsets of {size} images were asked for; a kernel distance needs at least"
            " one subset of two"
        )
    random = np.random.default_rng(seed)
    rows, columns = np.zeros((subsets, len(x))), np.zeros((subsets, len(y)))
    for i in range(subsets):
        rows[i, random.permutation(len(x))[:size]] = 1.0
        columns[i, random.permutation(len(y))[:size]] = 1.0
    within = kernel_within(x, rows) + kernel_within(y, columns)
    found = within - 2.0 * kernel_between(x, y, rows, columns)
    return KernelEstimate(float(found.mean()), float(found.std()), size, subsets, seed)
