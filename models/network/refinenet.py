"""The published network: a RefineNet conditioned on the noise level in every norm (SM-GAN; the form
up to 64 px is that of its reference [55]).

Shapes: x (B, C, R, R) in [0, 1] plus noise; sigma (B,) or (1,) in units of the [0, 1] range.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .architecture import Architecture
from .blocks import RefineBlock, chain, conv3
from .norm import Affine, ConditionalNorm, Conditioning
from .score_net import Labels, ScoreNet


@dataclass(frozen=True)
class _Form:
    """One row of the table of depths: multiples of g per stage and refine block."""

    stages: tuple[int, ...]
    dilations: tuple[int, ...]
    pools: tuple[bool, ...]
    refine: tuple[int, ...]

    @property
    def divisor(self) -> int:
        """The side of an image must be a multiple of this."""
        return int(2 ** sum(self.pools))


_UP_TO_64 = _Form((1, 2, 2, 2), (1, 1, 2, 4), (False, True, False, False), (2, 2, 1, 1))
_UP_TO_128 = _Form(
    (1, 2, 2, 4, 4), (1, 1, 1, 2, 4), (False, True, True, False, False), (4, 2, 2, 1, 1)
)
_ABOVE_128 = _Form(
    (1, 2, 2, 2, 4, 4),
    (1, 1, 1, 1, 2, 4),
    (False, True, True, True, False, False),
    (4, 2, 2, 2, 1, 1),
)


def form_for(resolution: int) -> _Form:
    """The depth for a resolution.

    Raises:
        ValueError: the side does not divide by the form's down-sampling.
    """
    form = _UP_TO_64 if resolution <= 64 else _UP_TO_128 if resolution <= 128 else _ABOVE_128
    if resolution < 4 or resolution % form.divisor:
        below = resolution // form.divisor * form.divisor
        raise ValueError(
            f"A side of {resolution} px does not divide by {form.divisor}, as the score network's"
            f" down-sampling needs at that size. Use {below or 8} or {below + form.divisor}."
        )
    return form


class RefineNet(ScoreNet):
    """S(x, sigma) = F(2x - 1, sigma) / sigma, where F predicts minus the noise in unit scale.

    `residual` gives sigma S = F, so that nothing cancels and all levels have one magnitude.
    `trunk_dtype` lets everything between the first and last convolution run in half precision;
    both of these, norm statistics and 1/sigma stay in float32.
    """

    def __init__(self, architecture: Architecture, levels: Tensor) -> None:
        super().__init__(architecture)
        form = form_for(architecture.resolution)
        g = architecture.width
        self.stem = conv3(architecture.channels, g, bias=True)
        channels = [g * multiple for multiple in form.stages]
        self.encoder = chain([g, *channels], list(form.dilations), list(form.pools))
        self.refine = nn.ModuleList()
        outputs = [g * multiple for multiple in form.refine]
        for i, (skip, out) in enumerate(zip(reversed(channels), outputs, strict=True)):
            inputs = [skip] if i == 0 else [skip, outputs[i - 1]]
            self.refine.append(RefineBlock(inputs, out, last=i == len(outputs) - 1))
        self.head_norm = ConditionalNorm(outputs[-1])
        self.head = conv3(outputs[-1], architecture.channels, bias=True)
        norms = [module for module in self.modules() if isinstance(module, ConditionalNorm)]
        self.conditioning = Conditioning(norms, architecture.conditioning, levels)

    def condition(
        self, sigma: Tensor, labels: Labels | None = None, view: Tensor | None = None
    ) -> list[Affine]:
        """The parameters of every norm; this network has neither classes nor views."""
        affines: list[Affine] = self.conditioning(sigma)
        return affines

    def residual_given(self, x: Tensor, condition: list[Affine]) -> Tensor:
        """F with the conditioning computed before, as it is constant over Algorithm 1."""
        affines = condition
        h = self.stem(2.0 * x - 1.0)
        with torch.autocast(
            x.device.type, dtype=self.trunk_dtype, enabled=self.trunk_dtype is not None
        ):
            skips = []
            for stage in self.encoder:
                assert isinstance(stage, nn.ModuleList)
                for block in stage:
                    h = block(h, affines)
                skips.append(h)
            for block in self.refine:
                h = block([skips.pop()] if block is self.refine[0] else [skips.pop(), h], affines)
        h = h.to(x.dtype)
        out: Tensor = self.head(self.head_norm(h, affines, elu=True))
        return out
