"""sigma_1: the largest Euclidean distance between any two training images, exactly.

Images are 8-bit, so d^2 = |a|^2 + |b|^2 - 2ab is an integer, and float64 products of blocks are
exact: 255^2 * D stays below 2^53 for D < 1.3e11. Distances to the mean image prune the pairs:
|a - b| <= r_a + r_b, so a pair with r_a + r_b below a known distance cannot be the largest.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_BLOCK_BYTES = 64 << 20  # of float64 pixels held at a time, per operand
_HOPS = 8
_MARGIN = 1 + 1e-9  # radii are rounded: never prune a pair that ties with the bound


class Diameter(NamedTuple):
    """The largest distance and the pair of images that has it."""

    squared: int  # exact, in (8-bit grey levels)^2
    first: int  # rows of the pair, first < second
    second: int

    @property
    def sigma_1(self) -> float:
        """The distance in units of the [0, 1] range."""
        return math.sqrt(self.squared) / 255.0


def diameter(
    images: NDArray[np.uint8], on_block: Callable[[int], None] = lambda rows: None
) -> Diameter:
    """The farthest pair of `images` (uint8, N first; may be memory-mapped), in constant memory.

    on_block: called with the number of images finished since the last call.

    Raises:
        ValueError: fewer than two images.
    """
    count = len(images)
    if count < 2:
        raise ValueError(
            f"sigma_1 is the largest distance between two training images; there is {count}."
        )
    flat = images.reshape(count, -1)
    rows = max(1, _BLOCK_BYTES // (8 * flat.shape[1]))
    radius = _radii(flat, rows)
    best = _hops(flat, rows, int(radius.argmax()))
    # Those that can still be half of a longer pair, the outermost first.
    bound = math.sqrt(best.squared)
    order = np.argsort(-radius, kind="stable")
    order = order[(radius[order] + radius.max()) * _MARGIN >= bound]
    on_block(count - len(order))
    for start in range(0, len(order), rows):
        best = _row_of_blocks(flat, order, radius, start, rows, best)
        on_block(min(rows, len(order) - start))
    return best


def _radii(flat: NDArray[np.uint8], rows: int) -> NDArray[np.float64]:
    """Distance of every image to the mean image."""
    total = np.zeros(flat.shape[1], dtype=np.int64)
    for start in range(0, len(flat), rows):
        total += flat[start : start + rows].sum(axis=0, dtype=np.int64)
    mean = total / len(flat)
    radius = np.empty(len(flat))
    for start in range(0, len(flat), rows):
        block = flat[start : start + rows] - mean
        radius[start : start + rows] = np.sqrt(np.einsum("nd,nd->n", block, block))
    return radius


def _hops(flat: NDArray[np.uint8], rows: int, start: int) -> Diameter:
    """A lower bound: from an image to the one farthest from it, and on from there."""
    best = Diameter(-1, 0, 1)
    here = start
    for _ in range(_HOPS):
        origin = flat[here].astype(np.float64)
        farthest, there = -1, here
        for begin in range(0, len(flat), rows):
            block = flat[begin : begin + rows] - origin
            squared = np.einsum("nd,nd->n", block, block)
            if here >= begin and here < begin + rows:
                squared[here - begin] = -1
            if squared.max() > farthest:
                farthest, there = int(squared.max()), begin + int(squared.argmax())
        if farthest <= best.squared:
            break
        best = Diameter(farthest, min(here, there), max(here, there))
        here = there
    return best


def _row_of_blocks(
    flat: NDArray[np.uint8],
    order: NDArray[np.intp],
    radius: NDArray[np.float64],
    start: int,
    rows: int,
    best: Diameter,
) -> Diameter:
    """Compares the block of `order` at `start` with itself and all blocks after it."""
    mine = order[start : start + rows]
    left = flat[mine].astype(np.float64)
    left_squared = np.einsum("nd,nd->n", left, left)
    for begin in range(start, len(order), rows):
        theirs = order[begin : begin + rows]
        # Radii fall along `order`: once the outermost of both blocks cannot win, none after can.
        if (radius[mine[0]] + radius[theirs[0]]) * _MARGIN < math.sqrt(best.squared):
            break
        right = left if begin == start else flat[theirs].astype(np.float64)
        right_squared = np.einsum("nd,nd->n", right, right)
        squared = left_squared[:, None] + right_squared[None, :] - 2.0 * (left @ right.T)
        if squared.max() > best.squared:
            i, j = np.unravel_index(int(squared.argmax()), squared.shape)
            pair = sorted((int(mine[i]), int(theirs[j])))
            best = Diameter(int(squared[i, j]), pair[0], pair[1])
    return best
