"""Pure samples of Gaussian data: mean and variance; the levels of EDM."""

import numpy as np
import pytest
import torch

from scoremix.models.method.sampling import draw_samples, karras_levels

MEAN, SPREAD, SIGMA_1, SIGMA_N = 0.4, 0.25, 12.0, 0.01


def residual(x: torch.Tensor, sigma: float) -> torch.Tensor:
    """sigma S of N(MEAN, SPREAD^2)."""
    return -sigma * (x - MEAN) / (SPREAD**2 + sigma**2)


def test_levels_fall_from_end_to_end_evenly_in_the_seventh_root() -> None:
    levels = karras_levels(SIGMA_1, SIGMA_N, 25)
    assert (levels[0], levels[-1], len(levels)) == (SIGMA_1, SIGMA_N, 25)
    steps = np.diff(levels ** (1 / 7))
    assert (steps < 0).all() and np.allclose(steps, steps[0])


def test_samples_have_the_mean_and_the_variance_of_the_data() -> None:
    z = torch.randn(200, 1, 10, 10, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    start = torch.full_like(z, 0.7)  # another mean is forgotten on the way from sigma_1
    found = draw_samples(start, z, residual, SIGMA_1, SIGMA_N, 60)
    # 20,000 values: the mean is known to .0018, the deviation to 0.5 %.
    assert float(found.mean()) == pytest.approx(MEAN, abs=0.015)
    assert float(found.std()) == pytest.approx(SPREAD, rel=0.03)
    exact = MEAN + (start - MEAN + SIGMA_1 * z) * (
        SPREAD**2 / ((SPREAD**2 + SIGMA_N**2) * (SPREAD**2 + SIGMA_1**2)) ** 0.5
    )
    assert (found - exact).abs().max() < 0.01
    coarse = draw_samples(start, z, residual, SIGMA_1, SIGMA_N, 30)
    assert (coarse - exact).abs().max() > 3 * (found - exact).abs().max(), "of second order"
