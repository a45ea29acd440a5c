"""Denoising on Gaussian data, where every step is a linear map and the posterior is known."""

from itertools import pairwise

import pytest
import torch

from scoremix.models.method.denoise import denoise
from scoremix.models.method.ladder import rungs

SIGMA_N, SIGMA_T = 0.01, 0.15


def gaussian(variance: float):  # type: ignore[no-untyped-def]
    return lambda x, sigma: -sigma * x / (variance + sigma**2)


def recursion(variance: float, steps: int, kind: str, rule: str) -> tuple[float, float]:
    """Gain on the noised image, and variance added after it, of the whole chain."""
    gain, added = 1.0, 0.0
    for a, b in pairwise(rungs(SIGMA_T, SIGMA_N, steps).tolist()):
        difference = a * a - b * b
        factor = 1 - difference / (variance + a * a) * (0.5 if kind == "ode" else 1.0)
        gain, added = gain * factor, added * factor**2
        if kind == "stochastic":
            added += difference if rule == "reverse-sde" else b * b * difference / (a * a)
    last = 1 - SIGMA_N**2 / (variance + SIGMA_N**2)
    return gain * last, added * last**2


def run(x, variance, steps, kind="stochastic", rule="ancestral", seed=0):  # type: ignore[no-untyped-def]
    generator = torch.Generator().manual_seed(seed)
    return denoise(
        x,
        gaussian(variance),
        SIGMA_T,
        SIGMA_N,
        steps=steps,
        kind=kind,
        noise_rule=rule,
        noise=lambda: torch.randn(x.shape, generator=generator, dtype=x.dtype),
    )


@pytest.mark.parametrize("rule", ["ancestral", "reverse-sde"])
@pytest.mark.parametrize("kind", ["stochastic", "drift", "ode"])
@pytest.mark.parametrize("variance", [0.09, 0.0025])
def test_the_chain_follows_its_linear_recursion(kind: str, rule: str, variance: float) -> None:
    start = 0.4
    x = torch.full((200, 1, 20, 20), start, dtype=torch.float64)
    gain, added = recursion(variance, 25, kind, rule)
    found = run(x, variance, 25, kind, rule)
    spread = gain**2 * SIGMA_T**2 + added  # the noise put on at first, and that of the chain
    deviation = spread**0.5
    assert float(found.mean()) == pytest.approx(gain * start, abs=6 * deviation / 80_000**0.5)
    assert float(found.var()) == pytest.approx(spread, rel=6 * (2 / 80_000) ** 0.5)


def test_noise_free_kinds_are_the_exact_product_of_their_factors() -> None:
    x = torch.rand(1, 1, 4, 4, dtype=torch.float64)
    first = torch.Generator().manual_seed(0)
    noised = x + SIGMA_T * torch.randn(x.shape, generator=first, dtype=torch.float64)
    for kind in ("drift", "ode"):
        gain, _ = recursion(0.04, 25, kind, "")
        assert torch.allclose(run(x, 0.04, 25, kind), gain * noised, atol=1e-12)


def test_tweedie_is_the_posterior_mean() -> None:
    x = torch.rand(1, 1, 4, 4, dtype=torch.float64)
    noise = torch.Generator().manual_seed(0)
    noised = x + SIGMA_T * torch.randn(x.shape, generator=noise, dtype=torch.float64)
    expected = noised * 0.04 / (0.04 + SIGMA_T**2)
    assert torch.allclose(run(x, 0.04, 25, "tweedie"), expected, atol=1e-12)


def test_more_steps_approach_the_posterior() -> None:
    """Given the noised y, x is N(gain y, c s^2 / (c + s^2)) with gain c / (c + s^2)."""
    variance = 0.04
    gain = variance / (variance + SIGMA_T**2)
    posterior = variance * SIGMA_T**2 / (variance + SIGMA_T**2)
    shares, gains = [], []
    for steps in (6, 25, 400):
        found_gain, added = recursion(variance, steps, "stochastic", "ancestral")
        shares.append(added / posterior)
        gains.append(abs(found_gain - gain))
    assert shares[0] < shares[1] < shares[2] < 1.001
    assert 0.70 < shares[1] < 0.90  # the known shrinkage of few ancestral steps
    assert shares[2] == pytest.approx(1.0, abs=0.02)
    assert gains[2] < 0.01


def test_off_returns_the_image_and_draws_nothing() -> None:
    x = torch.rand(1, 1, 2, 2)

    def noise() -> torch.Tensor:
        raise AssertionError("drew noise")

    found = denoise(
        x, gaussian(1.0), SIGMA_T, SIGMA_N, steps=5, kind="off", noise_rule="ancestral", noise=noise
    )
    assert found is x
