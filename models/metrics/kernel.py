"""Kernel distance as it is customarily reported: mean and standard deviation over random subsets.

`distances.kernel_distance` takes the whole sets instead: the same expectation, less variance, no
draw. This one exists for comparison with published tables (Binkowski et al. 2018: 100 subsets of
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
    """Kernel distance over subsets."""

    mean: float  # raw, as in distances.kernel_distance
    std: float  # of single subsets; the mean's own error is smaller
    subset_size: int  # the smallest set's size where that is less than requested
    subsets: int
    seed: int


def kernel_over_subsets(
    x: Vectors,
    y: Vectors,
    seed: int,
    subset_size: int = SUBSET_SIZE,
    subsets: int = SUBSETS,
) -> KernelEstimate:
    """Unbiased MMD^2 of `subsets` pairs of subsets of x (n, D) and y (m, D), without replacement.

    Binkowski et al. 2018. Every kernel value is computed once, however many subsets it is in.

    Raises:
        ValueError: fewer than two vectors in a set or subset, or no subset.
    """
    size = min(subset_size, len(x), len(y))
    if size < 2 or subsets < 1:
        raise ValueError(
            f"{subsets} subsets of {size} images were requested; a kernel distance needs at least"
            " one subset of two"
        )
    random = np.random.default_rng(seed)
    rows, columns = np.zeros((subsets, len(x))), np.zeros((subsets, len(y)))
    for i in range(subsets):
        rows[i, random.permutation(len(x))[:size]] = 1.0
        columns[i, random.permutation(len(y))[:size]] = 1.0
    within = kernel_within(x, rows) + kernel_within(y, columns)
    distances = within - 2.0 * kernel_between(x, y, rows, columns)
    return KernelEstimate(float(distances.mean()), float(distances.std()), size, subsets, seed)
