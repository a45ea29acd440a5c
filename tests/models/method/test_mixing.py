"""Mixing pixel by pixel: what becomes of the variance."""

import pytest
import torch

from scoremix.models.method.mixing import mix, mix_with_contrast

SPREAD = 0.2


def images(seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    shape = (300, 1, 8, 8)
    return 0.4 + SPREAD * torch.randn(shape, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("lambda_", [0.5, 0.3, 0.1])
def test_a_plain_mixture_loses_the_variance_that_kept_contrast_keeps(lambda_: float) -> None:
    x1, x2, lambdas = images(1), images(2), torch.full((300,), lambda_, dtype=torch.float64)
    share = (lambda_**2 + (1 - lambda_) ** 2) ** 0.5
    kept = mix_with_contrast(x1, x2, lambdas, torch.full_like(x1, 0.4))
    # 19,200 values: a deviation is known to 0.5 %.
    assert float(mix(x1, x2, lambdas).std()) == pytest.approx(share * SPREAD, rel=0.03)
    assert float(kept.std()) == pytest.approx(SPREAD, rel=0.03)
    assert torch.allclose(share * (kept - 0.4), mix(x1, x2, lambdas) - 0.4)


def test_it_ends_at_a_parent_where_lambda_does_and_a_pair_of_equals_is_stretched() -> None:
    x1, x2, mean = images(1), images(2), images(3)
    ends = torch.ones(300, dtype=torch.float64)
    assert torch.allclose(mix_with_contrast(x1, x2, ends, mean), x1)
    assert torch.allclose(mix_with_contrast(x1, x2, 0 * ends, mean), x2)
    same = mix_with_contrast(x1, x1, 0.5 * ends, mean)
    assert torch.allclose(same - mean, 2**0.5 * (x1 - mean))
