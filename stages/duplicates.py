"""duplicates: equal images are found by their pixels, similar ones by a perceptual hash.

The hash is pHash (Zauner, "Implementation and benchmarking of perceptual image hash functions",
2010): the signs of the 63 lowest frequencies of a 32 x 32 discrete cosine transform against their
median. Recompressed, resized or slightly brightened copies differ in few bits.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.Image import Resampling

# Bits of 63 that images which resemble each other may differ in. Looked at on photographs: within 8
# lie the double shots of AFHQ and CIFAR-10, and few others; of clothes on one rug, many others too.
NEAR = 8
SMALLEST = 16  # side in pixels from which on a hash says anything
_SIDE, _LOW = 32, 8
_BLOCK = 2048  # hashes compared with all earlier ones at a time: 2 KiB x 8 per pair row


def perceptual_hash(pixels: NDArray[np.uint8]) -> int | None:
    """63 bits of an image, uint8 (R, R, C); None below 16 pixels a side."""
    if pixels.shape[0] < SMALLEST:
        return None
    image = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    small = image.convert("L").resize((_SIDE, _SIDE), Resampling.BOX)
    basis = _cosines()
    low = (basis @ np.asarray(small, dtype=np.float32) @ basis.T).ravel()[1:]
    return int.from_bytes(np.packbits(low > np.median(low)).tobytes(), "big")


@cache
def _cosines() -> NDArray[np.float32]:
    """The 8 lowest rows of the DCT-II matrix of 32 points, (8, 32), unnormalised."""
    place = np.arange(_SIDE) + 0.5
    return np.cos(np.pi / _SIDE * np.arange(_LOW)[:, None] * place).astype(np.float32)


def nearest_earlier(hashes: list[int]) -> list[int | None]:
    """For every hash the first earlier one within NEAR bits, by place; None without one."""
    values = np.array(hashes, dtype=np.uint64)
    found: list[int | None] = [None] * len(hashes)
    for begin in range(0, len(values), _BLOCK):
        block = values[begin : begin + _BLOCK]
        for start in range(0, begin + len(block), _BLOCK):
            earlier = values[start : start + _BLOCK]
            bits = np.bitwise_count(block[:, None] ^ earlier[None, :])
            rows, columns = np.nonzero(bits <= NEAR)
            for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
                first, second = start + column, begin + row
                if first < second and found[second] is None:
                    found[second] = first
    return found
