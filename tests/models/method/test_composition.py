"""Composed scores of two Gaussian classes: the closed form of the flow, of mean and covariance."""

import numpy as np
import pytest
import torch

from scoremix.models.method.composition import composed
from scoremix.models.method.guidance import guided
from scoremix.models.method.ladder import noise_ladder
from scoremix.models.method.methods import FrozenScore, compose
from scoremix.models.method.options import SolverOptions
from scoremix.models.method.sampling import draw_samples
from scoremix.models.network.architecture import Architecture
from scoremix.models.network.checkpoint import build
from scoremix.models.network.score_net import MixedClasses

SIGMA_1, SIGMA_N = 8.0, 0.01
# Two classes of images with 2 x 2 pixels: means, and variances along common axes Q.
Q, _ = np.linalg.qr(np.random.default_rng(3).standard_normal((4, 4)))
MEANS = np.array([[0.2, 0.3, 0.7, 0.4], [0.8, 0.5, 0.1, 0.6]])
VARIANCES = np.array([[0.09, 0.01, 0.0025, 0.04], [0.01, 0.04, 0.0004, 0.0001]])
CENTRES = MEANS @ Q  # along the axes


def gaussian(which: int):  # type: ignore[no-untyped-def]
    """sigma S of N(MEANS[which], Q diag(VARIANCES[which]) Q^T)."""
    axes = torch.from_numpy(Q)
    centre, variance = torch.from_numpy(CENTRES[which]), torch.from_numpy(VARIANCES[which])

    def residual(x: torch.Tensor, sigma: float) -> torch.Tensor:
        y = x.flatten(1) @ axes
        return (-sigma * (y - centre) / (variance + sigma**2) @ axes.T).reshape(x.shape)

    return residual


def closed_form(weights: tuple[float, float], start: np.ndarray) -> np.ndarray:
    """Where the flow of the composed score takes `start` (B, 4), along the axes, to sigma_N, and
    one noiseless step.

    dy/ds = s (A y - B), A = sum w_i / (v_i + s^2), B = sum w_i m_i / (v_i + s^2), so that with
    P(s) = prod ((v_i + sigma_N^2) / (v_i + s^2))^(w_i / 2)
    y(sigma_N) = P(sigma_1) y(sigma_1) + integral of P(s) s B(s) ds.
    """
    w = np.array(weights)[:, None]

    def ratio(s: float) -> np.ndarray:
        return np.prod(((VARIANCES + SIGMA_N**2) / (VARIANCES + s**2)) ** (w / 2), axis=0)

    def b(s: float) -> np.ndarray:
        return (w * CENTRES / (VARIANCES + s**2)).sum(axis=0)

    levels = np.exp(np.linspace(np.log(SIGMA_N), np.log(SIGMA_1), 20_001))
    values = np.stack([ratio(s) * s * b(s) for s in levels])
    gathered = np.trapezoid(values, levels, axis=0)
    y = ratio(SIGMA_1) * start + gathered
    a = (w / (VARIANCES + SIGMA_N**2)).sum(axis=0)
    return y + SIGMA_N**2 * (b(SIGMA_N) - a * y)


def samples(weights: tuple[float, float], z: torch.Tensor, levels: int = 400) -> torch.Tensor:
    """(B, 4), from the composed score of both classes."""
    w = torch.tensor([weights], dtype=torch.float64).expand(len(z), 2)
    residual = composed([gaussian(0), gaussian(1)], w)
    mean = torch.from_numpy(np.array(weights) @ MEANS).reshape(1, 1, 2, 2)
    return draw_samples(mean, z, residual, SIGMA_1, SIGMA_N, levels).flatten(1)


def noise(count: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(5)
    return torch.randn(count, 1, 2, 2, dtype=torch.float64, generator=generator)


@pytest.mark.parametrize("weights", [(0.5, 0.5), (0.8, 0.2), (1.0, 0.0), (1.5, -0.5)])
def test_samples_are_those_of_the_closed_form(weights: tuple[float, float]) -> None:
    z = noise(500)
    start = (np.array(weights) @ MEANS + SIGMA_1 * z.flatten(1).numpy()) @ Q
    exact = closed_form(weights, start) @ Q.T
    assert np.abs(samples(weights, z).numpy() - exact).max() < 2e-3
    # 32 levels, as by default, are near it: errors are a fraction of the classes' deviations.
    coarse = np.abs(samples(weights, z, 32).numpy() - exact)
    assert np.sqrt((coarse**2).mean()) < 0.02


def test_mean_and_covariance_are_those_of_the_closed_form() -> None:
    """Variances along the axes: the geometric mean of the classes', sqrt(v_1 v_2) here."""
    weights, z = (0.5, 0.5), noise(40_000)
    found = samples(weights, z, 100).numpy() @ Q
    centre = np.array(weights) @ MEANS @ Q
    mean, shifted = closed_form(weights, np.stack([centre, centre + SIGMA_1]))
    deviations = shifted - mean
    geometric = np.sqrt(VARIANCES).prod(axis=0) ** 0.5  # of prod v_i^w_i
    assert np.allclose(deviations[:2], geometric[:2], rtol=0.01), "where sigma_N is far below them"
    assert np.abs(found.mean(axis=0) - mean).max() < 4 * deviations.max() / 200 + 1e-3
    covariance = np.cov(found.T)
    assert np.allclose(np.sqrt(np.diag(covariance)), deviations, rtol=0.03)
    off = covariance / np.sqrt(np.outer(np.diag(covariance), np.diag(covariance))) - np.eye(4)
    assert np.abs(off).max() < 0.03, "the axes stay uncorrelated"
    # It is not the mean of the classes where their variances differ: the narrow class pulls more.
    assert abs(mean[3] - CENTRES[1, 3]) < abs(centre[3] - CENTRES[1, 3])


def network(seed: int = 4, classes: int = 3) -> "torch.nn.Module":
    """A class-conditional U-Net with weights that are nowhere zero."""
    net = build(Architecture(1, 8, 8, network="unet", classes=classes), noise_ladder(5.0), seed)
    torch.manual_seed(seed)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter += 0.05 * torch.randn_like(parameter)
    return net


def made(scores: list[FrozenScore], weights: list[float]) -> torch.Tensor:
    x = torch.full((2, 1, 8, 8), 0.5)
    z = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(7))
    w = torch.tensor([weights]).expand(2, len(weights))
    return compose(x, x, scores, w, lambda purpose: z, SolverOptions(6)).final


def test_weights_of_one_class_alone_are_that_class_bit_for_bit() -> None:
    score = FrozenScore(network(), 5.0, 0.01)  # type: ignore[arg-type]
    first, second = (score.conditioned_on(torch.tensor([id_, 2])) for id_ in (0, 1))
    alone = made([first], [1.0])
    assert torch.equal(made([first, second], [1.0, 0.0]), alone)
    assert torch.equal(made([second, first], [0.0, 1.0]), alone)
    assert not torch.allclose(made([first, second], [0.5, 0.5])[0], alone[0], atol=1e-3)
    # The second image has the same class twice: half and half of it is that class.
    torch.testing.assert_close(made([first, second], [0.5, 0.5])[1], alone[1])


def test_mixed_conditions_of_one_class_alone_are_that_class() -> None:
    """The rival: the embeddings are mixed, not the scores, which is another image."""
    score = FrozenScore(network(), 5.0, 0.01)  # type: ignore[arg-type]

    def mixed(weights: list[float]) -> torch.Tensor:
        ids = torch.tensor([[0, 1], [2, 1]])
        labels = MixedClasses(ids, torch.tensor([weights]).expand(2, 2))
        return made([score.conditioned_on(labels)], [1.0])

    first, second = (score.conditioned_on(torch.tensor(ids)) for ids in ([0, 2], [1, 1]))
    assert torch.equal(mixed([1.0, 0.0]), made([first], [1.0]))
    assert torch.equal(mixed([0.0, 1.0]), made([second], [1.0]))
    both = mixed([0.5, 0.5])
    assert not torch.allclose(both, made([first, second], [0.5, 0.5]), atol=1e-3)


def test_guidance_of_one_changes_nothing_and_more_leads_away_from_the_guide() -> None:
    net, weaker = network(), network(9)

    def score(weight: float, guide: FrozenScore | None) -> FrozenScore:
        return FrozenScore(net, 5.0, 0.01, guide=guide, guidance=weight)  # type: ignore[arg-type]

    def sampled(weight: float, guide: FrozenScore | None) -> torch.Tensor:
        both = [score(weight, guide).conditioned_on(torch.full((2,), id_)) for id_ in (0, 1)]
        return made(both, [0.5, 0.5])

    early = FrozenScore(weaker, 5.0, 0.01)  # type: ignore[arg-type]
    null = FrozenScore(net, 5.0, 0.01, always_null=True)  # type: ignore[arg-type]
    plain = sampled(1.0, None)
    assert torch.equal(sampled(1.0, early), plain) and torch.equal(sampled(1.0, null), plain)
    assert not torch.allclose(sampled(1.5, early), plain, atol=1e-4)
    assert not torch.allclose(sampled(1.5, null), sampled(1.5, early), atol=1e-4)


def test_a_guide_of_the_null_class_is_classifier_free_guidance() -> None:
    """sigma S(x | c) + (w - 1) (sigma S(x | c) - sigma S(x)), whichever class is asked for."""
    net = network()
    null = FrozenScore(net, 5.0, 0.01, always_null=True)  # type: ignore[arg-type]
    score = FrozenScore(net, 5.0, 0.01, guide=null, guidance=2.5)  # type: ignore[arg-type]
    x, labels = torch.rand(2, 1, 8, 8), torch.tensor([1, 0])
    given, none = score.conditioned_on(labels), FrozenScore(net, 5.0, 0.01)  # type: ignore[arg-type]
    with torch.no_grad():
        wanted = given(x, 0.3) + 1.5 * (given(x, 0.3) - none(x, 0.3))
        torch.testing.assert_close(given.guided(x, 0.3), wanted)
        composed_first = composed([given.guided], torch.ones(2, 1))(x, 0.3)
    assert torch.equal(composed_first, guided(given, none, 2.5)(x, 0.3))


def test_a_guide_without_a_class_is_evaluated_once_for_all_members() -> None:
    """Three evaluations of two classes instead of four, and the same bits."""
    net, calls = network(), []

    class Counting(FrozenScore):
        def __call__(self, x: torch.Tensor, sigma: float) -> torch.Tensor:
            calls.append(sigma)
            return super().__call__(x, sigma)

    def sampled(guides: list[FrozenScore]) -> torch.Tensor:
        members = zip(guides, (torch.tensor([0, 1]), torch.tensor([1, 2])), strict=True)
        both = [
            FrozenScore(net, 5.0, 0.01, guide=guide, guidance=2.0).conditioned_on(labels)  # type: ignore[arg-type]
            for guide, labels in members
        ]
        return made(both, [0.3, 0.7])

    def null() -> FrozenScore:
        return Counting(net, 5.0, 0.01, always_null=True)  # type: ignore[arg-type]

    apart = sampled([null(), null()])
    of_each, shared = len(calls), null()
    assert torch.equal(sampled([shared, shared]), apart)
    assert len(calls) - of_each == of_each // 2 == 11  # two at each of five steps, one at the end
