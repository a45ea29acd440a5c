"""Mixing two images pixel by pixel: plain, and with the variance of images kept.

Shapes: x1, x2 and mean (B, C, H, W) in [0, 1]; lambda_ (B,).
"""

from torch import Tensor


def mix(x1: Tensor, x2: Tensor, lambda_: Tensor) -> Tensor:
    """x' = lambda x1 + (1 - lambda) x2; (B, C, H, W)."""
    weight = lambda_.reshape(-1, 1, 1, 1)
    return weight * x1 + (1.0 - weight) * x2


def kept_variance(lambda_: Tensor) -> Tensor:
    """sqrt(lambda^2 + (1-lambda)^2), (B, 1, 1, 1): what mixing two independent images makes of
    their standard deviation. Divided by it, a mixture has the variance of its parents."""
    weight = lambda_.reshape(-1, 1, 1, 1)
    return (weight.square() + (1.0 - weight).square()).sqrt()


def mix_with_contrast(x1: Tensor, x2: Tensor, lambda_: Tensor, mean: Tensor) -> Tensor:
    """m + (lambda (x1 - m) + (1-lambda)(x2 - m)) / sqrt(lambda^2 + (1-lambda)^2).

    m is the mean image of the parents' set: x' loses up to half of the variance about it.
    """
    return mean + mix(x1 - mean, x2 - mean, lambda_) / kept_variance(lambda_)
