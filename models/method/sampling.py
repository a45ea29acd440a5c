"""Pure samples: the probability-flow ODE from the top of the noise ladder, by Heun's method, on the
levels of EDM (Karras et al. 2022, arXiv 2206.00364, eq. 5). Shapes: x (B, C, H, W)."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .bridge import flow_along
from .minimise import Residual

RHO = 7.0


def karras_levels(sigma_1: float, sigma_N: float, count: int) -> NDArray[np.float64]:
    """`count` falling levels, evenly spaced in sigma^(1/rho), rho = 7; ends exact."""
    top, bottom = sigma_1 ** (1 / RHO), sigma_N ** (1 / RHO)
    levels: NDArray[np.float64] = (top + np.linspace(0, 1, count) * (bottom - top)) ** RHO
    levels[0], levels[-1] = sigma_1, sigma_N
    return levels


@torch.no_grad()
def draw_samples(
    mean: Tensor, z: Tensor, residual: Residual, sigma_1: float, sigma_N: float, count: int
) -> Tensor:
    """m + sigma_1 z, followed down to sigma_N over `count` levels, then one noiseless step.

    At sigma_1 the noised data are N(m, sigma_1^2) up to the data's own variance.
    """
    x = flow_along(mean + sigma_1 * z, residual, karras_levels(sigma_1, sigma_N, count).tolist())
    return x + sigma_N * residual(x, sigma_N)
