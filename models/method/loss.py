"""Denoising score matching (SM-GAN eq. 10), the levels it draws, and its noise bands.

Shapes: x (B, C, H, W) in [0, 1]; sigma (B,); noise z like x, standard normal.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

FOCUS_SHARE = 0.8

# Noise bands for reporting, in units of the [0, 1] range; generation uses the lower ones.
BAND_EDGES = (0.0, 0.02, 0.05, 0.15, 0.5, 2.0, float("inf"))


def dsm_loss(net: nn.Module, x: Tensor, sigma: Tensor, noise: Tensor) -> Tensor:
    """E || sigma S(x + sigma z, sigma) + z ||^2 per image and dimension; (B,).

    0: the noise is predicted exactly; 1: not at all.
    """
    noisy = torch.addcmul(x, sigma.reshape(-1, 1, 1, 1), noise)
    error: Tensor = net(noisy, sigma) + noise
    return error.square().mean(dim=(1, 2, 3))


def draw_levels(
    ladder: NDArray[np.float64], count: int, random: np.random.Generator, focus: float | None
) -> NDArray[np.float64]:
    """`count` levels of the ladder, uniform over its indices [paper].

    `focus`: FOCUS_SHARE of the draws are uniform over the levels at or below this sigma instead,
    because generation uses no level above it; the rest trains the whole ladder.
    """
    uniform = random.integers(len(ladder), size=count)
    if focus is None:
        return ladder[uniform]
    first_below = int(np.searchsorted(-ladder, -focus))
    first_below = min(first_below, len(ladder) - 1)
    low = random.integers(first_below, len(ladder), size=count)
    return ladder[np.where(random.random(count) < FOCUS_SHARE, low, uniform)]


def band_levels(ladder: NDArray[np.float64], per_band: int) -> dict[str, NDArray[np.float64]]:
    """For each noise band that the ladder reaches, `per_band` of its levels, evenly chosen."""
    bands = {}
    for low, high in zip(BAND_EDGES[:-1], BAND_EDGES[1:], strict=True):
        inside = ladder[(ladder > low) & (ladder <= high)]
        if len(inside):
            name = f"{low:g}-{high:g}" if np.isfinite(high) else f">{low:g}"
            bands[name] = inside[np.linspace(0, len(inside) - 1, per_band).round().astype(int)]
    return bands
