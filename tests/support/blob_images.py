"""Images of two Gaussian blobs in the space of images: the plainest set with two modes."""

import numpy as np
from numpy.typing import NDArray


def blobs(count: int, seed: int) -> NDArray[np.uint8]:
    """uint8 (count, 8, 8, 1): left half or right half bright, with noise."""
    random = np.random.default_rng(seed)
    means = np.full((2, 8, 8), 60.0)
    means[0, :, :4] = means[1, :, 4:] = 190.0
    images = means[random.integers(2, size=count)] + random.normal(0, 12, (count, 8, 8))
    return np.rint(images).clip(0, 255).astype(np.uint8)[..., None]
