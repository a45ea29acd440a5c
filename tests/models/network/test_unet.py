"""The U-Net: its parametrisation against closed forms, its conditions, its precision."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from scoremix.models.method.ladder import noise_ladder
from scoremix.models.network.architecture import Architecture
from scoremix.models.network.checkpoint import build, load_weights, weights_bytes
from scoremix.models.network.score_net import VIEW, ScoreNet
from scoremix.models.network.unet import SIGMA_DATA, UNet, shape_for

LADDER = noise_ladder(5.0)


def unet(resolution: int = 8, width: int = 8, channels: int = 1, **more: float) -> UNet:
    """With weights that are nowhere zero, as after some training."""
    shape = Architecture(channels, resolution, width, network="unet", **more)  # type: ignore[arg-type]
    net = build(shape, LADDER, seed=3)
    assert isinstance(net, UNet)
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter += 0.05 * torch.randn_like(parameter)
    return net.eval()


def test_untrained_it_is_the_score_of_gaussian_data() -> None:
    """F = 0, and what remains is the score of N(0, sigma_data^2) on [-1, 1]."""
    net = build(Architecture(3, 16, 8, network="unet"), LADDER).double().eval()
    x = torch.randn(5, 3, 16, 16, dtype=torch.float64)
    sigma = torch.tensor([0.01, 0.1, 0.5, 2.0, 5.0], dtype=torch.float64)
    spread = SIGMA_DATA / 2  # on [0, 1]
    exact = -(x - 0.5) / (spread**2 + sigma.reshape(-1, 1, 1, 1) ** 2)
    torch.testing.assert_close(net.score(x, sigma), exact)


def test_it_denoises_as_edm_writes_it() -> None:
    """D(x, sigma) = c_skip x + c_out F(c_in x) on [-1, 1], and sigma S = (D - x) / sigma."""
    net = unet().double()
    x, sigma = torch.rand(3, 1, 8, 8, dtype=torch.float64), torch.full((3,), 0.3).double()
    s, scaled = 2 * 0.3, 2 * x - 1
    total = s**2 + SIGMA_DATA**2
    residual = net.residual(x, sigma)
    denoised = scaled + s * residual
    inner = (denoised - SIGMA_DATA**2 / total * scaled) / (s * SIGMA_DATA / total**0.5)

    seen = []
    hook = net.stem.register_forward_hook(lambda _, inputs, out: seen.append(inputs[0]))
    net.residual(x, sigma)
    hook.remove()
    torch.testing.assert_close(seen[0], scaled / total**0.5)  # c_in x, blocks of one pixel
    # F does not know sigma_data: the same at once by hand.
    by_hand = (residual + s / total * scaled) * total**0.5 / SIGMA_DATA
    torch.testing.assert_close(inner, by_hand)


@pytest.mark.parametrize("resolution", [4, 8, 12, 28, 32, 40, 64, 100, 128, 256])
def test_output_has_the_shape_of_the_input(resolution: int) -> None:
    net = unet(resolution, 4)
    x = torch.rand(2, 1, resolution, resolution)
    assert net(x, torch.tensor([0.01, 3.0])).shape == x.shape


def test_every_side_has_a_shape_and_common_ones_have_several_levels() -> None:
    for side in range(4, 400):
        assert side % shape_for(side).divisor == 0
    found = {side: (shape_for(side).block, len(shape_for(side).levels)) for side in (28, 100, 224)}
    assert found == {28: (2, 2), 100: (2, 2), 224: (4, 4)}
    assert [shape_for(side).divisor for side in (8, 32, 64, 128, 256)] == [2, 8, 16, 32, 64]


def test_larger_blocks_take_the_levels_of_a_side_with_as_many_of_them() -> None:
    assert (shape_for(64, 4).block, shape_for(64, 4).levels) == (4, shape_for(32).levels)
    assert shape_for(32, 2) == shape_for(32) and shape_for(64, None) == shape_for(64)
    for side in range(4, 400):
        for block in (1, 2, 4):
            assert side % shape_for(side, block).divisor == 0
    net = UNet(Architecture(3, 64, 16, network="unet", block=4))
    assert net.block == 4 and net.stem.weight.shape[1] == 48


def test_the_null_class_is_what_no_label_means() -> None:
    net = unet(classes=3)
    x, sigma = torch.rand(4, 1, 8, 8), torch.full((4,), 0.2)
    null = net.residual(x, sigma, torch.full((4,), 3))
    torch.testing.assert_close(net.residual(x, sigma), null)
    told = net.residual(x, sigma, torch.tensor([0, 1, 2, 0]))
    assert not torch.allclose(told, null)
    # Each image is told its own class.
    torch.testing.assert_close(told[3:], net.residual(x[3:], sigma[3:], torch.tensor([0])))


def test_a_view_of_zeros_is_no_view() -> None:
    net = unet(views=True)
    x, sigma = torch.rand(2, 1, 8, 8), torch.tensor([0.2])
    torch.testing.assert_close(net.residual(x, sigma, view=torch.zeros(2, VIEW)), net(x, sigma))
    assert not torch.allclose(net.residual(x, sigma, view=torch.ones(2, VIEW)), net(x, sigma))


def test_dropout_acts_in_training_alone() -> None:
    net = unet(dropout=0.5)
    x, sigma = torch.rand(2, 1, 8, 8), torch.tensor([0.2])
    torch.testing.assert_close(net(x, sigma), unet()(x, sigma))
    assert not torch.allclose(net.train()(x, sigma), net.eval()(x, sigma))


def test_every_parameter_is_used() -> None:
    net = unet(classes=2, views=True)
    x, sigma = torch.rand(2, 1, 8, 8), torch.tensor([0.2])
    net.residual(x, sigma, torch.tensor([0, 1]), torch.ones(2, VIEW)).square().sum().backward()
    assert all(parameter.grad is not None for parameter in net.parameters())


def _direction(net: ScoreNet, x: torch.Tensor, sigma: float) -> tuple[torch.Tensor, ...]:
    x = x.clone().requires_grad_()
    residual = net(x, torch.tensor([sigma], dtype=x.dtype))
    (gradient,) = torch.autograd.grad(residual.float().square().sum(), x)
    return residual.detach().double(), gradient.double()


@pytest.mark.parametrize(
    ("trunk", "error", "cosine"), [(None, 1e-5, 0.999999), (torch.bfloat16, 0.02, 0.99)]
)
def test_precision_against_float64(trunk: torch.dtype | None, error: float, cosine: float) -> None:
    """Relative error of S and the cosine of its gradient's angle."""
    x = torch.rand(4, 3, 16, 16)
    reference, exact_gradient = _direction(unet(16, 16, 3).double(), x.double(), 0.01)
    net = unet(16, 16, 3)
    net.trunk_dtype = trunk
    residual, gradient = _direction(net, x, 0.01)
    assert float((residual - reference).norm() / reference.norm()) < error
    angle = F.cosine_similarity(gradient.flatten(), exact_gradient.flatten(), dim=0)
    assert float(angle) > cosine


def test_weights_survive_the_disk(tmp_path: Path) -> None:
    net, other = unet(classes=2), build(Architecture(1, 8, 8, network="unet", classes=2), LADDER)
    (tmp_path / "w.safetensors").write_bytes(weights_bytes(net))
    load_weights(other, tmp_path / "w.safetensors")
    x, sigma = torch.rand(1, 1, 8, 8), torch.tensor([0.1])
    assert torch.equal(net(x, sigma), other.eval()(x, sigma))
    with pytest.raises(ValueError, match="does not fit"):
        load_weights(build(Architecture(1, 8, 8), LADDER), tmp_path / "w.safetensors")


def test_model_json_of_a_refinenet_has_what_it_always_had() -> None:
    found = Architecture(3, 32, 24).describe()
    assert found == {"channels": 3, "resolution": 32, "width": 24, "conditioning": "fourier"}
    described = Architecture(3, 32, 64, network="unet", dropout=0.1, classes=5, views=True)
    assert Architecture(**described.describe()) == described


def test_channels_last_changes_nothing_that_matters() -> None:
    net = unet(16, 8, 3)
    x, sigma = torch.rand(2, 3, 16, 16), torch.tensor([0.05])
    plain = net.to(memory_format=torch.contiguous_format)(x, sigma)  # type: ignore[call-overload]
    last = net.to(memory_format=torch.channels_last)(  # type: ignore[call-overload]
        x.contiguous(memory_format=torch.channels_last), sigma
    )
    assert np.allclose(plain.detach(), last.detach(), atol=1e-4)
