"""Denoising score matching (SM-GAN eq. 10), the levels it draws, and its noise bands.

Shapes: x (B, C, H, W) in [0, 1]; sigma (B,); noise z like x, standard normal.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..network.unet import SIGMA_DATA

FOCUS_SHARE = 0.8
LOG_MEAN, LOG_SPREAD = -1.2, 1.3  # of ln sigma on [-1, 1]: EDM has -1.2 and 1.2

# Noise bands for reporting, in units of the [0, 1] range; generation uses the lower ones.
BAND_EDGES = (0.0, 0.02, 0.05, 0.15, 0.5, 2.0, float("inf"))


def dsm_loss(
    net: nn.Module,
    x: Tensor,
    sigma: Tensor,
    noise: Tensor,
    labels: Tensor | None = None,
    view: Tensor | None = None,
) -> Tensor:
    """E || sigma S(x + sigma z, sigma) + z ||^2 per image and dimension; (B,).

    0: the noise is predicted exactly; 1: not at all. labels, view: conditions of the network.
    """
    noisy = torch.addcmul(x, sigma.reshape(-1, 1, 1, 1), noise)
    conditions = () if labels is None and view is None else (labels, view)
    error: Tensor = net(noisy, sigma, *conditions) + noise
    return error.square().mean(dim=(1, 2, 3))


def edm_weight(sigma: Tensor) -> Tensor:
    """EDM's weight of the loss over that of `dsm_loss`, 1 + (2 sigma / sigma_data)^2; like sigma.

    EDM weighs |D - x|^2 by (s^2 + sigma_data^2) / (s sigma_data)^2, and D - x is s times the error
    of the noise, with s = 2 sigma on [-1, 1] (arXiv 2206.00364, table 1).
    """
    return 1.0 + (2.0 * sigma / SIGMA_DATA).square()


def draw_lognormal(
    ladder: NDArray[np.float64], count: int, random: np.random.Generator
) -> NDArray[np.float64]:
    """`count` levels with ln(2 sigma) ~ N(-1.2, 1.3^2), kept within the ladder."""
    sigma = np.exp(LOG_MEAN + LOG_SPREAD * random.standard_normal(count)) / 2.0
    return np.clip(sigma, ladder[-1], ladder[0])


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
