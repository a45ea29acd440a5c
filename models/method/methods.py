"""The mixing methods: each is one function from two parents to an image and its intermediate steps.

Equations of SM-GAN (Cao et al., arXiv 2210.15137) unless another paper is named.
Shapes: parents x1, x2 (B, C, H, W) in [0, 1]; lambda_ (B,); norms (B, 3).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from ..network.score_net import ScoreNet
from .bridge import Keep, bridge
from .denoise import Denoise, NoiseRule, denoise
from .ladder import sigma_at
from .minimise import minimise, score_norm
from .mixing import mix

# Draws standard normal numbers like the batch, for a purpose, each image from its own stream.
Noise = Callable[[str], Tensor]


class MixResult(NamedTuple):
    """A batch after each step of a method; (B, C, H, W), not yet clamped or rounded."""

    mixup: Tensor  # x' = lambda x1 + (1 - lambda) x2
    minimised: Tensor  # x*
    final: Tensor
    norms: Tensor | None  # (B, 3): ||sigma_N S||^2 / D of the three; None without a network


@dataclass(frozen=True)
class ScoreMixOptions:
    """Options of Algorithm 1 and of the denoising after it; the defaults are the paper's."""

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
    """Options of NoiseDiffusion: parents are encoded up to sigma(t0)."""

    t0: float
    denoise_steps: int  # levels of the ODE, each way
    keep: Keep = "noise"  # whose variance mixing keeps
    gamma: float = 0.0  # share of fresh noise


def mixup(x1: Tensor, x2: Tensor, lambda_: Tensor) -> MixResult:
    """The baseline: x' itself. Needs no score network."""
    mixed = mix(x1, x2, lambda_)
    return MixResult(mixed, mixed, mixed, None)


def scoremix(
    x1: Tensor,
    x2: Tensor,
    lambda_: Tensor,
    score: "FrozenScore",
    noise: Noise,
    options: ScoreMixOptions,
) -> MixResult:
    """SM-GAN: mixup, then Algorithm 1, then score-based denoising from t0."""
    sigma_N = score.sigma_N
    norms: list[Tensor] = []

    # Mix: x' = lambda x1 + (1 - lambda) x2, lambda ~ Beta(alpha, alpha).
    mixed = mix(x1, x2, lambda_)

    # Minimise the score's norm (Algorithm 1): x* = argmin ||S(x, sigma_N)||^2 from x'.
    minimised = minimise(
        mixed,
        score,
        sigma_N,
        steps=options.steps,
        lr=options.lr,
        noise=partial(noise, "score-noise") if options.score_noise == "fresh" else None,
        stop_norm=options.stop_norm,
        on_first_norm=norms.append,
    )

    # Denoise: x* + sigma(t0) z, sigma(t) = sigma_N (sigma_1 / sigma_N)^t, down to sigma_N.
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

    # Record ||sigma_N S||^2 / D of all three; the minimisation often has that of x' already.
    remaining = (minimised, final) if norms else (mixed, minimised, final)
    norms += [score_norm(x, score, sigma_N) for x in remaining]
    return MixResult(mixed, minimised, final, torch.stack(norms, dim=1))


def noise_diffusion(
    x1: Tensor,
    x2: Tensor,
    lambda_: Tensor,
    mean: Tensor | None,
    score: "FrozenScore",
    noise: Noise,
    options: BridgeOptions,
) -> MixResult:
    """Method `bridge`: NoiseDiffusion (arXiv 2403.08840), see bridge.py. mean: m like x1, for
    `keep: both` alone."""
    sigma_N = score.sigma_N

    # Mixup, for comparison only.
    mixed = mix(x1, x2, lambda_)

    # Encode both parents up to sigma(t0) by the ODE, mix there, decode.
    final = bridge(
        x1,
        x2,
        lambda_,
        score,
        sigma_at(options.t0, score.sigma_1, sigma_N),
        sigma_N,
        options.denoise_steps,
        keep=options.keep,
        gamma=options.gamma,
        mean=mean,
        noise=partial(noise, "bridge"),
    )

    # Record ||sigma_N S||^2 / D; nothing is minimised, so x* is x'.
    before, after = (score_norm(x, score, sigma_N) for x in (mixed, final))
    return MixResult(mixed, mixed, final, torch.stack((before, before, after), dim=1))


class FrozenScore:
    """A trained network as `residual(x, sigma)`: weights frozen, conditioning cached per level."""

    def __init__(self, net: ScoreNet, sigma_1: float, sigma_N: float) -> None:
        self.net = net.requires_grad_(False).eval()
        self.sigma_1 = sigma_1
        self.sigma_N = sigma_N
        self._conditions: dict[float, Any] = {}

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        """sigma S(x, sigma), one level for the whole batch; (B, C, H, W)."""
        if sigma not in self._conditions:
            with torch.no_grad():
                level = torch.tensor([sigma], dtype=torch.float32, device=x.device)
                self._conditions[sigma] = self.net.condition(level)
        return self.net.residual_given(x, self._conditions[sigma])
