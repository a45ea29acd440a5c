"""Algorithm 1 against trajectories worked out by other means."""

import math

import pytest
import torch

from scoremix.models.method.minimise import minimise, score_norm

SIGMA = 0.01


def gaussian(mean: float, variance: float):  # type: ignore[no-untyped-def]
    """sigma S(x, sigma) of N(mean, variance): -sigma (x - mean) / (variance + sigma^2)."""
    return lambda x, sigma: -sigma * (x - mean) / (variance + sigma**2)


def test_two_steps_worked_out_by_hand() -> None:
    """f(x) = (sigma S)^2 = k (x - m)^2 in one pixel, so f' = 2 k (x - m)."""
    k, m, x0, lr = (SIGMA / (0.04 + SIGMA**2)) ** 2, 0.2, 0.7, 0.005
    g1 = 2 * k * (x0 - m)
    x1 = x0 - lr * g1 / (abs(g1) + 1e-8)  # the first step of Adam is lr times the sign
    g2 = 2 * k * (x1 - m)
    first = (0.9 * 0.1 * g1 + 0.1 * g2) / (1 - 0.9**2)
    second = (0.999 * 0.001 * g1**2 + 0.001 * g2**2) / (1 - 0.999**2)
    x2 = x1 - (lr / 2) * first / (math.sqrt(second) + 1e-8)  # decayed linearly: half the rate
    x = torch.full((1, 1, 1, 1), x0, dtype=torch.float64)
    found = minimise(x, gaussian(m, 0.04), SIGMA, steps=2, lr=lr)
    assert float(found) == pytest.approx(x2, abs=1e-12)
    assert float(x) == x0  # the input is left alone


def test_the_whole_trajectory_is_torchs_adam() -> None:
    torch.manual_seed(0)
    matrix = torch.randn(6, 6, dtype=torch.float64)

    def residual(x: torch.Tensor, sigma: float) -> torch.Tensor:
        return sigma * torch.tanh(x.flatten(1) @ matrix).reshape(x.shape) - 0.3

    x = torch.rand(3, 1, 2, 3, dtype=torch.float64)
    ours = minimise(x, residual, SIGMA, steps=40, lr=0.005)
    theirs = x.clone().requires_grad_()
    adam = torch.optim.Adam([theirs], lr=0.005)
    decay = torch.optim.lr_scheduler.LambdaLR(adam, lambda step: 1 - step / 40)
    for _ in range(40):
        adam.zero_grad()
        residual(theirs, SIGMA).square().sum().backward()
        adam.step()
        decay.step()
    assert torch.allclose(ours, theirs.detach(), atol=1e-10)


def test_it_goes_to_the_mean_of_a_gaussian_but_no_further_than_the_rates_sum() -> None:
    near = torch.full((1, 1, 2, 2), 0.35, dtype=torch.float64)
    far = torch.full((1, 1, 2, 2), 0.95, dtype=torch.float64)
    found = minimise(torch.cat([near, far]), gaussian(0.3, 0.04), SIGMA, steps=100, lr=0.005)
    assert torch.allclose(found[0], torch.tensor(0.3, dtype=torch.float64), atol=0.02)
    travelled = 0.95 - float(found[1].mean())
    assert 0.2 < travelled < 0.2525 + 1e-9  # sum of 0.005 (1 - k / 100)


def test_between_two_modes_it_goes_to_the_nearer_one() -> None:
    """S of an even mixture of N(0.2, s^2) and N(0.8, s^2), closed form."""

    def residual(x: torch.Tensor, sigma: float) -> torch.Tensor:
        variance = 0.01 + sigma**2
        weights = torch.softmax(
            torch.stack([-((x - m) ** 2) / (2 * variance) for m in (0.2, 0.8)]), dim=0
        )
        mean = 0.2 * weights[0] + 0.8 * weights[1]
        return -sigma * (x - mean) / variance

    x = torch.tensor([0.32, 0.68], dtype=torch.float64).reshape(2, 1, 1, 1)
    found = minimise(x, residual, SIGMA, steps=100, lr=0.005).flatten()
    assert torch.allclose(found, torch.tensor([0.2, 0.8], dtype=torch.float64), atol=0.02)


def test_an_image_that_has_reached_the_norm_stops_and_the_others_go_on() -> None:
    residual = gaussian(0.5, 0.01)
    x = torch.tensor([0.52, 0.9], dtype=torch.float64).reshape(2, 1, 1, 1)
    before = score_norm(x, residual, SIGMA)
    target = float(before[0]) * 1.5  # the first is there already
    found = minimise(x, residual, SIGMA, steps=100, lr=0.005, stop_norm=target)
    assert torch.equal(found[0], x[0])
    after = score_norm(found, residual, SIGMA)
    assert float(after[1]) < float(before[1])
    # Once it stopped it stays: a longer look at it alone gives the same.
    alone = minimise(x[1:], residual, SIGMA, steps=100, lr=0.005, stop_norm=target)
    assert torch.allclose(alone, found[1:], rtol=0, atol=1e-12)


def test_fresh_noise_moves_where_the_score_is_taken() -> None:
    seen = []

    def residual(x: torch.Tensor, sigma: float) -> torch.Tensor:
        seen.append(x.detach().clone())
        return -(x - 0.3)

    z = torch.full((1, 1, 1, 1), 2.0)
    minimise(torch.full((1, 1, 1, 1), 0.5), residual, SIGMA, steps=1, lr=0.1, noise=lambda: z)
    assert float(seen[0]) == pytest.approx(0.5 + SIGMA * 2.0)


def test_no_steps_leave_the_image() -> None:
    x = torch.rand(2, 1, 2, 2)
    assert torch.equal(minimise(x, gaussian(0, 1), SIGMA, steps=0, lr=0.005), x)
