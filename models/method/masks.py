"""Masks of the methods that paste: which pixels are parent 1's. (H, W) bool, side by side.

A mask is a function of lambda, the side and the image's own random stream; lambda must be the
share of a whole number of pixels, as `whole_pixels` makes it, so that it is exactly the mask's.
"""

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]

DECAY = 3.0  # of FMix: amplitudes fall as frequency^-3


def box_mask(lambda_: float, side: int, random: np.random.Generator) -> Mask:
    """CutMix (Yun et al. 2019, arXiv 1905.04899): parent 1 but for a square of area 1 - lambda.

    The square lies inside the image, at a uniform place. The paper's has a uniform centre and is
    cut off at the edge, so that it is smaller than was drawn.
    """
    length = round(side * (1.0 - lambda_) ** 0.5)
    top, left = random.integers(side - length + 1, size=2)
    mask = np.ones((side, side), dtype=np.bool_)
    mask[top : top + length, left : left + length] = False
    return mask


def fourier_mask(lambda_: float, side: int, random: np.random.Generator) -> Mask:
    """FMix (Harris et al. 2020, arXiv 2002.12047): the lambda H W highest pixels of smooth noise.

    The noise is white in Fourier space, with amplitudes that fall as frequency^-3.
    """
    rows, columns = np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None, :]
    frequency = np.maximum(np.hypot(rows, columns), 1.0 / side)
    real, imaginary = random.standard_normal((2, *frequency.shape))
    noise = np.fft.irfft2((real + 1j * imaginary) / frequency**DECAY, s=(side, side))
    mask = np.zeros(side * side, dtype=np.bool_)
    mask[np.argsort(-noise.ravel(), kind="stable")[: round(lambda_ * side * side)]] = True
    return mask.reshape(side, side)
