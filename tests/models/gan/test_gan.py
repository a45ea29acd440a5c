"""The networks' shapes and conditions, and DiffAugment's changes."""

import pytest
import torch
from torch.nn.functional import conv2d, interpolate

from scoremix.models.gan.changes import CHANGES
from scoremix.models.gan.diffaugment import augment
from scoremix.models.gan.networks import (
    LATENT,
    Discriminator,
    DoublingConv,
    GanShape,
    Generator,
)


@pytest.mark.parametrize(("side", "channels", "classes"), [(8, 1, 0), (32, 3, 5), (64, 3, 0)])
def test_they_fit_together(side: int, channels: int, classes: int) -> None:
    shape = GanShape(channels, side, 4, classes)
    labels = torch.arange(6) % classes if classes else None
    made = Generator(shape)(torch.randn(6, LATENT), labels)
    assert made.shape == (6, channels, side, side) and made.abs().max() <= 1
    assert Discriminator(shape)(made, labels).shape == (6,)


@pytest.mark.parametrize("side", [4, 12, 24, 31, 48])
def test_other_sides_are_refused(side: int) -> None:
    with pytest.raises(ValueError, match=f"{side} px"):
        GanShape(3, side, 8)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_the_doubling_convolution_equals_up_sampling_and_convolution(
    layout: torch.memory_format,
) -> None:
    """Values, borders included, and both gradients."""
    torch.manual_seed(0)
    net = DoublingConv(6, 4).to(memory_format=layout)  # type: ignore[call-overload]
    x = torch.randn(2, 6, 5, 7).to(memory_format=layout).requires_grad_()
    mine = net(x)
    wanted = conv2d(interpolate(x, scale_factor=2.0), net.weight, padding=1)
    assert torch.allclose(mine, wanted, atol=1e-5)
    above = torch.randn_like(mine)
    grads = (torch.autograd.grad(y, (x, net.weight), above) for y in (mine, wanted))
    for one, other in zip(*grads, strict=True):
        assert torch.allclose(one, other, atol=1e-4)


def test_both_know_the_class() -> None:
    shape = GanShape(1, 8, 8, 3)
    torch.manual_seed(0)
    generator, discriminator = Generator(shape).eval(), Discriminator(shape).eval()
    z = torch.randn(4, LATENT)
    zero, one = (torch.full((4,), label) for label in (0, 1))
    made = generator(z, zero)
    assert not torch.allclose(made, generator(z, one), atol=1e-4)
    assert not torch.allclose(discriminator(made, zero), discriminator(made, one), atol=1e-4)


def changed(x: torch.Tensor, *names: str, seed: int = 0) -> torch.Tensor:
    return augment(x, names, torch.Generator().manual_seed(seed))  # type: ignore[arg-type]


def test_colour_keeps_shapes_and_changes_levels() -> None:
    """In a gray image the order of pixels stays: each image is scaled and shifted as a whole."""
    x = torch.rand(8, 1, 8, 8) * 2 - 1
    for before, after in zip(x, changed(x, "colour"), strict=True):
        slope = (after - after.mean()) / (before - before.mean())
        assert slope.std() < 1e-4 and 0.5 <= slope.mean() <= 1.5
        assert abs(float(after.mean() - before.mean())) <= 0.5


def test_translation_moves_by_an_eighth_at_most() -> None:
    x = torch.arange(1.0, 257.0).reshape(1, 1, 16, 16).expand(64, 1, 16, 16)
    moves = set()
    for image in changed(x, "translation")[:, 0]:
        inside = image.nonzero()
        row, column = inside[0].tolist()
        number = int(image[row, column]) - 1
        moves.add((number // 16 - row, number % 16 - column))
        kept = 16 - abs(number // 16 - row), 16 - abs(number % 16 - column)
        assert len(inside) == kept[0] * kept[1]
    assert {abs(move) for pair in moves for move in pair} == {0, 1, 2}


def test_cutout_takes_a_square_of_half_the_side() -> None:
    cut = changed(torch.ones(200, 3, 16, 16), "cutout") == 0
    areas = cut[:, 0].sum(dim=(1, 2))
    assert int(areas.max()) == 64 and int(areas.min()) >= 16
    assert torch.equal(cut[:, 0], cut[:, 2])


def test_equal_random_numbers_give_equal_changes_and_gradients_pass() -> None:
    x = torch.rand(4, 3, 16, 16, requires_grad=True)
    first, second = changed(x, *CHANGES), changed(x, *CHANGES)
    assert torch.equal(first, second) and not torch.equal(first, changed(x, *CHANGES, seed=1))
    first.sum().backward()
    assert x.grad is not None and x.grad.abs().sum() > 0
    assert torch.equal(changed(x), x)
