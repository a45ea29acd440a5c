"""Composition of class-conditional scores: SM-REC (Rahimi & Marcel, arXiv 2506.10226).

With D_i(x, sigma) = x + sigma^2 S(x, sigma | c_i), the denoiser of class c_i, the composed one is
D = x + sum_i w_i (D_i - x). Divided by sigma, (D - x) / sigma = sum_i w_i (sigma S_i): the residual
that every sampler here follows. With weights of one class alone it is that class's, bit for bit.

For Gaussian classes N(m_i, v_i) samples of the flow have the geometric mean of the variances,
prod_i v_i^w_i: tests/models/method/test_composition.py has the closed form.
"""

from collections.abc import Sequence

from torch import Tensor

from .minimise import Residual


def composed(residuals: Sequence[Residual], weights: Tensor) -> Residual:
    """sum_i w_i sigma S(x, sigma | c_i).

    residuals: of each class in turn, (x, sigma) -> sigma S. weights: (B, m), of each image.
    """
    columns = [column.reshape(-1, 1, 1, 1) for column in weights.unbind(dim=1)]
    assert len(columns) == len(residuals)

    def composed_residual(x: Tensor, sigma: float) -> Tensor:
        pairs = list(zip(columns, residuals, strict=True))
        weight, residual = pairs[0]
        total = weight * residual(x, sigma)
        for weight, residual in pairs[1:]:
            total = total + weight * residual(x, sigma)
        return total

    return composed_residual
