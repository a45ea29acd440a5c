"""Non-leaking augmentation (EDM, arXiv 2206.00364): images changed in place and colour.

The network is conditioned on the change, so that it learns the images as they are and not the
changed ones: a condition of zeros is an unchanged image.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from ..common.tensors import to_device

# Standard deviations; angles are uniform over the circle. A shift is in units of half a side: a
# sixteenth of the side, half of EDM's. The tables of docs/presets.md were measured with it.
_LOG2_SCALE, _SHIFT, _BRIGHTNESS, _LOG2_CONTRAST = 0.2, 0.125, 0.15, 0.3


@dataclass(frozen=True)
class Views:
    """How each image of a batch is changed."""

    matrix: NDArray[np.float32]  # (B, 2, 3): from places in the result to places in the image
    moved: NDArray[np.bool_]  # (B,): by more than a mirroring
    mirrored: NDArray[np.bool_]  # (B,)
    brightness: NDArray[np.float32]  # (B,), of the [0, 1] range
    contrast: NDArray[np.float32]  # (B,), a factor
    condition: NDArray[np.float32]  # (B, VIEW), zeros where nothing is changed

    def part(self, which: slice) -> "Views":
        """The views of a part of the batch."""
        return Views(*(values[which] for values in vars(self).values()))


def draw_views(count: int, random: np.random.Generator, probability: float) -> Views:
    """Half of the images are mirrored; every other change happens with `probability`."""
    mirrored = random.random(count) < 0.5

    def changed(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.where(random.random(count) < probability, values, 0.0)

    scale = changed(random.normal(0, _LOG2_SCALE, count))
    aspect = changed(random.normal(0, _LOG2_SCALE, count))
    angle = changed(random.uniform(-math.pi, math.pi, count))
    shift_x = changed(random.normal(0, _SHIFT, count))
    shift_y = changed(random.normal(0, _SHIFT, count))
    brightness = changed(random.normal(0, _BRIGHTNESS, count))
    contrast = changed(random.normal(0, _LOG2_CONTRAST, count))
    cosine, sine = np.cos(angle), np.sin(angle)
    condition = [mirrored, scale / _LOG2_SCALE, aspect / _LOG2_SCALE, cosine - 1, sine]
    condition += [
        shift_x / _SHIFT,
        shift_y / _SHIFT,
        brightness / _BRIGHTNESS,
        contrast / _LOG2_CONTRAST,
    ]
    # From the result to the image: shrink, turn, shift.
    wide, high = np.exp2(-scale - aspect / 2), np.exp2(-scale + aspect / 2)
    rows = [[wide * cosine, -high * sine, shift_x], [wide * sine, high * cosine, shift_y]]
    return Views(
        matrix=np.array(rows, dtype=np.float32).transpose(2, 0, 1),
        moved=(scale != 0) | (aspect != 0) | (angle != 0) | (shift_x != 0) | (shift_y != 0),
        mirrored=mirrored,
        brightness=brightness.astype(np.float32),
        contrast=np.exp2(contrast).astype(np.float32),
        condition=np.stack(condition, axis=1).astype(np.float32),
    )


def apply_views(x: Tensor, views: Views) -> Tensor:
    """The images x (B, C, H, W) in [0, 1] as the views show them; reflected beyond their border."""
    device = x.device
    mirrored = to_device(views.mirrored, device).reshape(-1, 1, 1, 1)
    x = torch.where(mirrored, x.flip(3), x)
    if views.moved.any():
        rows = to_device(np.flatnonzero(views.moved), device)
        matrix = to_device(views.matrix[views.moved], device)
        part = x[rows]
        grid = F.affine_grid(matrix, list(part.shape), align_corners=False)
        seen = F.grid_sample(
            part, grid, mode="bicubic", padding_mode="reflection", align_corners=False
        )
        x = x.index_copy(0, rows, seen.clamp(0, 1))
    contrast, brightness = (
        to_device(values, device).reshape(-1, 1, 1, 1)
        for values in (views.contrast, views.brightness)
    )
    return (x - 0.5) * contrast + 0.5 + brightness
