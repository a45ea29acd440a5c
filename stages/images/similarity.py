"""Finds images that resemble an earlier one, by a perceptual hash.

The hash is pHash (Zauner, "Implementation and benchmarking of perceptual image hash functions",
2010): the signs of the 63 lowest frequencies of a discrete cosine transform against their median.
Recompressed, resized or slightly brightened copies differ in few bits.
"""

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Of 63 bits, how many may differ between similar images. On photographs (AFHQ, CIFAR-10), 8 bits
# find double shots and few others; of clothes photographed on one rug, many others too.
MAX_DISTANCE = 8
MIN_SIDE = 16  # pixels: hashes of smaller images mean nothing
_FREQUENCIES = 8  # each way
_SCALE = 127  # of the cosines: whole numbers are summed exactly, in any order, on any machine
_MAX_FLOAT32_SIDE = 172  # pixels: up to it, 3 * 255 * _SCALE * side is exact in float32
_BLOCK = 512  # hashes compared with as many earlier ones at a time: 2 MiB of differences


def perceptual_hashes(images: NDArray[np.uint8]) -> list[int | None]:
    """The 63-bit hash of every image of (N, R, R, C); None below MIN_SIDE pixels."""
    side = images.shape[1]
    if side < MIN_SIDE:
        return [None] * len(images)
    # Whole numbers below 2**24, then below 2**53: both products are exact.
    exact: type[np.floating[Any]] = np.float32 if side <= _MAX_FLOAT32_SIDE else np.float64
    brightness: NDArray[Any] = images[..., 0].astype(exact)
    for channel in range(1, images.shape[3]):
        brightness += images[..., channel]
    basis = _cosines(side)
    rows = (basis.astype(exact) @ brightness).astype(np.float64)
    low = (rows @ basis.T).reshape(len(images), -1)[:, 1:]
    bits = np.packbits(low > np.median(low, axis=1, keepdims=True), axis=1)
    return [int.from_bytes(row.tobytes(), "big") for row in bits]


@cache
def _cosines(side: int) -> NDArray[np.float64]:
    """The 8 lowest rows of the DCT-II matrix of `side` points, (8, side), as whole numbers."""
    centre = np.arange(side) + 0.5
    cosines: NDArray[np.float64] = np.cos(np.pi / side * np.arange(_FREQUENCIES)[:, None] * centre)
    return np.rint(_SCALE * cosines)


def nearest_earlier(hashes: list[int]) -> list[int | None]:
    """For every hash the index of the first earlier one within MAX_DISTANCE bits, or None."""
    values = np.array(hashes, dtype=np.uint64)
    found = np.full(len(values), -1)
    for begin in range(0, len(values), _BLOCK):
        end = min(begin + _BLOCK, len(values))
        for start in range(0, end, _BLOCK):
            unmatched = begin + np.flatnonzero(found[begin:end] < 0)
            earlier = values[start : start + _BLOCK]
            near = np.bitwise_count(values[unmatched, None] ^ earlier[None, :]) <= MAX_DISTANCE
            if start == begin:
                near &= np.arange(start, start + len(earlier)) < unmatched[:, None]
            hit = near.any(axis=1)
            found[unmatched[hit]] = start + near[hit].argmax(axis=1)
    return [int(index) if index >= 0 else None for index in found]
