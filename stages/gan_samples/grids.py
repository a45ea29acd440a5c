"""Detects sample grids, the pictures of many samples that trainers draw while they train.

Scaled down to one image's size, such a grid would count as one odd sample. Criteria are the shape
(a sample of a GAN that was trained on squares is square), the size, lines between tiles, and the
loss: reducing a large sample of a corpus of `side` px to `side` px loses little, reducing tiles
loses much. A grid of two by two whose tiles end in much the same colour may pass.
"""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.Image import Resampling

from ..images.input import Input

MOST_ENLARGED = 8  # times the corpus's side: no supported trainer enlarges a sample further

# Measured on enlarged images (with noise of 5 levels) and grids of cats, clothing, CIFAR and
# digits: single images lose at most 0.1 of the variance, grids of four by four at least 0.05.
_MUCH_LOST = 0.2
_SOME_LOST = 0.01  # together with seams:
_SEAM = 2.0  # times the usual difference of neighbours, both across and down

_PADS = (1, 2, 4)  # pixels of one colour between tiles: torchvision's make_grid has 2
_EVEN = 16.0  # grey levels that JPEG leaves of one colour

Floats = NDArray[np.float64]


def why_no_sample(item: Input, width: int, height: int, side: int) -> str | None:
    """Why a file of this size is no single sample of a GAN for `side` px; None if it may be one."""
    if width != height:
        return f"{width}x{height} px, and a single sample is square"
    if width > MOST_ENLARGED * side:
        return f"{width}x{height} px, {width / side:.3g} times the {side} px of the corpus"
    if width < 2 * side:
        return None
    with Image.open(io.BytesIO(item.read())) as image:
        grey = image.convert("RGB").convert("L")
    if is_grid(grey, side):
        return f"{width}x{height} px, with far more in it than one image of {side} px"
    return None


def is_grid(grey: Image.Image, side: int) -> bool:
    """Whether a square picture of mode L is made of tiles of `side` px, or a multiple of it."""
    pixels = np.asarray(grey, dtype=np.float64)
    tiles = range(side, grey.width // 2 + 1, side)
    if any(_has_padding(pixels, tile, pad) for tile in tiles for pad in _PADS):
        return True
    lost = _lost_variance(grey, pixels, side)
    seamed = any(_has_seams(pixels, tile) for tile in tiles if grey.width % tile == 0)
    return lost > _MUCH_LOST or (lost > _SOME_LOST and seamed)


def _lost_variance(grey: Image.Image, pixels: Floats, side: int) -> float:
    """Part of the variance that is lost when the picture is reduced to `side` px."""
    small = grey.resize((side, side), Resampling.BOX)
    again = (
        small.resize(grey.size, filter_) for filter_ in (Resampling.LANCZOS, Resampling.NEAREST)
    )
    least = min(float(np.mean((np.asarray(one, np.float64) - pixels) ** 2)) for one in again)
    return least / max(float(pixels.var()), 1.0)


def _has_padding(pixels: Floats, tile: int, pad: int) -> bool:
    """Whether lines of one colour lie around every tile."""
    if (len(pixels) - pad) % (tile + pad):
        return False
    lines = [start + i for start in range(0, len(pixels), tile + pad) for i in range(pad)]
    around = np.concatenate([pixels[lines].ravel(), pixels[:, lines].ravel()])
    return bool(np.ptp(around) <= _EVEN and np.ptp(pixels) > 4 * _EVEN)


def _has_seams(pixels: Floats, tile: int) -> bool:
    """Whether neighbours differ much more where tiles would meet, both across and down."""
    return min(_seam_ratio(some, tile) for some in (pixels, pixels.T)) > _SEAM


def _seam_ratio(pixels: Floats, tile: int) -> float:
    """Mean difference of rows where tiles would meet, over that elsewhere; 1 without tiles."""
    steps = np.abs(np.diff(pixels, axis=0)).mean(axis=1)
    is_seam = np.arange(1, len(pixels)) % tile == 0
    usual = float(steps[~is_seam].mean())
    return float(steps[is_seam].mean()) / usual if usual > 0 else 1.0
