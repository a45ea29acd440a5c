"""duplicates: equal images are found by their pixels, similar ones by a perceptual hash.

The hash is pHash (Zauner, "Implementation and benchmarking of perceptual image hash functions",
2010): the signs of the 63 lowest frequencies of a discrete cosine transform against their median.
Recompressed, resized or slightly brightened copies differ in few bits.
"""

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Bits of 63 that images which resemble each other may differ in. Looked at on photographs: within 8
# lie the double shots of AFHQ and CIFAR-10, and few others; of clothes on one rug, many others too.
NEAR = 8
SMALLEST = 16  # side in pixels from which on a hash says anything
_LOW = 8  # frequencies each way
_STEPS = 127  # of the cosines: whole numbers are summed exactly, in any order, on any machine
_SINGLE = 172  # side up to which 3 * 255 * _STEPS * side is exact in single precision
_BLOCK = 512  # hashes compared with as many earlier ones at a time: 2 MiB of differences


def perceptual_hashes(images: NDArray[np.uint8]) -> list[int | None]:
    """63 bits of every image of (N, R, R, C); None below 16 pixels a side."""
    side = images.shape[1]
    if side < SMALLEST:
        return [None] * len(images)
    # Whole numbers below 2**24, then below 2**53: both products are exact.
    exact: type[np.floating[Any]] = np.float32 if side <= _SINGLE else np.float64
    bright: NDArray[Any] = images[..., 0].astype(exact)
    for channel in range(1, images.shape[3]):
        bright += images[..., channel]
    basis = _cosines(side)
    rows = (basis.astype(exact) @ bright).astype(np.float64)
    low = (rows @ basis.T).reshape(len(images), -1)[:, 1:]
    bits = np.packbits(low > np.median(low, axis=1, keepdims=True), axis=1)
    return [int.from_bytes(row.tobytes(), "big") for row in bits]


@cache
def _cosines(side: int) -> NDArray[np.float64]:
    """The 8 lowest rows of the DCT-II matrix of `side` points, (8, side), as whole numbers."""
    place = np.arange(side) + 0.5
    cosines: NDArray[np.float64] = np.cos(np.pi / side * np.arange(_LOW)[:, None] * place)
    return np.rint(_STEPS * cosines)


def nearest_earlier(hashes: list[int]) -> list[int | None]:
    """For every hash the first earlier one within NEAR bits, by place; None without one."""
    values = np.array(hashes, dtype=np.uint64)
    found = np.full(len(values), -1)
    for begin in range(0, len(values), _BLOCK):
        end = min(begin + _BLOCK, len(values))
        for start in range(0, end, _BLOCK):
            open_ = begin + np.flatnonzero(found[begin:end] < 0)
            earlier = values[start : start + _BLOCK]
            near = np.bitwise_count(values[open_, None] ^ earlier[None, :]) <= NEAR
            if start == begin:
                near &= np.arange(start, start + len(earlier)) < open_[:, None]
            hit = near.any(axis=1)
            found[open_[hit]] = start + near[hit].argmax(axis=1)
    return [int(place) if place >= 0 else None for place in found]
