"""InstanceNorm++ with ELU, forward and backward passes for a CPU and for a GPU.

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
    """Norm and ELU for a CPU, with a hand-written backward pass, in float32 or wider.

    The stock operations cost more than the convolutions between them on a CPU: `var_mean` is some
    ten times slower than two means, `exp` and `elu` three times slower than `exp2`.
    With d = x - m, r = (var + eps)^-1/2, only d, the output and two multiply-adds have the size
    (B, C, H, W); the rest is (B, C). Allocating memory costs more than the arithmetic, so buffers
    that are no longer needed are used again. There is no second derivative: tensors saved for the
    backward pass are computed from x outside autograd.
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
        out = torch.addcmul(offset, centred, gamma * inverse, out=_reusable(out))
        if elu:
            below = out.clamp(max=0).mul_(_LOG2_E).exp2_().sub_(1.0)
            out = torch.maximum(out, below, out=_reusable(below))
        ctx.elu = elu
        out = out.to(x.dtype)
        ctx.save_for_backward(centred, inverse, contrast, across, gamma, alpha, out)
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        _refuse_second_derivative()
        centred, inverse, contrast, across, gamma, alpha, out = ctx.saved_tensors
        grad = grads[0].to(centred.dtype)
        if ctx.elu:  # the slope is 1 above zero and out + 1 below
            slope = out.to(centred.dtype).clamp(max=0)
            grad = torch.addcmul(grad, grad, slope, out=_reusable(slope))
        total = grad.sum(dim=(2, 3), keepdim=True)
        to_x = grad * centred
        aligned = to_x.sum(dim=(2, 3), keepdim=True) * inverse
        scale, shift, along, to_affine = _channel_gradients(
            ctx, total, aligned, inverse, contrast, across, gamma, alpha, centred.shape
        )
        to_x = torch.addcmul(shift, grad, scale, out=_reusable(to_x))
        to_x = torch.addcmul(to_x, centred, along, out=_reusable(to_x))
        return to_x.to(grads[0].dtype), *to_affine, None


class FewPasses(torch.autograd.Function):
    """The same for a GPU, where the cost is the number of passes over memory.

    One pass for both moments, one multiply-add with the mean in its offset, the stock ELU and its
    gradient. Saves x itself, in the trunk's precision, instead of x - m. Sums are in float32 or
    wider; half-precision tensors are widened within an operation.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, gamma: Tensor, alpha: Tensor, beta: Tensor, elu: bool
    ) -> Tensor:
        variance, mean = torch.var_mean(_widened(x), dim=(2, 3), correction=0, keepdim=True)
        inverse = (variance + EPS).rsqrt()
        contrast, across = _contrast(mean)
        scale = gamma * inverse
        offset = torch.addcmul(beta, gamma * alpha, contrast) - mean * scale
        out = _multiply_add(offset, x, scale, x.dtype)
        if elu:
            out = F.elu(out, inplace=True)
        ctx.elu = elu
        ctx.save_for_backward(x, mean, inverse, contrast, across, gamma, alpha, out)
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        _refuse_second_derivative()
        x, mean, inverse, contrast, across, gamma, alpha, out = ctx.saved_tensors
        (grad,) = grads
        if ctx.elu:
            grad = torch.ops.aten.elu_backward(grad, 1.0, 1.0, 1.0, True, out)
        grad = grad.to(mean.dtype)
        total = grad.sum(dim=(2, 3), keepdim=True)
        to_x = grad * x
        aligned = (to_x.sum(dim=(2, 3), keepdim=True) - mean * total) * inverse
        scale, shift, along, to_affine = _channel_gradients(
            ctx, total, aligned, inverse, contrast, across, gamma, alpha, x.shape
        )
        to_x = torch.addcmul(shift - mean * along, grad, scale, out=_reusable(to_x))
        return _multiply_add(to_x, x, along, x.dtype), *to_affine, None


def keeps_x(x: Tensor) -> bool:
    """Whether `FewPasses` is used for x: then x must not be overwritten before its gradient."""
    return x.is_cuda


def _multiply_add(offset: Tensor, x: Tensor, scale: Tensor, dtype: torch.dtype) -> Tensor:
    """offset + x scale, computed in the widest type of the three and written in `dtype`."""
    if torch.compiler.is_compiling():
        return torch.addcmul(offset, x, scale).to(dtype)
    return torch.addcmul(offset, x, scale, out=torch.empty_like(x, dtype=dtype))


def _refuse_second_derivative() -> None:
    """Raises RuntimeError for `create_graph`: the gradient of the gradient would silently lack the
    part that goes through the saved tensors."""
    if torch.is_grad_enabled() and not torch.compiler.is_compiling():
        raise RuntimeError("The norm has no second derivative: create_graph cannot be used here.")


def _widened(x: Tensor) -> Tensor:
    return x if x.dtype is torch.float64 else x.float()


def _contrast(mean: Tensor) -> tuple[Tensor, Tensor]:
    """m^ and 1 / std_c m, both (B, C or 1, 1, 1)."""
    across = mean - mean.mean(dim=1, keepdim=True)
    inverse = (across * across).mean(dim=1, keepdim=True).add_(EPS).rsqrt_()
    return across * inverse, inverse


def _channel_gradients(
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
    """The part of the backward pass of size (B, C): scale, shift, along; gradients of the affine.

    The gradient on x is scale g + shift + along (x - m), from total = sum g and
    aligned = r sum g (x - m).
    """
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
            _sum_to_shape(aligned + alpha * contrast * total, gamma),
            _sum_to_shape(gamma * contrast * total, alpha),
            _sum_to_shape(total, gamma),
        )
    return scale, shift, scale * inverse * aligned / -size, to_affine


def _reusable(memory: Tensor) -> Tensor | None:
    """`memory` as the output of an operation, its content no longer needed; None under a compiler,
    which reuses memory itself."""
    return None if torch.compiler.is_compiling() else memory


def _sum_to_shape(grad: Tensor, parameter: Tensor) -> Tensor:
    """Sums over the batch where the whole batch shared one level."""
    return grad.sum(dim=0, keepdim=True) if parameter.shape[0] != grad.shape[0] else grad
