"""Contrast and detail: waves of known amplitude, mixtures, blur."""

import numpy as np
import pytest
from numpy.typing import NDArray

from scoremix.models.metrics.contrast import contrast, detail

SIDE = 32


def wave(cycles: int, amplitude: float, side: int = SIDE) -> NDArray[np.uint8]:
    """One gray image (1, H, W, 1) of a wave across it, around the middle of the range."""
    x = 127.5 + amplitude * 255 * np.cos(2 * np.pi * cycles * np.arange(side) / side)
    return np.rint(np.tile(x, (side, 1))).astype(np.uint8)[None, :, :, None]


def noise(seed: int, count: int = 200, side: int = SIDE) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(128, 25, (count, side, side, 3))


def test_contrast_is_the_deviation_of_the_pixels() -> None:
    assert contrast(wave(3, 0.4)) == pytest.approx(0.4 / np.sqrt(2), rel=0.01)
    assert contrast(np.full((2, 8, 8, 3), 77, np.uint8)) == pytest.approx([0, 0])


def test_a_colour_alone_is_no_contrast() -> None:
    flat = np.zeros((1, 8, 8, 3), np.uint8)
    flat[..., 0] = 255
    assert contrast(flat) == pytest.approx(0)


def test_detail_sees_the_upper_half_of_the_frequencies_alone() -> None:
    low, high = detail(wave(4, 0.3))[0], detail(wave(12, 0.3))[0]
    # Two bins of (a / 2)^2 each on the ring of radius 12, of 9 rings from 8 to 16.
    frequencies = np.fft.fftfreq(SIDE) * SIDE
    on_ring = np.rint(np.hypot(frequencies[:, None], frequencies[None])) == 12
    assert high == pytest.approx(2 * 0.15**2 / on_ring.sum() / 9, rel=0.01)
    assert low < high / 1000


def test_a_mixture_of_unrelated_images_keeps_the_squared_weights() -> None:
    a, b = noise(1), noise(2)
    mixed = 128 + 0.5 * (a - 128) + 0.5 * (b - 128)
    real, half = (np.rint(x).clip(0, 255).astype(np.uint8) for x in (a, mixed))
    assert np.median(contrast(half)) == pytest.approx(np.median(contrast(real)) / 2**0.5, rel=0.01)
    assert np.median(detail(half)) == pytest.approx(np.median(detail(real)) / 2, rel=0.03)


def test_blur_costs_detail_more_than_contrast() -> None:
    sharp = noise(3)
    blurred = sum(np.roll(sharp, shift, axis=2) for shift in (-1, 0, 1)) / 3
    x, y = (np.rint(each).clip(0, 255).astype(np.uint8) for each in (sharp, np.asarray(blurred)))
    lost = np.median(detail(y)) / np.median(detail(x))
    assert lost < 0.5 and lost < np.median(contrast(y)) / np.median(contrast(x))


@pytest.mark.parametrize("side", [8, 9, 24])
def test_any_side_gives_one_number_an_image(side: int) -> None:
    assert detail(wave(1, 0.2, side)).shape == (1,)


def test_images_without_rings_are_refused() -> None:
    with pytest.raises(ValueError, match="4 px or more a side, got 2 x 2"):
        detail(np.zeros((1, 2, 2, 1), np.uint8))
