"""Identification: perfect, random and constant embeddings, whose shares are known."""

import numpy as np
import pytest

from scoremix.models.metrics.identification import one_shot, rank_one

LABELS = np.repeat(np.arange(25), 4)


def test_perfect_embeddings_are_always_right() -> None:
    perfect = np.eye(25)[LABELS]
    assert rank_one(perfect, LABELS) == 1.0
    assert one_shot(perfect, LABELS, 20, np.random.default_rng(0)) == 1.0


def test_constant_embeddings_are_as_right_as_guesses() -> None:
    constant = np.ones((100, 3))
    assert rank_one(constant, LABELS) == pytest.approx(3 / 99)
    assert one_shot(constant, LABELS, 7, np.random.default_rng(0)) == pytest.approx(1 / 20)


def test_random_embeddings_are_as_right_as_guesses_on_average() -> None:
    random = np.random.default_rng(4)
    sets = [random.normal(size=(100, 16)) for _ in range(60)]
    found = [one_shot(noise, LABELS, 30, random) for noise in sets]
    assert np.mean(found) == pytest.approx(1 / 20, abs=0.005)
    ranks = [rank_one(noise, LABELS) for noise in sets]
    assert np.mean(ranks) == pytest.approx(3 / 99, abs=0.012)


def test_rank_one_by_hand() -> None:
    """Angles on a circle: 0 and 10 degrees of class a, 12 and 90 of b, 200 alone in c."""
    angles = np.radians([0, 10, 12, 90, 200])
    points = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    # 0 -> 10 right; 10 -> 12 wrong; 12 -> 10 wrong; 90 -> 12 right; 200 is no probe.
    assert rank_one(points, np.array([0, 0, 1, 1, 2])) == 0.5


def test_episodes_are_seeded() -> None:
    noise = np.random.default_rng(1).normal(size=(100, 4))
    found = [one_shot(noise, LABELS, 5, np.random.default_rng(seed)) for seed in (3, 3, 4)]
    assert found[0] == found[1] != found[2]


def test_too_few_classes_are_refused() -> None:
    with pytest.raises(ValueError, match="20 classes with two images; found 4"):
        one_shot(np.ones((10, 2)), np.array([0, 0, 1, 1, 2, 2, 3, 3, 4, 5]), 1,
                 np.random.default_rng(0))  # fmt: skip
    with pytest.raises(ValueError, match="two images"):
        rank_one(np.ones((3, 2)), np.arange(3))
