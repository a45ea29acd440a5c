"""The mixing methods: a method is one function from two parents to an image and its steps.

Shapes: parents (B, C, H, W) in [0, 1]; lambda_ (B,); norms (B, 3).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from ..network.norm import Affine
from ..network.score_net import ScoreNet
from .bridge import bridge
from .denoise import Denoise, NoiseRule, denoise
from .ladder import sigma_at
from .minimise import minimise, score_norm

# Draws standard normal numbers like the batch, each image from its own stream for that purpose.
Noise = Callable[[str], Tensor]


class Steps(NamedTuple):
    """What a method made of a batch, step by step."""

    mixup: Tensor  # x' = lambda x1 + (1 - lambda) x2
    minimised: Tensor  # x*
    final: Tensor  # not yet clamped or rounded
    norms: Tensor | None  # ||sigma_N S||^2 / D of the three; None without a score network


@dataclass(frozen=True)
class ScoreMixOptions:
    """Section 3 of the method; the defaults are the published settings."""

    steps: int = 100
    lr: float = 0.005
    stop_norm: float | None = None
    score_noise: Literal["none", "fresh"] = "none"  # fresh: S at x + sigma_N z
    t0: float = 0.25
    denoise: Denoise = "stochastic"
    denoise_steps: int = 25
    noise_rule: NoiseRule = "ancestral"


@dataclass(frozen=True)
class BridgeOptions:
    """Section 10 of the method: sigma(t0) up to which parents are encoded, and the ODE's levels."""

    t0: float
    denoise_steps: int


def mix(x1: Tensor, x2: Tensor, lambda_: Tensor) -> Tensor:
    """x' = lambda x1 + (1 - lambda) x2."""
    weight = lambda_.reshape(-1, 1, 1, 1)
    return weight * x1 + (1.0 - weight) * x2


def mixup(x1: Tensor, x2: Tensor, lambda_: Tensor) -> Steps:
    """The baseline: x' itself. Needs no score network."""
    mixed = mix(x1, x2, lambda_)
    return Steps(mixed, mixed, mixed, None)


def scoremix(
    x1: Tensor,
    x2: Tensor,
    lambda_: Tensor,
    score: "FrozenScore",
    noise: Noise,
    options: ScoreMixOptions,
) -> Steps:
    """Mix, minimise the score norm (Algorithm 1), denoise from t0."""
    sigma_N = score.sigma_N
    mixed = mix(x1, x2, lambda_)
    norms: list[Tensor] = []
    minimised = minimise(
        mixed,
        score,
        sigma_N,
        steps=options.steps,
        lr=options.lr,
        noise=partial(noise, "score-noise") if options.score_noise == "fresh" else None,
        stop_norm=options.stop_norm,
        on_first=norms.append,
    )
    final = denoise(
        minimised,
        score,
        sigma_at(options.t0, score.sigma_1, sigma_N),
        sigma_N,
        steps=options.denoise_steps,
        kind=options.denoise,
        noise_rule=options.noise_rule,
        noise=partial(noise, "denoise"),
    )
    left = (minimised, final) if norms else (mixed, minimised, final)
    norms += [score_norm(x, score, sigma_N) for x in left]
    return Steps(mixed, minimised, final, torch.stack(norms, dim=1))


def bridged(
    x1: Tensor, x2: Tensor, lambda_: Tensor, score: "FrozenScore", options: BridgeOptions
) -> Steps:
    """NoiseDiffusion (bridge.py): mixes the parents' encodings at sigma(t0)."""
    sigma, sigma_N = sigma_at(options.t0, score.sigma_1, score.sigma_N), score.sigma_N
    mixed = mix(x1, x2, lambda_)
    final = bridge(x1, x2, lambda_, score, sigma, sigma_N, options.denoise_steps)
    before, after = (score_norm(x, score, sigma_N) for x in (mixed, final))
    return Steps(mixed, mixed, final, torch.stack((before, before, after), dim=1))


class FrozenScore:
    """A trained network as `residual(x, sigma)`: weights frozen, conditioning kept per level."""

    def __init__(self, net: ScoreNet, sigma_1: float, sigma_N: float) -> None:
        self.net = net.requires_grad_(False).eval()
        self.sigma_1 = sigma_1
        self.sigma_N = sigma_N
        self._affines: dict[float, list[Affine]] = {}

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        """sigma S(x, sigma), one level for the whole batch; (B, C, H, W)."""
        if sigma not in self._affines:
            with torch.no_grad():
                level = torch.tensor([sigma], dtype=torch.float32, device=x.device)
                self._affines[sigma] = self.net.conditioning(level)
        return self.net.residual_given(x, self._affines[sigma])
