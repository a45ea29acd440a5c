"""InstanceNorm++ and how the noise level conditions it.

Shapes: x (B, C, H, W); sigma (B,), or (1,) when a whole batch has one level.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from .norm_passes import FewPasses, InPlace, keeps_x


class Affine(NamedTuple):
    """Parameters of one norm at the given noise levels: each (B or 1, C, 1, 1)."""

    gamma: Tensor
    alpha: Tensor
    beta: Tensor


class ConditionalNorm(nn.Module):
    """out = gamma(sigma) (instance_norm(x) + alpha(sigma) m^) + beta(sigma); with `elu`, ELU of it.

    m is the mean over space of each channel and m^ = (m - mean_c m) / std_c m, which restores how
    the channels' means compare; instance norm removes that. `Conditioning` computes gamma etc.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.index = -1  # position in the network's list of norms, set by `Conditioning`

    def forward(self, x: Tensor, affines: list[Affine], elu: bool = False) -> Tensor:
        """(B, C, H, W) -> the same shape; `affines` are those of every norm, by `index`."""
        kind = FewPasses if keeps_x(x) else InPlace
        out: Tensor = kind.apply(x, *affines[self.index], elu)  # type: ignore[no-untyped-call]
        return out


class Conditioning(nn.Module):
    """gamma, alpha, beta of every norm from ln sigma.

    `fourier`: a small MLP on Fourier features of ln sigma, shared by all norms up to its last
    layer. `table`: one row of all values per level of the ladder (the form of the paper's
    reference network), sigma snapped to the nearest level.
    """

    FREQUENCIES = 32
    HIDDEN = 128
    EMBEDDING = 64

    def __init__(self, norms: list[ConditionalNorm], kind: str, levels: Tensor) -> None:
        super().__init__()
        self.kind = kind
        self.channels = [norm.channels for norm in norms]
        for index, norm in enumerate(norms):
            norm.index = index
        total = 3 * sum(self.channels)
        start = torch.cat([_start_values(c) for c in self.channels])
        self.register_buffer("log_levels", levels.log().float(), persistent=False)
        self.log_levels: Tensor
        if kind == "table":
            self.table = nn.Embedding(len(levels), total)
            with torch.no_grad():
                self.table.weight.normal_(0.0, 0.02).add_(start)
            return
        # ln sigma spans about 10: periods from 20 down to 0.2 resolve levels at every scale.
        frequencies = (
            2 * math.pi / torch.logspace(math.log10(20), math.log10(0.2), self.FREQUENCIES)
        )
        self.register_buffer("frequencies", frequencies, persistent=False)
        self.frequencies: Tensor
        self.embed = nn.Sequential(
            nn.Linear(2 * self.FREQUENCIES, self.HIDDEN),
            nn.SiLU(),
            nn.Linear(self.HIDDEN, self.EMBEDDING),
            nn.SiLU(),
        )
        self.spread = nn.Linear(self.EMBEDDING, total)
        with torch.no_grad():
            self.spread.weight.normal_(0.0, 0.02)
            self.spread.bias.copy_(start)

    def forward(self, sigma: Tensor) -> list[Affine]:
        """sigma (B,) or (1,) -> the parameters of every norm, in the network's order."""
        log_sigma = sigma.to(self.log_levels.dtype).log()
        if self.kind == "table":
            nearest = (log_sigma[:, None] - self.log_levels[None, :]).abs().argmin(dim=1)
            values = self.table(nearest)
        else:
            phase = log_sigma[:, None] * self.frequencies[None, :]
            values = self.spread(self.embed(torch.cat([phase.sin(), phase.cos()], dim=1)))
        # One split: its backward pass is one concatenation, where slices would each fill the whole.
        parts = values[:, :, None, None].split([c for c in self.channels for _ in range(3)], dim=1)
        return [Affine(*parts[i : i + 3]) for i in range(0, len(parts), 3)]


def _start_values(channels: int) -> Tensor:
    """gamma = alpha = 1, beta = 0."""
    return torch.tensor([1.0, 1.0, 0.0]).repeat_interleave(channels)
