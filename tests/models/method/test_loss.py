"""The loss's minimiser is the score; levels are drawn as documented."""

import numpy as np
import pytest
import torch

from scoremix.models.method.ladder import noise_ladder
from scoremix.models.method.loss import FOCUS_SHARE, band_levels, draw_levels, dsm_loss
from scoremix.models.network.ema import Ema

VARIANCE = 0.04


class Analytic(torch.nn.Module):
    """F = sigma S of N(0.5, VARIANCE) per pixel, off by a factor and an offset."""

    def __init__(self, factor: float = 1.0, offset: float = 0.0) -> None:
        super().__init__()
        self.factor, self.offset = factor, offset

    def forward(self, x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        s = sigma.reshape(-1, 1, 1, 1)
        return self.factor * (-s * (x - 0.5) / (VARIANCE + s**2)) + self.offset


def loss_of(net: torch.nn.Module, sigma: float) -> float:
    generator = torch.Generator().manual_seed(0)
    shape = (400, 1, 16, 16)
    x = 0.5 + VARIANCE**0.5 * torch.randn(shape, generator=generator, dtype=torch.float64)
    z = torch.randn(shape, generator=generator, dtype=torch.float64)
    return float(dsm_loss(net, x, torch.full((400,), sigma, dtype=torch.float64), z).mean())


@pytest.mark.parametrize("sigma", [0.01, 0.1, 1.0])
def test_the_true_score_reaches_the_known_minimum_and_nothing_near_it_does(sigma: float) -> None:
    """At the minimum the residual is Var(z | y) = c / (c + sigma^2)."""
    best = loss_of(Analytic(), sigma)
    assert best == pytest.approx(VARIANCE / (VARIANCE + sigma**2), rel=0.02)
    explained = sigma**2 / (VARIANCE + sigma**2)  # the power of F itself
    for factor, offset in ((0.8, 0.0), (1.2, 0.0), (1.0, 0.1), (1.0, -0.1)):
        worse = loss_of(Analytic(factor, offset), sigma)
        assert worse - best == pytest.approx(
            (factor - 1) ** 2 * explained + offset**2, rel=0.25, abs=2e-3
        )


def test_uniform_levels_cover_the_ladder() -> None:
    ladder = noise_ladder(5.0)
    drawn = draw_levels(ladder, 50_000, np.random.default_rng(0), None)
    assert set(drawn) <= set(ladder)
    assert np.mean(drawn < ladder[len(ladder) // 2]) == pytest.approx(0.5, abs=0.01)


def test_focus_draws_four_fifths_from_below() -> None:
    ladder = noise_ladder(5.0)
    drawn = draw_levels(ladder, 50_000, np.random.default_rng(0), 0.1)
    below = float(np.mean(ladder <= 0.1))
    expected = FOCUS_SHARE + (1 - FOCUS_SHARE) * below
    assert np.mean(drawn <= 0.1) == pytest.approx(expected, abs=0.01)


def test_bands_hold_levels_of_the_ladder_that_lie_in_them() -> None:
    bands = band_levels(noise_ladder(5.0), 8)
    assert list(bands) == ["0-0.02", "0.02-0.05", "0.05-0.15", "0.15-0.5", "0.5-2", ">2"]
    assert all(0.02 < level <= 0.05 for level in bands["0.02-0.05"])
    assert all(len(levels) == 8 for levels in bands.values())


def test_ema_warms_up_then_averages() -> None:
    net = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.zeros_(net.weight)
    ema = Ema(net, 0.999)
    with torch.no_grad():
        net.weight.fill_(1.0)
    ema.update(net, 1)
    assert float(ema.net.weight) == pytest.approx(1 - 2 / 11)
    slow = Ema(net, 0.5)
    with torch.no_grad():
        net.weight.fill_(3.0)
    slow.update(net, 1000)
    assert float(slow.net.weight) == pytest.approx(2.0)
