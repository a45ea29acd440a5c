"""Bridge: NoiseDiffusion (Zheng et al., ICLR 2024, arXiv 2403.08840) without gain and clipping, in
variance-exploding coordinates; an alternative to ScoreMix.

Encodes both parents by the probability-flow ODE, mixes there, and decodes by the same ODE. Plain
averages of encodings have too small a variance (see also arXiv 2408.08558): `keep` says whose
variance is restored, that of the noise as in NoiseDiffusion, or also that of the images. lambda = 1
without fresh noise returns parent 1, up to the error of the finite steps.

Shapes: images (B, C, H, W) in [0, 1]; lambda_ (B,).
"""

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from .ladder import rungs
from .minimise import Residual
from .mixing import kept_variance, mix, mix_with_contrast
from .options import Keep


@torch.no_grad()
def flow(x: Tensor, residual: Residual, begin: float, end: float, levels: int) -> Tensor:
    """dx/dsigma = -sigma S(x, sigma) from `begin` to `end`, by Heun's method over `levels` levels.

    residual: (x, sigma) -> sigma S. Levels are evenly spaced in ln sigma, upwards or downwards.
    """
    return flow_along(x, residual, rungs(begin, end, levels).tolist())


@torch.no_grad()
def flow_along(x: Tensor, residual: Residual, levels: Sequence[float]) -> Tensor:
    """dx/dsigma = -sigma S(x, sigma) from the first level to the last, by Heun's method."""
    for a, b in pairwise(levels):
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
    *,
    keep: Keep = "noise",
    gamma: float = 0.0,
    mean: Tensor | None = None,
    noise: Callable[[], Tensor] | None = None,
    encodings: tuple[Tensor, Tensor] | None = None,
) -> Tensor:
    """Encodes up to `sigma`: e_i = x_i + n_i; decodes y from there down to `sigma_N`.

    keep none: y = lambda e1 + (1-lambda) e2, the plain average of the encodings.
    keep noise: y = x' + (lambda n1 + (1-lambda) n2) / sqrt(lambda^2 + (1-lambda)^2).
    keep both: y = m + (lambda (e1 - m) + (1-lambda)(e2 - m)) / sqrt(lambda^2 + (1-lambda)^2).

    gamma: share of fresh noise z, by which the mixed noise n becomes
        sqrt(1 - gamma^2) n + gamma sigma z, as the paper's alpha^2 + beta^2 + gamma^2 = 1.
    mean: m like x1, for `both` alone. noise: draws z like x1, where gamma is above 0.
    encodings: e1 and e2, where they are known.
    """
    # Encode both parents: n_i = e_i - x_i, e_i = flow(x_i, sigma_N -> sigma).
    if encodings is None:
        e1, e2 = (flow(x, residual, sigma_N, sigma, levels) for x in (x1, x2))
    else:
        e1, e2 = encodings
    n1, n2 = e1 - x1, e2 - x2

    # Mix the noises with their variance kept, and fresh noise with them.
    mixed_noise = mix(n1, n2, lambda_)
    if keep != "none":
        mixed_noise = mixed_noise / kept_variance(lambda_)
    if gamma:
        assert noise is not None
        mixed_noise = (1.0 - gamma**2) ** 0.5 * mixed_noise + gamma * sigma * noise()

    # Mix the images, about their mean where their variance is kept too.
    if keep == "both":
        assert mean is not None
        y = mix_with_contrast(x1, x2, lambda_, mean) + mixed_noise
    else:
        y = mix(x1, x2, lambda_) + mixed_noise

    # Decode: flow(y, sigma -> sigma_N).
    return flow(y, residual, sigma, sigma_N, levels)
