"""Verification against closed forms: Gaussian scores, ties, perfect and random embeddings."""

from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scoremix.models.metrics.verification import (
    Pairs,
    class_intervals,
    cosine_scores,
    draw_pairs,
    equal_error_rate,
    roc_points,
    tar_at_far,
    tar_on_grid,
)

NORMAL = NormalDist()


def gaussian(apart: float, count: int = 200_000) -> tuple[np.ndarray, np.ndarray]:
    """Genuine ~ N(apart, 1) and impostor ~ N(0, 1), as exact quantiles: no sampling error."""
    places = (np.arange(count) + 0.5) / count
    base = np.array([NORMAL.inv_cdf(p) for p in places])
    return base + apart, base


@pytest.mark.parametrize("apart", [0.0, 1.0, 3.0])
def test_gaussian_scores_have_the_figures_of_theory(apart: float) -> None:
    genuine, impostor = gaussian(apart)
    eer = equal_error_rate(*roc_points(genuine, impostor))
    assert eer == pytest.approx(NORMAL.cdf(-apart / 2), abs=1e-4)
    for far in (1e-1, 1e-2, 1e-3):
        expected = 1 - NORMAL.cdf(NORMAL.inv_cdf(1 - far) - apart)
        assert tar_at_far(genuine, impostor, far) == pytest.approx(expected, abs=5e-4)


def test_perfect_and_useless_scores() -> None:
    ones, zeros = np.ones(50), np.zeros(2000)
    assert tar_at_far(ones, zeros, 1e-2) == 1.0
    assert equal_error_rate(*roc_points(ones, zeros)) == 0.0
    assert equal_error_rate(*roc_points(zeros, ones)) == 1.0
    # All equal: a guess errs in half of the cases, and no threshold accepts only a few.
    assert equal_error_rate(*roc_points(np.zeros(7), zeros)) == 0.5
    assert tar_at_far(np.zeros(7), zeros, 1e-2) == 0.0


def test_ties_at_the_threshold_are_not_accepted() -> None:
    """20 of 1,000 impostors score 5: at a FAR of 1 % the threshold is 5, not a part of the tie."""
    impostor = np.concatenate([np.full(20, 5.0), np.zeros(980)])
    assert tar_at_far(np.array([5.0, 5.0, 6.0, 4.0]), impostor, 0.01) == 0.25
    assert tar_at_far(np.array([5.0, 5.0, 6.0, 4.0]), impostor, 0.02) == 1.0


@pytest.mark.parametrize(("count", "far"), [(9_999, 1e-3), (999, 1e-2), (100, 0.0), (100, 1.0)])
def test_a_far_with_too_few_impostor_pairs_is_refused(count: int, far: float) -> None:
    with pytest.raises(ValueError, match="impostor pairs"):
        tar_at_far(np.ones(5), np.zeros(count), far)
    if 0 < far < 1:
        assert tar_at_far(np.ones(5), np.zeros(count + 1), far) == 1.0


def test_scores_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        roc_points(np.array([1.0, np.nan]), np.zeros(5))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 5), min_size=1, max_size=30),
    st.lists(st.integers(0, 5), min_size=1, max_size=30),
)
def test_the_curve_is_what_counting_gives(genuine: list[int], impostor: list[int]) -> None:
    """Brute force over every threshold, many ties; the EER lies between its neighbours."""
    good, bad = np.array(genuine, float), np.array(impostor, float)
    far, tar = roc_points(good, bad)
    levels = sorted({*genuine, *impostor}, reverse=True)
    expected = [(0.0, 0.0)] + [(np.mean(bad >= t), np.mean(good >= t)) for t in levels]
    np.testing.assert_allclose(np.stack([far, tar], axis=1), expected)
    # Along the curve FAR rises and 1 - TAR falls: find their crossing by halving.
    steps = np.arange(len(far))
    low, high = 0.0, float(len(far) - 1)
    for _ in range(60):
        middle = (low + high) / 2
        crossed = np.interp(middle, steps, far) >= 1 - np.interp(middle, steps, tar)
        low, high = (low, middle) if crossed else (middle, high)
    assert equal_error_rate(far, tar) == pytest.approx(np.interp(high, steps, far), abs=1e-9)
    grid = [0.0, 0.3, 1.0]
    by_hand = [max(t for f, t in expected if f <= limit + 1e-12) for limit in grid]
    np.testing.assert_allclose(tar_on_grid(far, tar, grid), by_hand)


def test_all_pairs_or_a_seeded_sample() -> None:
    labels = np.repeat(np.arange(6), 5)
    whole = draw_pairs(labels, 10_000, np.random.default_rng(0))
    assert len(whole.first) == 30 * 29 // 2 and whole.genuine.sum() == 6 * 10
    assert whole.impostors == 435 - 60
    for most in (200, 100):
        some = draw_pairs(labels, most, np.random.default_rng(1))
        again = draw_pairs(labels, most, np.random.default_rng(1))
        assert np.array_equal(some.first, again.first) and len(some.first) == most
        assert some.genuine.sum() == min(60, most // 2)
        np.testing.assert_array_equal(some.genuine, labels[some.first] == labels[some.second])
        assert (some.first < some.second).all()
        assert len({*zip(some.first.tolist(), some.second.tolist(), strict=True)}) == most


def test_a_sample_never_asks_for_more_impostors_than_there_are() -> None:
    labels = np.concatenate([np.zeros(40, np.int64), np.ones(1, np.int64)])
    some = draw_pairs(labels, 800, np.random.default_rng(0))
    assert some.impostors == 40


@pytest.mark.parametrize("labels", [[1, 1, 1], [1, 2, 3]])
def test_labels_without_both_kinds_of_pairs_are_refused(labels: list[int]) -> None:
    with pytest.raises(ValueError, match="two classes"):
        draw_pairs(np.array(labels), 100, np.random.default_rng(0))


def test_scores_are_cosines() -> None:
    embeddings = np.array([[3.0, 0.0], [1.0, 1.0], [0.0, 2.0], [0.0, 0.0]])
    pairs = Pairs(np.array([0, 0, 2]), np.array([1, 2, 3]), np.zeros(3, bool))
    np.testing.assert_allclose(cosine_scores(embeddings, pairs), [2**-0.5, 0, 0], atol=1e-15)


def clustered(classes: int, apart: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    centres = random.normal(size=(classes, 8)) * apart
    labels = np.repeat(np.arange(classes), 6)
    return centres[labels] + random.normal(size=(len(labels), 8)), labels


def test_intervals_over_classes_hold_the_truth_where_intervals_over_pairs_would_not() -> None:
    """Over 40 draws of 12 classes, against the EER of 400 classes."""

    def eer_of(embeddings: np.ndarray, labels: np.ndarray) -> tuple[float, np.ndarray, Pairs]:
        pairs = draw_pairs(labels, 400_000, np.random.default_rng(0))
        scores = cosine_scores(embeddings, pairs)
        curve = roc_points(scores[pairs.genuine], scores[~pairs.genuine])
        return equal_error_rate(*curve), scores, pairs

    truth, _, _ = eer_of(*clustered(400, 1.0, seed=99))
    inside = []
    for seed in range(40):
        embeddings, labels = clustered(12, 1.0, seed)
        eer, scores, pairs = eer_of(embeddings, labels)
        random = np.random.default_rng(seed)
        found = class_intervals(scores, pairs, labels, [0.1], 100, random)
        low, high = found.eer
        assert low < eer < high and found.tar[0.1][0] < found.tar[0.1][1]
        inside.append(low <= truth <= high)
    assert np.mean(inside) >= 0.8  # nominally .95, of so few classes somewhat less


def test_intervals_of_perfect_embeddings_are_points() -> None:
    labels = np.repeat(np.arange(5), 4)
    pairs = draw_pairs(labels, 1000, np.random.default_rng(0))
    scores = cosine_scores(np.eye(5)[labels], pairs)
    found = class_intervals(scores, pairs, labels, [0.1], 20, np.random.default_rng(0))
    assert found.eer == (0.0, 0.0) and found.tar == {0.1: (1.0, 1.0)}
