"""Autoguidance (Karras et al. 2024, arXiv 2406.02507): a weaker network shows what to leave."""

from torch import Tensor

from .minimise import Residual


def guided(residual: Residual, guide: Residual, weight: float) -> Residual:
    """sigma S of the guide + w (sigma S - sigma S of the guide).

    weight: w; 1 is the network alone, above 1 leads away from the guide's errors.
    """
    if weight == 1.0:
        return residual

    def guided_residual(x: Tensor, sigma: float) -> Tensor:
        weak = guide(x, sigma)
        return weak + weight * (residual(x, sigma) - weak)

    return guided_residual
