"""Autoguidance: nothing changes without weight or with itself as guide; Gaussian closed form."""

import pytest
import torch

from scoremix.models.method.bridge import flow
from scoremix.models.method.guidance import guided


def gaussian(variance: float):  # type: ignore[no-untyped-def]
    return lambda x, sigma: -sigma * x / (variance + sigma**2)


def test_weight_one_and_a_guide_that_is_the_network_change_nothing() -> None:
    x, network, weaker = torch.rand(2, 3, 4, 4), gaussian(0.09), gaussian(0.5)
    assert guided(network, weaker, 1.0) is network
    same = guided(network, network, 3.0)
    assert torch.equal(same(x, 0.3), network(x, 0.3))
    assert torch.equal(flow(x, same, 0.5, 0.01, 9), flow(x, network, 0.5, 0.01, 9))


@pytest.mark.parametrize("weight", [0.0, 0.5, 2.0])
def test_it_leads_away_from_the_guide(weight: float) -> None:
    x, network, weaker = torch.rand(2, 3, 4, 4), gaussian(0.09), gaussian(0.5)
    wanted = weight * network(x, 0.3) + (1 - weight) * weaker(x, 0.3)
    assert torch.allclose(guided(network, weaker, weight)(x, 0.3), wanted)
