"""The methods: each is one function from one or two parents to an image and its intermediate steps.

Equations of SM-GAN (Cao et al., arXiv 2210.15137) unless another paper is named.
Shapes: parents x1, x2 (B, C, H, W) in [0, 1]; lambda_ (B,); norms (B, 3).
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..network.score_net import Labels, MixedClasses, ScoreNet
from .bridge import bridge, flow
from .composition import composed
from .denoise import denoise
from .guidance import evaluated_once, guided
from .ladder import sigma_at
from .minimise import Residual, minimise, score_norm
from .mixing import mix, mix_with_contrast
from .options import (
    BridgeOptions,
    DenoiseOptions,
    RenoiseOptions,
    SampleOptions,
    ScoreMixOptions,
    SeamOptions,
    SolverOptions,
)
from .sampling import draw_samples

# Draws standard normal numbers like the batch, for a purpose, each image from its own stream.
Noise = Callable[[str], Tensor]


class MixResult(NamedTuple):
    """A batch after each step of a method; (B, C, H, W), not yet clamped or rounded."""

    mixup: Tensor  # x' = lambda x1 + (1 - lambda) x2; parent 1 for a method of one parent
    minimised: Tensor  # x*
    final: Tensor
    norms: Tensor | None  # (B, 3): ||sigma_N S||^2 / D of the three; None without a network


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
    final = _noise_and_denoise(minimised, score, noise, options.t0, options)

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
    encodings: tuple[Tensor, Tensor] | None = None,
) -> MixResult:
    """Method `bridge`: NoiseDiffusion (arXiv 2403.08840), see bridge.py.

    mean: m like x1, for `keep: both` alone. encodings: of the parents by `encode`, where known.
    """
    sigma_N = score.sigma_N

    # Mixup, for comparison only.
    mixed = mix(x1, x2, lambda_)

    # Encode both parents up to sigma(t0) by the ODE, mix there, decode.
    final = bridge(
        x1,
        x2,
        lambda_,
        score.guided,
        sigma_at(options.t0, score.sigma_1, sigma_N),
        sigma_N,
        options.denoise_steps,
        keep=options.keep,
        gamma=options.gamma,
        mean=mean,
        noise=partial(noise, "bridge"),
        encodings=encodings,
    )

    return in_one_step(mixed, final, score)


def encode(x: Tensor, score: "FrozenScore", options: BridgeOptions) -> Tensor:
    """The encoding of x by method `bridge`: followed by the ODE from sigma_N up to sigma(t0)."""
    sigma_N = score.sigma_N
    sigma = sigma_at(options.t0, score.sigma_1, sigma_N)
    return flow(x, score.guided, sigma_N, sigma, options.denoise_steps)


def mixup_with_contrast(x1: Tensor, x2: Tensor, lambda_: Tensor, mean: Tensor) -> MixResult:
    """Mixup about the mean image, with the variance of images kept. Needs no score network."""
    return in_one_step(mix(x1, x2, lambda_), mix_with_contrast(x1, x2, lambda_, mean), None)


def paste(
    x1: Tensor,
    x2: Tensor,
    lambda_: Tensor,
    mask: Tensor,
    score: "FrozenScore | None" = None,
    noise: Noise | None = None,
    options: SeamOptions | None = None,
) -> MixResult:
    """Methods `cutmix` and `fmix`: parent 1 where `mask` (B, 1, H, W) is true, else parent 2; with
    `options`, noised and denoised from sigma(repair_t0), which repairs the seams."""
    final = torch.where(mask, x1, x2)
    if options is not None:
        assert score is not None and noise is not None
        final = _noise_and_denoise(final, score, noise, options.repair_t0, options)
    return in_one_step(mix(x1, x2, lambda_), final, score)


def renoise(x1: Tensor, score: "FrozenScore", noise: Noise, options: RenoiseOptions) -> MixResult:
    """Parent 1 alone: x1 + sigma(t0) z, denoised. The control that mixing is compared with."""
    final = _noise_and_denoise(x1, score, noise, options.t0, options)
    return in_one_step(x1, final, score)


def sample(
    x1: Tensor, mean: Tensor, score: "FrozenScore", noise: Noise, options: SampleOptions
) -> MixResult:
    """A sample of the network, in place of parent 1, of which nothing is used; see sampling.py."""
    levels, z = options.denoise_steps, noise("sample")
    final = draw_samples(mean, z, score.guided, score.sigma_1, score.sigma_N, levels)
    return in_one_step(x1, final, score)


def compose(
    before: Tensor,
    mean: Tensor,
    scores: Sequence["FrozenScore"],
    weights: Tensor,
    noise: Noise,
    options: SolverOptions,
) -> MixResult:
    """SM-REC: a sample of composed class scores, D = x + sum_i w_i (D_i - x); see composition.py.

    before: what the result is compared with: parents of the classes mixed, or parent 1. mean: of
    the classes, weighted; scores: one per class, conditioned on it; weights: (B, m). With one
    score and weights of 1 it is `reproduce`, with one score of mixed classes `condition-mix`.
    """
    first = scores[0]
    follow = composed(_guided(scores), weights)

    # From pure noise m + sigma_1 z down to sigma_N by Heun's method.
    levels, z = options.solver_steps, noise("sample")
    final = draw_samples(mean, z, follow, first.sigma_1, first.sigma_N, levels)

    # Norms of the composed score, without guidance.
    plain = composed(scores, weights)
    return _with_norms(before, final, plain, first.sigma_N)


def _guided(scores: Sequence["FrozenScore"]) -> list[Residual]:
    """What sampling follows of each class. A guide without a class, the same for all, is evaluated
    once: of two classes, three evaluations of the network instead of four.
    """
    guides = {id(score.guide): evaluated_once(score.guide) for score in scores if score.guide}
    return [
        guided(score, guides[id(score.guide)], score.guidance) if score.guide else score
        for score in scores
    ]


def _noise_and_denoise(
    x: Tensor, score: "FrozenScore", noise: Noise, t0: float, options: DenoiseOptions
) -> Tensor:
    return denoise(
        x,
        score.guided,
        sigma_at(t0, score.sigma_1, score.sigma_N),
        score.sigma_N,
        steps=options.denoise_steps,
        kind=options.denoise,
        noise_rule=options.noise_rule,
        noise=partial(noise, "denoise"),
    )


def in_one_step(before: Tensor, final: Tensor, score: "FrozenScore | None") -> MixResult:
    """The result of a method that does not minimise: its x* is x'."""
    if score is None:
        return MixResult(before, before, final, None)
    return _with_norms(before, final, score, score.sigma_N)


def _with_norms(before: Tensor, final: Tensor, residual: Residual, sigma_N: float) -> MixResult:
    first, last = (score_norm(x, residual, sigma_N) for x in (before, final))
    return MixResult(before, before, final, torch.stack((first, first, last), dim=1))


class FrozenScore:
    """A trained network as `residual(x, sigma)`: weights frozen, conditioning cached per level.

    guide: a weaker network, which `guided` leads away from with weight `guidance`.
    labels: classes of a batch that the network is conditioned on, (B,) or mixed ones; None for the
    null class. always_null: no batch's classes change that, as of a guide of classifier-free
    guidance.
    """

    def __init__(
        self,
        net: ScoreNet,
        sigma_1: float,
        sigma_N: float,
        *,
        guide: "FrozenScore | None" = None,
        guidance: float = 1.0,
        labels: Labels | None = None,
        always_null: bool = False,
    ) -> None:
        self.net = net.requires_grad_(False).eval()
        self.sigma_1 = sigma_1
        self.sigma_N = sigma_N
        self.guide, self.guidance, self.labels = guide, guidance, labels
        self.always_null = always_null
        self._conditions: dict[float, Any] = {}

    def conditioned_on(self, labels: Labels) -> "FrozenScore":
        """The same for a batch of these classes; itself where the network knows no classes.

        labels: (B,) class ids, -1 for none; or mixed classes.
        """
        null = self.net.architecture.classes
        if not null or self.always_null:
            return self
        if not isinstance(labels, MixedClasses):
            labels = torch.where(labels < 0, null, labels)
        return FrozenScore(
            self.net,
            self.sigma_1,
            self.sigma_N,
            guide=None if self.guide is None else self.guide.conditioned_on(labels),
            guidance=self.guidance,
            labels=labels,
        )

    @property
    def guided(self) -> Residual:
        """What sampling follows: autoguided where there is a guide."""
        return self if self.guide is None else guided(self, self.guide, self.guidance)

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        """sigma S(x, sigma), one level for the whole batch; (B, C, H, W)."""
        if sigma not in self._conditions:
            with torch.no_grad():
                level = torch.tensor([sigma], dtype=torch.float32, device=x.device)
                self._conditions[sigma] = self.net.condition(level, self.labels)
        return self.net.residual_given(x, self._conditions[sigma])
