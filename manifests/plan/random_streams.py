"""One random stream per image and purpose.

Every random number of an image comes from a stream keyed by (dataset seed, its own key): never
from its position in a batch, its worker or the order of work. Philox is counter-based: a stream
costs nothing to open, and two streams never overlap.
"""

import hashlib

import numpy as np
from numpy.typing import NDArray


def image_seed(dataset_seed: int, key: str) -> int:
    """63-bit key of an image's streams: it must survive JSON and Parquet's int64."""
    digest = hashlib.sha256(f"{dataset_seed}/{key}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def some_rows(total: int, at_most: int, seed: int, purpose: str) -> NDArray[np.int64]:
    """A seeded choice of `at_most` of the rows 0 to total - 1, ascending; all where they are few.

    The first so many would be of the first classes alone: images are stored by name.
    """
    if total <= at_most:
        return np.arange(total)
    return np.sort(stream(image_seed(seed, purpose), "rows").permutation(total)[:at_most])


def stream(seed: int, purpose: str) -> np.random.Generator:
    """The stream of an image (or of a whole step) for one purpose: "plan", "denoise", ..."""
    tag = int.from_bytes(hashlib.sha256(purpose.encode()).digest()[:8], "big")
    return np.random.Generator(np.random.Philox(key=np.array([seed, tag], dtype=np.uint64)))
