"""Contrast and fine detail of single images: what blurring and averaging take away.

Kernel distances over a network's features may reward a smooth image. These two do not: compare
them with those of real images.

Legend: images uint8 (n, H, W, C).
"""

import numpy as np
from numpy.typing import NDArray

Images = NDArray[np.uint8]
Floats = NDArray[np.float64]


def contrast(images: Images) -> Floats:
    """Standard deviation of the pixels of each image around its channels' means, (n,).

    In units of the range, so from 0 to 0.5.
    """
    unit = images.astype(np.float64) / 255.0
    deviations: Floats = np.sqrt(unit.var(axis=(1, 2)).mean(axis=-1))
    return deviations


def detail(images: Images) -> Floats:
    """Power of each image at high frequencies, (n,): from half of the Nyquist frequency up to it.

    The power spectrum is averaged over rings of equal radial frequency (a cycle per image side
    wide), then over the rings, and over channels. In squared units of the range: mixing with an
    unrelated image of the same power leaves lambda^2 + (1 - lambda)^2 of it.

    Raises:
        ValueError: images of fewer than four pixels a side, which have no such rings.
    """
    height, width = images.shape[1:3]
    if min(height, width) < 4:
        raise ValueError(f"fine detail needs images of 4 px or more a side, got {width} x {height}")
    side = min(height, width)
    means: Floats = radial_power(images)[:, -(-side // 4) - 1 :].mean(axis=1)
    return means


def radial_power(images: Images) -> Floats:
    """Power spectrum of each image, (n, F): at 1, 2, ... F = side // 2 cycles per image side.

    Averaged over rings of equal radial frequency, a cycle wide, and over channels; in squared units
    of the range.
    """
    height, width = images.shape[1:3]
    spectrum = np.fft.fft2(images.astype(np.float64) / 255.0, axes=(1, 2))
    power = np.square(np.abs(spectrum) / (height * width)).mean(axis=-1)
    side = min(height, width)
    down, across = np.fft.fftfreq(height) * side, np.fft.fftfreq(width) * side
    ring = np.rint(np.hypot(down[:, None], across[None, :]))  # cycles per image side
    rings: Floats = np.empty((len(images), side // 2))
    for radius in range(1, side // 2 + 1):
        rings[:, radius - 1] = power[:, ring == radius].mean(axis=1)
    return rings
