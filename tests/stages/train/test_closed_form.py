"""A small network trained on data whose score is known in closed form."""

import numpy as np
import pytest
import torch

from scoremix.models.method.ladder import noise_ladder
from scoremix.models.method.loss import draw_levels, dsm_loss
from scoremix.models.network.architecture import Architecture, Network
from scoremix.models.network.checkpoint import build
from scoremix.models.network.ema import Ema

SIDE = 8


def power_law_basis() -> tuple[torch.Tensor, torch.Tensor]:
    """An orthonormal cosine basis of 8 x 8 images, and standard deviations 0.3 down to 0.003."""
    n = np.arange(SIDE)
    line = np.cos(np.pi * (n[None, :] + 0.5) * n[:, None] / SIDE)
    line /= np.linalg.norm(line, axis=1, keepdims=True)
    basis = np.einsum("ai,bj->abij", line, line).reshape(SIDE * SIDE, SIDE * SIDE)
    frequency = np.sqrt((n[:, None] ** 2 + n[None, :] ** 2).reshape(-1))
    deviation = 0.3 * (1 + frequency) ** (np.log(0.01) / np.log(1 + frequency.max()))
    return torch.from_numpy(basis).float(), torch.from_numpy(deviation).float()


def sample(count: int, generator: torch.Generator) -> torch.Tensor:
    basis, deviation = power_law_basis()
    weights = torch.randn(count, SIDE * SIDE, generator=generator) * deviation
    return 0.5 + (weights @ basis).reshape(count, 1, SIDE, SIDE)


@pytest.mark.slow
@pytest.mark.parametrize("network", ["refinenet", "unet"])
def test_a_trained_network_approaches_the_closed_form(network: Network) -> None:
    """Judged by the denoiser's residual, band by band: the best possible is mean c / (c + s^2)."""
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(1)
    ladder = noise_ladder(3.0)
    width = 16 if network == "unet" else 8
    net = build(Architecture(1, SIDE, width, network=network), ladder, seed=2)
    ema = Ema(net, 0.98)
    adam = torch.optim.Adam(net.parameters(), lr=4e-3, fused=True)
    random = np.random.default_rng(3)
    for step in range(1, 121):
        x = sample(32, generator)
        sigma = torch.from_numpy(draw_levels(ladder, 32, random, None)).float()
        noise = torch.randn(x.shape, generator=generator)
        loss = dsm_loss(net, x, sigma, noise).mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
        ema.update(net, step)
    _, deviation = power_law_basis()
    for level in (0.01, 0.03, 0.1, 0.3, 1.0):
        x = sample(512, generator)
        noise = torch.randn(x.shape, generator=generator)
        with torch.no_grad():
            found = float(dsm_loss(ema.net, x, torch.full((512,), level), noise).mean())
        best = float((deviation**2 / (deviation**2 + level**2)).mean())
        # What remains above the optimum is small against what an empty answer leaves (1).
        assert best * 0.97 < found < best + 0.12 * (1 - best) + 0.01, (level, found, best)
