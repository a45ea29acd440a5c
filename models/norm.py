"""InstanceNorm++ and how the noise level conditions it.

Shapes: x (B, C, H, W); sigma (B,), or (1,) when a whole batch has one level.
"""

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

EPS = 1e-5
_LOG2_E = math.log2(math.e)


class Affine(NamedTuple):
    """What one norm does at the given levels: each (B or 1, C, 1, 1)."""

    gamma: Tensor
    alpha: Tensor
    beta: Tensor


class ConditionalNorm(nn.Module):
    """out = gamma(sigma) (instance_norm(x) + alpha(sigma) m^) + beta(sigma), then ELU if asked.

    m is the mean over space of each channel and m^ = (m - mean_c m) / std_c m: it brings back
    what instance norm forgets, how channels compare. gamma, alpha, beta come from `Conditioning`.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.index = -1  # place in the network's list of norms, set by `Conditioning`

    def forward(self, x: Tensor, affines: list[Affine], elu: bool = False) -> Tensor:
        gamma, alpha, beta = affines[self.index]
        out: Tensor = _NormElu.apply(x, gamma, alpha, beta, elu)  # type: ignore[no-untyped-call]
        return out


class _NormElu(torch.autograd.Function):
    """Norm and ELU with one hand-written backward pass; all arithmetic in float32 or wider.

    The stock operations cost more than the convolutions between them on a CPU: `var_mean` is some
    ten times slower than two means, `exp` and `elu` three times slower than `exp2`.
    With d = x - m, r = (var + eps)^-1/2, everything of size (B, C, H, W) is d, the output and two
    multiply-adds; the rest is (B, C). Memory that is fresh costs more than what is done in it, so
    intermediate results take the place of those that are done with. It has no second derivative:
    what is kept for the backward pass is worked out from x without a trace.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, gamma: Tensor, alpha: Tensor, beta: Tensor, elu: bool
    ) -> Tensor:
        wide = x if x.dtype is torch.float64 else x.float()
        mean = wide.mean(dim=(2, 3), keepdim=True)
        centred = wide - mean
        out = centred * centred
        inverse = out.mean(dim=(2, 3), keepdim=True).add_(EPS).rsqrt_()
        across = mean - mean.mean(dim=1, keepdim=True)
        across_inverse = (across * across).mean(dim=1, keepdim=True).add_(EPS).rsqrt_()
        contrast = across * across_inverse
        offset = torch.addcmul(beta, gamma * alpha, contrast)
        out = torch.addcmul(offset, centred, gamma * inverse, out=_free(out))
        if elu:
            below = out.clamp(max=0).mul_(_LOG2_E).exp2_().sub_(1.0)
            out = torch.maximum(out, below, out=_free(below))
        ctx.elu = elu
        out = out.to(x.dtype)
        ctx.save_for_backward(centred, inverse, contrast, across_inverse, gamma, alpha, out)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        centred, inverse, contrast, across_inverse, gamma, alpha, out = ctx.saved_tensors
        grad = grads[0].to(centred.dtype)
        if ctx.elu:  # the slope is 1 above zero and out + 1 below
            slope = out.to(centred.dtype).clamp(max=0)
            grad = torch.addcmul(grad, grad, slope, out=_free(slope))
        size = centred.shape[2] * centred.shape[3]
        total = grad.sum(dim=(2, 3), keepdim=True)
        to_x = grad * centred
        aligned = to_x.sum(dim=(2, 3), keepdim=True) * inverse
        # Through m^ = (m - mean_c m) / std_c m, back to the channel's mean.
        to_contrast = gamma * alpha * total
        to_mean = across_inverse * (
            to_contrast
            - to_contrast.mean(dim=1, keepdim=True)
            - contrast * (to_contrast * contrast).mean(dim=1, keepdim=True)
        )
        scale = gamma * inverse
        shift = (to_mean - scale * total) / size
        to_x = torch.addcmul(shift, grad, scale, out=_free(to_x))
        to_x = torch.addcmul(to_x, centred, scale * inverse * aligned / -size, out=_free(to_x))
        to_affine: tuple[Tensor | None, ...] = (None, None, None)
        if ctx.needs_input_grad[1]:
            to_affine = (
                _like(aligned + alpha * contrast * total, gamma),
                _like(gamma * contrast * total, alpha),
                _like(total, gamma),
            )
        return to_x.to(grads[0].dtype), *to_affine, None


def _free(memory: Tensor) -> Tensor | None:
    """Where a result may go: into `memory`, whose content is done with. A compiler does as much by
    itself."""
    return None if torch.compiler.is_compiling() else memory


def _like(grad: Tensor, parameter: Tensor) -> Tensor:
    """Sums over the batch where the whole batch shared one level."""
    return grad.sum(dim=0, keepdim=True) if parameter.shape[0] != grad.shape[0] else grad


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
        # ln sigma spans about 10: periods from 20 down to 0.2 tell levels apart at every scale.
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
