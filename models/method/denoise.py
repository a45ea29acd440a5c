"""Score-based denoising from t0 (SM-GAN): adds noise, then removes it down the network's ladder.

The paper gives no formula; this is the reverse variance-exploding chain, or one of its variants.
`residual(x, sigma)` stands for sigma S(x, sigma). Shapes: x (B, C, H, W) in [0, 1].
"""

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor

from .ladder import rungs
from .minimise import Residual
from .options import Denoise, NoiseRule


@torch.no_grad()
def denoise(
    x: Tensor,
    residual: Residual,
    sigma_t0: float,
    sigma_N: float,
    *,
    steps: int,
    kind: Denoise,
    noise_rule: NoiseRule,
    noise: Callable[[], Tensor],
) -> Tensor:
    """x + sigma(t0) z, denoised to sigma_N and then by one noiseless step; (B, C, H, W).

    x <- x + (a^2 - b^2) S(x, a) + sqrt(b^2 (a^2 - b^2) / a^2) z for consecutive levels a > b.

    steps: levels from sigma(t0) down to sigma_N, evenly spaced in ln sigma.
    kind: `stochastic`, the reverse variance-exploding chain; `drift`, the same without its noise;
        `ode`, half of the drift; `tweedie`, one step x + sigma^2 S from sigma(t0); `off`.
    noise_rule: variance added at a step from a to b: b^2 (a^2 - b^2) / a^2, or a^2 - b^2.
    noise: draws z like x from the images' own streams, in a fixed order.
    """
    if kind == "off":
        return x

    # Noise: x + sigma(t0) z.
    x = x + sigma_t0 * noise()
    if kind == "tweedie":
        return x + sigma_t0 * residual(x, sigma_t0)

    # Go down the ladder from sigma(t0) to sigma_N, from level a to level b < a.
    for a, b in pairwise(rungs(sigma_t0, sigma_N, steps).tolist()):
        variance = a * a - b * b
        drift = variance / a * residual(x, a)  # (a^2 - b^2) S(x, a)
        if kind == "ode":
            drift = 0.5 * drift
        x = x + drift
        if kind == "stochastic":
            added = variance if noise_rule == "reverse-sde" else b * b * variance / (a * a)
            x = x + added**0.5 * noise()

    # Remove the last noise: x + sigma_N^2 S(x, sigma_N).
    return x + sigma_N * residual(x, sigma_N)
