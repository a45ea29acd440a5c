"""Mixing, and that an image depends on nothing but itself."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from scoremix.models.method.ladder import noise_ladder
from scoremix.models.method.methods import FrozenScore, mixup, scoremix
from scoremix.models.method.mixing import mix
from scoremix.models.method.options import ScoreMixOptions
from scoremix.models.network.architecture import Architecture
from scoremix.models.network.checkpoint import build

LADDER = noise_ladder(5.0)
OPTIONS = ScoreMixOptions(steps=5, lr=0.005, denoise_steps=6, score_noise="fresh")


def score() -> FrozenScore:
    return FrozenScore(build(Architecture(1, 8, 8), LADDER, seed=4), 5.0, 0.01)


def noise_of(rows: list[int]):  # type: ignore[no-untyped-def]
    """Each row draws from its own stream."""
    streams = [np.random.default_rng(row) for row in rows]
    return lambda purpose: torch.from_numpy(
        np.stack([random.standard_normal((1, 8, 8), dtype=np.float32) for random in streams])
    )


def make(rows: list[int]) -> torch.Tensor:
    everything = torch.Generator().manual_seed(0)
    x1, x2 = (torch.rand(16, 1, 8, 8, generator=everything) for _ in range(2))
    lambda_ = torch.rand(16, generator=everything)
    return scoremix(x1[rows], x2[rows], lambda_[rows], score(), noise_of(rows), OPTIONS).final


def test_mix_is_the_convex_combination() -> None:
    x1, x2 = torch.ones(3, 1, 2, 2), torch.zeros(3, 1, 2, 2)
    lambda_ = torch.tensor([0.0, 0.25, 1.0])
    assert torch.equal(mix(x1, x2, lambda_)[:, 0, 0, 0], lambda_)
    assert mixup(x1, x2, lambda_).norms is None


def test_position_in_a_batch_changes_no_bit() -> None:
    straight, reversed_ = make([3, 4, 5, 6]), make([6, 5, 4, 3])
    assert torch.equal(straight, reversed_.flip(0))


def test_who_else_is_in_a_batch_of_one_size_changes_no_bit() -> None:
    assert torch.equal(make([3, 4, 5, 6])[0], make([3, 9, 11, 2])[0])


def test_alone_in_a_batch_or_in_another_agree_within_tolerance() -> None:
    """Stated tolerance across batch sizes: 0.1 grey levels, so equal but for rounding edges."""
    together = make(list(range(16)))
    for row in (0, 7, 15):
        assert float((make([row])[0] - together[row]).abs().max()) * 255 < 0.1


@pytest.mark.parametrize(
    "options",
    [OPTIONS, replace(OPTIONS, score_noise="none"), replace(OPTIONS, steps=0)],
    ids=["fresh", "plain", "no steps"],
)
def test_norms_are_those_of_the_three_images(options: ScoreMixOptions) -> None:
    x1, x2 = torch.rand(2, 1, 8, 8), torch.rand(2, 1, 8, 8)
    frozen = score()
    steps = scoremix(x1, x2, torch.tensor([0.3, 0.6]), frozen, noise_of([1, 2]), options)
    assert steps.norms is not None and steps.norms.shape == (2, 3)
    for column, x in enumerate((steps.mixup, steps.minimised, steps.final)):
        expected = frozen(x, 0.01).detach().square().mean(dim=(1, 2, 3))
        assert torch.allclose(steps.norms[:, column], expected, rtol=1e-4)


def test_minimisation_lowers_the_networks_own_norm() -> None:
    x = torch.rand(8, 1, 8, 8)
    options = ScoreMixOptions(steps=30, lr=0.005, denoise="off")
    steps = scoremix(x, x.flip(0), torch.full((8,), 0.5), score(), noise_of([0] * 8), options)
    assert steps.norms is not None
    assert bool((steps.norms[:, 1] < steps.norms[:, 0]).all())
    assert torch.equal(steps.final, steps.minimised)


def test_weights_stay_frozen() -> None:
    frozen = score()
    x = torch.rand(2, 1, 8, 8)
    scoremix(x, x, torch.ones(2), frozen, noise_of([0, 1]), OPTIONS)
    assert all(p.grad is None and not p.requires_grad for p in frozen.net.parameters())


def test_a_class_conditional_network_gets_each_images_own_class() -> None:
    shape = Architecture(1, 8, 8, network="unet", classes=3)
    net, weak = (build(shape, LADDER, seed=seed) for seed in (4, 5))
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in (*net.parameters(), *weak.parameters()):
            parameter += 0.05 * torch.randn_like(parameter)
    guide = FrozenScore(weak, 5.0, 0.01)
    whole = FrozenScore(net, 5.0, 0.01, guide=guide, guidance=1.5)
    x = torch.rand(4, 1, 8, 8)
    batch = whole.conditioned_on(torch.tensor([2, 0, -1, 1]))
    for row, label in enumerate((2, 0, -1, 1)):
        alone = whole.conditioned_on(torch.tensor([label]))
        for each, other in ((batch, alone), (batch.guided, alone.guided)):
            one = other(x[row : row + 1], 0.3)
            torch.testing.assert_close(each(x, 0.3)[row : row + 1], one, atol=1e-5, rtol=1e-5)
    # No class is the null class, and classes change what is made.
    torch.testing.assert_close(batch(x, 0.3)[2], whole(x, 0.3)[2], atol=1e-5, rtol=1e-5)
    assert not torch.allclose(batch(x, 0.3)[:2], whole(x, 0.3)[:2], atol=1e-3)
    # A network without classes is given none.
    plain = score()
    assert plain.conditioned_on(torch.tensor([0, 1, 0, 1])) is plain
