"""Class centres: normalised means of normalised embeddings, and the distances between them."""

import numpy as np
from numpy.typing import NDArray

from ...models.metrics.verification import normalised

Floats = NDArray[np.float64]
_DECIMALS = 6  # of distances: the last bits depend on the processor, and an order must not


def class_centres(
    embeddings: NDArray[np.floating], labels: NDArray[np.int64], classes: int
) -> NDArray[np.float32]:
    """(K, E) centres of length 1 from embeddings (N, E); NaN for a class without an image."""
    summed = np.zeros((classes, embeddings.shape[1]))
    known = labels >= 0
    np.add.at(summed, labels[known], normalised(embeddings[known]))
    centres = normalised(summed)
    centres[np.bincount(labels[known], minlength=classes) == 0] = np.nan
    return centres.astype(np.float32)


def cosine_distances(centres: NDArray[np.floating]) -> Floats:
    """(K, K) of 1 - cosine, rounded: 0 for the same direction, 2 for the opposite one."""
    unit = normalised(centres)
    distances: Floats = np.round(1.0 - unit @ unit.T, _DECIMALS).clip(0.0, 2.0)
    return distances
