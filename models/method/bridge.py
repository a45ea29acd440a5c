"""Bridge: mixing in the noised space, a method of this project's own beside the published one.

Both parents are encoded by the probability-flow ODE, which loses nothing; images and noises are
mixed apart, so that the noise keeps its variance, and the same ODE leads back. With lambda = 1 it
returns parent 1, but for the steps' finite size.

Shapes: images (B, C, H, W) in [0, 1]; lambda_ (B,).
"""

from itertools import pairwise

import torch
from torch import Tensor

from .ladder import rungs
from .minimise import Residual


@torch.no_grad()
def flow(x: Tensor, residual: Residual, begin: float, end: float, levels: int) -> Tensor:
    """dx/dsigma = -sigma S(x, sigma) from `begin` to `end`, by Heun's method over `levels` levels.

    residual: (x, sigma) -> sigma S. Levels are evenly spaced in ln sigma, either way.
    """
    for a, b in pairwise(rungs(begin, end, levels).tolist()):
        slope = residual(x, a)
        slope = slope + residual(x + (a - b) * slope, b)
        x = x + (a - b) / 2 * slope
    return x


@torch.no_grad()
def bridge(
    x1: Tensor,
    x2: Tensor,
    lambda_: Tensor,
    residual: Residual,
    sigma: float,
    sigma_N: float,
    levels: int,
) -> Tensor:
    """y = lambda x1 + (1-lambda) x2 + (lambda n1 + (1-lambda) n2) / sqrt(lambda^2 + (1-lambda)^2).

    n_i is what encoding up to `sigma` adds to x_i; y is decoded from there down to `sigma_N`.
    """
    weight = lambda_.reshape(-1, 1, 1, 1)
    other = 1.0 - weight
    n1, n2 = (flow(x, residual, sigma_N, sigma, levels) - x for x in (x1, x2))
    noise = (weight * n1 + other * n2) / (weight.square() + other.square()).sqrt()
    return flow(weight * x1 + other * x2 + noise, residual, sigma, sigma_N, levels)
