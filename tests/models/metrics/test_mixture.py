"""Distances of mixtures: against sets put together, closed forms, and no bias."""

import numpy as np
import pytest
from numpy.typing import NDArray

from scoremix.models.metrics.distances import Reference, frechet_distance, kernel_between
from scoremix.models.metrics.mixture import frechet_of_mixtures, kernel_of_mixtures

Floats = NDArray[np.float64]


def normal(seed: int, n: int, mean: float, spread: float = 1.0, dimensions: int = 3) -> Floats:
    vectors = np.random.default_rng(seed).normal(mean, spread, (n, dimensions))
    return np.asarray(vectors, dtype=np.float64)


def test_one_set_alone_is_that_set() -> None:
    a, b, reference = normal(1, 60, 0.0), normal(2, 50, 1.0), Reference(normal(3, 70, 0.2))
    shares = np.array([[1.0, 0.0], [0.0, 1.0]])
    assert np.allclose(
        kernel_of_mixtures([a, b], shares, reference), [reference.kernel(a), reference.kernel(b)]
    )
    assert np.allclose(
        frechet_of_mixtures([a, b], shares, reference),
        [reference.frechet(a), reference.frechet(b)],
    )


def test_the_frechet_distance_is_that_of_the_sets_put_together() -> None:
    # Moments over n - 1: with every image many times over, that is n.
    a, b, reference = normal(1, 400, 0.0), normal(2, 400, 2.0, 0.5), Reference(normal(3, 500, 1.0))
    together = np.concatenate([a, a, a, b])
    found = frechet_of_mixtures([a, b], np.array([[0.75, 0.25]]), reference)
    assert found[0] == pytest.approx(frechet_distance(together, reference.vectors), rel=5e-3)


def test_the_frechet_distance_of_two_far_points_is_the_closed_form() -> None:
    # Shares p and 1 - p of two tight sets a distance apart: variance p (1 - p) apart^2.
    a, b = normal(1, 500, 0.0, 1e-6, 1), normal(2, 500, 4.0, 1e-6, 1)
    reference = Reference(normal(3, 200, 0.0, 1.0, 1))
    mean, spread = reference.vectors.mean(), reference.vectors.std(ddof=1)
    share = np.array([0.0, 0.25, 0.5])
    wanted = (4 * share - mean) ** 2 + (4 * np.sqrt(share * (1 - share)) - spread) ** 2
    found = frechet_of_mixtures([a, b], np.stack([1 - share, share], axis=1), reference)
    assert np.allclose(found, wanted, atol=1e-3)


def test_the_kernel_distance_is_unbiased() -> None:
    found = []
    for seed in range(60):
        parts = [normal(3 * seed + 1, 40, 0.0), normal(3 * seed + 2, 40, 1.5)]
        mixed = np.random.default_rng(seed).random(80) < 0.3
        whole = np.where(mixed[:, None], normal(500 + seed, 80, 1.5), normal(900 + seed, 80, 0.0))
        found.append(kernel_of_mixtures(parts, np.array([[0.7, 0.3]]), Reference(whole))[0])
    error = np.std(found) / np.sqrt(len(found))
    assert abs(np.mean(found)) < 3 * error
    a, b = normal(1, 4000, 0.0), normal(2, 4000, 1.5)
    assert error < 0.2 * (kernel_between(b, b) - kernel_between(a, b))[0]  # it could have failed


def test_of_a_finite_corpus_repeating_images_changes_nothing() -> None:
    """And it is the mean over all pairs, an image with itself among them."""
    x, reference = normal(1, 40, 0.3), Reference(normal(2, 70, 0.0))
    ratios = np.arange(4.0)
    shares = np.stack([1 / (1 + ratios), ratios / (1 + ratios)], axis=1)
    counts = 40 * (1 + ratios)[:, None] * shares
    # One round of copies is a sample of two or three: pairs of one parent come across rounds.
    found = [
        kernel_of_mixtures([x, np.tile(x, (int(ratio), 1))], share[None], reference, count[None])
        for ratio, share, count in zip(ratios[1:], shares[1:], counts[1:], strict=True)
    ]
    every = float(kernel_between(x, x)[0] - 2 * kernel_between(x, reference.vectors)[0])
    assert np.allclose(np.concatenate(found), every + reference.within)
    alone = kernel_of_mixtures([x, x], np.array([[1.0, 0.0]]), reference, np.array([[40.0, 0.0]]))
    assert np.allclose(alone, every + reference.within)
    assert every + reference.within > reference.kernel(x) + 0.01  # few images are no distribution


@pytest.mark.parametrize("shares", [[[0.5, 0.4]], [[1.5, -0.5]], [[1.0]]])
def test_shares_that_are_none(shares: list[list[float]]) -> None:
    sets = [normal(1, 10, 0.0), normal(2, 10, 1.0)]
    for distance in (kernel_of_mixtures, frechet_of_mixtures):
        with pytest.raises(ValueError, match="sum to 1"):
            distance(sets, np.array(shares), Reference(sets[0]))
