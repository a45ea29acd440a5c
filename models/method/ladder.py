"""The noise ladder of SM-GAN: sigma_n = sigma_1 gamma^(n-1), down to exactly sigma_N."""

import math

import numpy as np
from numpy.typing import NDArray

SIGMA_N = 0.01
GAMMA = 0.99


def noise_ladder(
    sigma_1: float, sigma_N: float = SIGMA_N, gamma: float = GAMMA
) -> NDArray[np.float64]:
    """All N levels, falling, in units of an image's [0, 1] range.

    N = 1 + ceil(ln(sigma_1 / sigma_N) / -ln gamma); the last level is set to exactly sigma_N.

    Raises:
        ValueError: sigma_1 is not above sigma_N (a set of identical images, say).
    """
    if not sigma_1 > sigma_N:
        raise ValueError(
            f"The largest distance between two training images is {sigma_1:.4g}, which is not above"
            f" the smallest noise level {sigma_N}: there is nothing to learn. Give more varied"
            " images."
        )
    count = 1 + math.ceil(math.log(sigma_1 / sigma_N) / -math.log(gamma))
    levels = sigma_1 * gamma ** np.arange(count, dtype=np.float64)
    levels[-1] = sigma_N
    return levels


def sigma_at(t: float, sigma_1: float, sigma_N: float = SIGMA_N) -> float:
    """sigma(t) = sigma_N (sigma_1 / sigma_N)^t, so sigma(0) = sigma_N and sigma(1) = sigma_1."""
    return float(sigma_N * (sigma_1 / sigma_N) ** t)


def rungs(upper: float, lower: float, count: int) -> NDArray[np.float64]:
    """`count` levels from `upper` down to `lower`, evenly spaced in ln sigma, ends exact."""
    levels = np.geomspace(upper, lower, count)
    levels[0], levels[-1] = upper, lower
    return levels
