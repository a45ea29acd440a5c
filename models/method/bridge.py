"""Bridge: NoiseDiffusion (Zheng et al., ICLR 2024, arXiv 2403.08840) with gamma = 0, gain 1 and no
clipping, in variance-exploding coordinates; an alternative to ScoreMix.

Encodes both parents by the probability-flow ODE, mixes images and noises separately, so that the
noise keeps its variance (see also arXiv 2408.08558), and decodes by the same ODE. lambda = 1
returns parent 1, up to the error of the finite steps.

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

    residual: (x, sigma) -> sigma S. Levels are evenly spaced in ln sigma, upwards or downwards.
    """
    for a, b in pairwise(rungs(begin, end, levels).tolist()):
        # Euler's step with the slope at a, then Heun's with the mean of the slopes at a and b.
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

    # Encode both parents: n_i = flow(x_i, sigma_N -> sigma) - x_i.
    n1, n2 = (flow(x, residual, sigma_N, sigma, levels) - x for x in (x1, x2))

    # Mix images and noises separately, the noises with their variance kept.
    noise = (weight * n1 + other * n2) / (weight.square() + other.square()).sqrt()
    y = weight * x1 + other * x2 + noise

    # Decode: flow(y, sigma -> sigma_N).
    return flow(y, residual, sigma, sigma_N, levels)
