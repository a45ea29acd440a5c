"""The network: published sizes, its norm against autograd, its resize against torch's."""

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from scoremix.models.method.ladder import noise_ladder
from scoremix.models.network import blocks, norm
from scoremix.models.network.architecture import Architecture
from scoremix.models.network.blocks import mean_pool, resize_bilinear
from scoremix.models.network.checkpoint import build, load_net, load_weights, weights_bytes
from scoremix.models.network.norm import Affine
from scoremix.models.network.norm_passes import EPS, FewPasses, InPlace
from scoremix.models.network.refinenet import form_for

LADDER = noise_ladder(5.0)


@pytest.mark.parametrize(
    ("resolution", "millions"), [(32, 29.7), (64, 29.7), (128, 83.5), (256, 94.0)]
)
def test_full_size_has_the_published_parameter_counts(resolution: int, millions: float) -> None:
    with torch.device("meta"):
        from scoremix.models.network.refinenet import RefineNet

        net = RefineNet(Architecture(3, resolution, 128), torch.ones(10))
    proper, conditioning = net.count_parameters()
    assert proper / 1e6 == pytest.approx(millions, rel=0.03)
    assert conditioning < 0.1 * proper


@pytest.mark.parametrize("resolution", [8, 12, 64, 68, 128, 136])
def test_output_has_the_shape_of_the_input(resolution: int) -> None:
    net = build(Architecture(1, resolution, 4), LADDER)
    x = torch.rand(2, 1, resolution, resolution)
    assert net(x, torch.tensor([0.01, 3.0])).shape == x.shape


def test_the_score_is_the_residual_over_sigma() -> None:
    net = build(Architecture(1, 8, 4), LADDER)
    x, sigma = torch.rand(3, 1, 8, 8), torch.tensor([0.01, 0.1, 2.0])
    expected = net.residual(x, sigma) / sigma.reshape(-1, 1, 1, 1)
    torch.testing.assert_close(net.score(x, sigma), expected)


@pytest.mark.parametrize("resolution", [9, 66, 132])
def test_a_side_that_does_not_divide_is_refused_with_its_neighbours(resolution: int) -> None:
    with pytest.raises(ValueError, match="does not divide"):
        form_for(resolution)


def _norm_by_autograd(x: torch.Tensor, affine: Affine, elu: bool) -> torch.Tensor:
    mean = x.mean(dim=(2, 3), keepdim=True)
    variance = x.var(dim=(2, 3), correction=0, keepdim=True)
    contrast = mean - mean.mean(dim=1, keepdim=True)
    contrast = contrast / (mean.var(dim=1, correction=0, keepdim=True) + EPS).sqrt()
    normal = (x - mean) / (variance + EPS).sqrt()
    out = affine.gamma * (normal + affine.alpha * contrast) + affine.beta
    return F.elu(out) if elu else out


@pytest.mark.parametrize("kind", [InPlace, FewPasses])
@pytest.mark.parametrize("elu", [False, True])
@pytest.mark.parametrize("levels", [1, 3])
def test_the_norms_hand_written_backward_is_the_gradient(elu: bool, levels: int, kind: Any) -> None:
    torch.manual_seed(0)
    x = torch.randn(3, 5, 4, 6, dtype=torch.float64, requires_grad=True)
    affine = Affine(
        *(torch.randn(levels, 5, 1, 1, dtype=torch.float64, requires_grad=True) for _ in range(3))
    )
    weight = torch.randn_like(x)
    ours, theirs = kind.apply(x, *affine, elu), _norm_by_autograd(x, affine, elu)
    assert torch.allclose(ours, theirs, atol=1e-12)
    inputs = (x, *affine)
    for mine, other in zip(
        torch.autograd.grad((ours * weight).sum(), inputs),
        torch.autograd.grad((theirs * weight).sum(), inputs),
        strict=True,
    ):
        assert torch.allclose(mine, other, atol=1e-10)


@pytest.mark.parametrize("kind", [InPlace, FewPasses])
def test_means_far_from_zero_cost_few_digits(kind: Any) -> None:
    """Fifty standard deviations, in float32: more than any convolution's output has."""
    torch.manual_seed(0)
    x = 50 + torch.randn(2, 4, 16, 16, dtype=torch.float64)
    affine = Affine(*(torch.randn(1, 4, 1, 1, dtype=torch.float64) for _ in range(3)))
    weight = torch.randn_like(x)

    def of(apply: Any, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
        here = x.to(dtype).detach().requires_grad_()
        out = apply(here, Affine(*(part.to(dtype) for part in affine)))
        (slope,) = torch.autograd.grad((out * weight.to(dtype)).sum(), here)
        return out.detach().double(), slope.double()

    exact = of(lambda x, affine: _norm_by_autograd(x, affine, True), torch.float64)
    found = of(lambda x, affine: kind.apply(x, *affine, True), torch.float32)
    for mine, best in zip(found, exact, strict=True):
        assert float((mine - best).norm() / best.norm()) < 3e-5


@pytest.mark.parametrize("kind", [InPlace, FewPasses])
def test_a_second_derivative_of_the_norm_is_refused(kind: Any) -> None:
    """What its backward pass is given has no trace: the derivative would be wrong, in silence."""
    x = torch.randn(2, 2, 3, 3, requires_grad=True)
    affine = Affine(*(torch.ones(1, 2, 1, 1) for _ in range(3)))
    for out in (kind.apply(x, *affine, True) ** 2, kind.apply(x, *affine, False)):
        with pytest.raises(RuntimeError, match="no second derivative"):
            torch.autograd.grad(out.sum(), x, create_graph=True)


def test_resize_is_bilinear_with_aligned_corners() -> None:
    x = torch.rand(2, 3, 5, 4, dtype=torch.float64)
    expected = F.interpolate(x, size=(9, 11), mode="bilinear", align_corners=True)
    assert torch.allclose(resize_bilinear(x, 9, 11), expected, atol=1e-12)
    assert resize_bilinear(x, 5, 4) is x


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_mean_pooling_is_the_stock_one(dtype: torch.dtype) -> None:
    x = torch.randn(2, 5, 7, 6, dtype=dtype).contiguous(memory_format=torch.channels_last)
    x.requires_grad_()
    outs = [mean_pool(x), F.avg_pool2d(x, 5, stride=1, padding=2)]
    into = torch.randn_like(outs[0])
    grads = [torch.autograd.grad(out, x, into)[0] for out in outs]
    tolerance = 1e-12 if dtype is torch.float64 else 1e-6
    assert torch.allclose(*outs, atol=tolerance) and torch.allclose(*grads, atol=tolerance)


def test_a_network_first_used_in_inference_mode_has_gradients_later() -> None:
    """Tensors that are kept from the first use on may be no inference tensors."""
    net = build(Architecture(1, 24, 7), LADDER)  # sizes of no other test: nothing is kept yet
    x, sigma = torch.rand(1, 1, 24, 24), torch.tensor([0.1])
    with torch.inference_mode():
        first = net(x, sigma)
    later = net(x, sigma)
    later.sum().backward()
    assert torch.allclose(later.detach(), first, rtol=1e-5)
    assert all(parameter.grad is not None for parameter in net.parameters())


def test_the_table_snaps_to_the_nearest_level() -> None:
    net = build(Architecture(1, 8, 4, "table"), LADDER)
    x = torch.rand(1, 1, 8, 8)
    level = torch.tensor([LADDER[40]], dtype=torch.float32)
    between = level * 0.9975  # levels are a factor of 0.99 apart
    assert torch.equal(net(x, level), net(x, between))
    assert not torch.equal(net(x, level), net(x, level * 0.98))


def _direction(net: torch.nn.Module, x: torch.Tensor, sigma: float) -> tuple[torch.Tensor, ...]:
    x = x.clone().requires_grad_()
    residual = net(x, torch.tensor([sigma], dtype=x.dtype))
    (gradient,) = torch.autograd.grad(residual.float().square().sum(), x)
    return residual.detach().double(), gradient.double()


@pytest.mark.parametrize(
    ("trunk", "error", "cosine"), [(None, 2e-4, 0.999999), (torch.bfloat16, 0.06, 0.98)]
)
@pytest.mark.parametrize("as_on_gpu", [False, True])
def test_precision_against_float64(
    trunk: torch.dtype | None,
    error: float,
    cosine: float,
    as_on_gpu: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Relative error of S and the cosine of its gradient's angle, at sigma_N."""
    for module in (norm, blocks):
        monkeypatch.setattr(module, "keeps_x", lambda x: as_on_gpu)
    net = build(Architecture(3, 16, 16), LADDER)
    x = torch.rand(4, 3, 16, 16)
    exact = build(Architecture(3, 16, 16), LADDER).double()
    reference, exact_gradient = _direction(exact, x.double(), 0.01)
    net.trunk_dtype = trunk
    residual, gradient = _direction(net, x, 0.01)
    assert float((residual - reference).norm() / reference.norm()) < error
    angle = F.cosine_similarity(gradient.flatten(), exact_gradient.flatten(), dim=0)
    assert float(angle) > cosine


def test_weights_survive_the_disk_and_a_wrong_shape_is_refused(tmp_path) -> None:  # type: ignore[no-untyped-def]
    net = build(Architecture(1, 8, 4), LADDER, seed=1)
    (tmp_path / "w.safetensors").write_bytes(weights_bytes(net))
    other = build(Architecture(1, 8, 4), LADDER, seed=2)
    load_weights(other, tmp_path / "w.safetensors")
    x, sigma = torch.rand(1, 1, 8, 8), torch.tensor([0.1])
    assert torch.equal(net(x, sigma), other(x, sigma))
    with pytest.raises(ValueError, match="does not fit"):
        load_weights(build(Architecture(1, 8, 8), LADDER), tmp_path / "w.safetensors")
    (tmp_path / "model.json").write_text('{"format": 99}')
    with pytest.raises(ValueError, match="format 99"):
        load_net(tmp_path, torch.device("cpu"))


def test_equal_seeds_build_equal_networks_and_leave_random_state_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first, second = (build(Architecture(1, 8, 4), LADDER, seed=3) for _ in range(2))
    assert torch.equal(torch.rand(3), expected)
    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(a, b)


def test_channels_last_changes_nothing_that_matters() -> None:
    net = build(Architecture(3, 16, 8), LADDER)
    x, sigma = torch.rand(2, 3, 16, 16), torch.tensor([0.05])
    plain = net.to(memory_format=torch.contiguous_format)(x, sigma)
    last = net.to(memory_format=torch.channels_last)(
        x.contiguous(memory_format=torch.channels_last), sigma
    )
    assert np.allclose(plain.detach(), last.detach(), atol=1e-4)
