"""Recognisers: shapes at every side, sizes by hand, seeds, and that they can learn."""

import pytest
import torch
import torch.nn.functional as F

from scoremix.models.recognition.heads import Head
from scoremix.models.recognition.names import RecogniserName
from scoremix.models.recognition.networks import (
    RecogniserShape,
    build_recogniser,
)

NETWORKS: tuple[RecogniserName, ...] = ("conv4", "resnet10")


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("side", [8, 10, 14, 32, 64])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_side_gives_embeddings(network: RecogniserName, side: int, channels: int) -> None:
    net = build_recogniser(RecogniserShape(network, channels, side, 24, 4), seed=0)
    assert net(torch.rand(3, channels, side, side)).shape == (3, 24)


def test_conv4_has_the_parameters_that_its_description_has() -> None:
    """At 32 px and 64 channels: Vinyals et al., four blocks down to 2 x 2, then the embedding."""
    net = build_recogniser(RecogniserShape("conv4", 1, 32, 128, 64), seed=0)
    blocks = 9 * 64 * (1 + 3 * 64) + 4 * 2 * 64
    assert sum(p.numel() for p in net.parameters()) == blocks + 4 * 64 * 128


def test_resnet10_has_ten_layers_with_weights() -> None:
    net = build_recogniser(RecogniserShape("resnet10", 3, 32, 128, 64), seed=0)
    shapes = [p.shape for p in net.parameters() if p.ndim > 1]
    assert len([shape for shape in shapes if shape[-1] != 1]) == 10  # without the shortcuts
    assert {shape[0] for shape in shapes} == {64, 128, 256, 512}


def test_a_seed_gives_the_same_weights_and_leaves_torchs_state_alone() -> None:
    shape = RecogniserShape("conv4", 1, 8, 8, 4)
    torch.manual_seed(5)
    before = torch.rand(1)
    torch.manual_seed(5)
    one, same, other = (build_recogniser(shape, seed) for seed in (1, 1, 2))
    assert torch.equal(before, torch.rand(1))
    first = [net.state_dict()["linear.weight"] for net in (one, same, other)]
    assert torch.equal(first[0], first[1]) and not torch.equal(first[0], first[2])


@pytest.mark.parametrize("side", [6, 66])
def test_other_sides_are_refused(side: int) -> None:
    with pytest.raises(ValueError, match="8 to 64 px"):
        RecogniserShape("conv4", 1, side, 128, 64)


@pytest.mark.parametrize("network", NETWORKS)
def test_it_learns_to_tell_two_patterns_apart(network: RecogniserName) -> None:
    random = torch.Generator().manual_seed(0)
    labels = torch.arange(32) % 2
    x = 0.2 * torch.rand((32, 1, 8, 8), generator=random)
    x[labels == 0, :, :, 2] += 0.8
    x[labels == 1, :, 2, :] += 0.8
    net = build_recogniser(RecogniserShape(network, 1, 8, 8, 4), seed=0)
    head = Head("cosface", 8, 2, 16.0, 0.2, seed=0)
    descent = torch.optim.SGD([*net.parameters(), *head.parameters()], lr=0.02, momentum=0.9)
    for _ in range(60):
        loss = F.cross_entropy(head(net(x), labels), labels)
        descent.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        descent.step()
    net.eval()
    assert bool((head(net(x)).argmax(dim=1) == labels).all())
