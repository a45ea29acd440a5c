"""The arithmetic of InstanceNorm++ and ELU, forward and backward, for processors and for GPUs.

Shapes: x and its gradient (B, C, H, W); gamma, alpha, beta (B or 1, C, 1, 1); moments (B, C, 1, 1).
"""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

EPS = 1e-5
_LOG2_E = math.log2(math.e)


class InPlace(torch.autograd.Function):
    """Norm and ELU for a processor, with a hand-written backward pass; all arithmetic in float32 or
    wider.

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
        wide = _widened(x)
        mean = wide.mean(dim=(2, 3), keepdim=True)
        centred = wide - mean
        out = centred * centred
        inverse = out.mean(dim=(2, 3), keepdim=True).add_(EPS).rsqrt_()
        contrast, across = _contrast(mean)
        offset = torch.addcmul(beta, gamma * alpha, contrast)
        out = torch.addcmul(offset, centred, gamma * inverse, out=_free(out))
        if elu:
            below = out.clamp(max=0).mul_(_LOG2_E).exp2_().sub_(1.0)
            out = torch.maximum(out, below, out=_free(below))
        ctx.elu = elu
        out = out.to(x.dtype)
        ctx.save_for_backward(centred, inverse, contrast, across, gamma, alpha, out)
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        _first_only()
        centred, inverse, contrast, across, gamma, alpha, out = ctx.saved_tensors
        grad = grads[0].to(centred.dtype)
        if ctx.elu:  # the slope is 1 above zero and out + 1 below
            slope = out.to(centred.dtype).clamp(max=0)
            grad = torch.addcmul(grad, grad, slope, out=_free(slope))
        total = grad.sum(dim=(2, 3), keepdim=True)
        to_x = grad * centred
        aligned = to_x.sum(dim=(2, 3), keepdim=True) * inverse
        scale, shift, along, to_affine = _small(
            ctx, total, aligned, inverse, contrast, across, gamma, alpha, centred.shape
        )
        to_x = torch.addcmul(shift, grad, scale, out=_free(to_x))
        to_x = torch.addcmul(to_x, centred, along, out=_free(to_x))
        return to_x.to(grads[0].dtype), *to_affine, None


class FewPasses(torch.autograd.Function):
    """The same for a GPU, where what an operation costs is its pass over memory: one for both
    moments, one multiply-add with the mean in its offset, the stock ELU and its gradient. x itself
    is kept, in the trunk's own precision, instead of x - m. Sums are in float32 or wider; what is
    narrow is read and written as it is, and widened on the way."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, gamma: Tensor, alpha: Tensor, beta: Tensor, elu: bool
    ) -> Tensor:
        variance, mean = torch.var_mean(_widened(x), dim=(2, 3), correction=0, keepdim=True)
        inverse = (variance + EPS).rsqrt()
        contrast, across = _contrast(mean)
        scale = gamma * inverse
        offset = torch.addcmul(beta, gamma * alpha, contrast) - mean * scale
        out = _multiplied_in(offset, x, scale, x.dtype)
        if elu:
            out = F.elu(out, inplace=True)
        ctx.elu = elu
        ctx.save_for_backward(x, mean, inverse, contrast, across, gamma, alpha, out)
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        _first_only()
        x, mean, inverse, contrast, across, gamma, alpha, out = ctx.saved_tensors
        (grad,) = grads
        if ctx.elu:
            grad = torch.ops.aten.elu_backward(grad, 1.0, 1.0, 1.0, True, out)
        grad = grad.to(mean.dtype)
        total = grad.sum(dim=(2, 3), keepdim=True)
        to_x = grad * x
        aligned = (to_x.sum(dim=(2, 3), keepdim=True) - mean * total) * inverse
        scale, shift, along, to_affine = _small(
            ctx, total, aligned, inverse, contrast, across, gamma, alpha, x.shape
        )
        to_x = torch.addcmul(shift - mean * along, grad, scale, out=_free(to_x))
        return _multiplied_in(to_x, x, along, x.dtype), *to_affine, None


def keeps_x(x: Tensor) -> bool:
    """Whether `FewPasses` is for it, so that nothing may be written into x before its gradient."""
    return x.is_cuda


def _multiplied_in(offset: Tensor, x: Tensor, scale: Tensor, dtype: torch.dtype) -> Tensor:
    """offset + x scale, worked out in the widest of the three and written in `dtype`."""
    if torch.compiler.is_compiling():
        return torch.addcmul(offset, x, scale).to(dtype)
    return torch.addcmul(offset, x, scale, out=torch.empty_like(x, dtype=dtype))


def _first_only() -> None:
    """Refuses `create_graph`: what was kept has no trace, so a gradient of the gradient would lack
    a part in silence. Raises RuntimeError."""
    if torch.is_grad_enabled() and not torch.compiler.is_compiling():
        raise RuntimeError("The norm has no second derivative: create_graph cannot be used here.")


def _widened(x: Tensor) -> Tensor:
    return x if x.dtype is torch.float64 else x.float()


def _contrast(mean: Tensor) -> tuple[Tensor, Tensor]:
    """m^ and 1 / std_c m, both (B, C or 1, 1, 1)."""
    across = mean - mean.mean(dim=1, keepdim=True)
    inverse = (across * across).mean(dim=1, keepdim=True).add_(EPS).rsqrt_()
    return across * inverse, inverse


def _small(
    ctx: Any,
    total: Tensor,
    aligned: Tensor,
    inverse: Tensor,
    contrast: Tensor,
    across: Tensor,
    gamma: Tensor,
    alpha: Tensor,
    shape: torch.Size,
) -> tuple[Tensor, Tensor, Tensor, tuple[Tensor | None, ...]]:
    """What is (B, C) of the backward pass: the gradient on x is scale g + shift + along (x - m), of
    total = sum g and aligned = r sum g (x - m); and the gradients on gamma, alpha, beta."""
    size = shape[2] * shape[3]
    # Through m^ = (m - mean_c m) / std_c m, back to the channel's mean.
    to_contrast = gamma * alpha * total
    to_mean = across * (
        to_contrast
        - to_contrast.mean(dim=1, keepdim=True)
        - contrast * (to_contrast * contrast).mean(dim=1, keepdim=True)
    )
    scale = gamma * inverse
    shift = (to_mean - scale * total) / size
    to_affine: tuple[Tensor | None, ...] = (None, None, None)
    if ctx.needs_input_grad[1]:
        to_affine = (
            _like(aligned + alpha * contrast * total, gamma),
            _like(gamma * contrast * total, alpha),
            _like(total, gamma),
        )
    return scale, shift, scale * inverse * aligned / -size, to_affine


def _free(memory: Tensor) -> Tensor | None:
    """Where a result may go: into `memory`, whose content is done with. A compiler does as much by
    itself."""
    return None if torch.compiler.is_compiling() else memory


def _like(grad: Tensor, parameter: Tensor) -> Tensor:
    """Sums over the batch where the whole batch shared one level."""
    return grad.sum(dim=0, keepdim=True) if parameter.shape[0] != grad.shape[0] else grad
