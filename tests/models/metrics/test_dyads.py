"""The interval over other draws of training images: against draws of them, and special cases."""

import numpy as np
import pytest
from numpy.typing import NDArray

from scoremix.models.metrics.distances import Reference, compare, kernel_distance
from scoremix.models.metrics.dyads import interval_with_parents

Floats = NDArray[np.float64]

ROWS, PARENTS, HELD_OUT = 150, 40, 120


def drawn(seed: int) -> tuple[Reference, Floats, Floats, NDArray[np.int64]]:
    """Mixtures of few parents, and the same moved in a way that each parent has of its own."""
    random = np.random.default_rng(seed)
    parents, shifts = random.normal(size=(PARENTS, 2)), 0.4 * random.normal(size=(PARENTS, 2))
    pairs = random.integers(0, PARENTS, (ROWS, 2))
    weights = random.uniform(0.2, 0.8, (ROWS, 1))
    before = weights * parents[pairs[:, 0]] + (1 - weights) * parents[pairs[:, 1]]
    after = before + 0.5 + shifts[pairs[:, 0]] + shifts[pairs[:, 1]]
    return Reference(random.normal(size=(HELD_OUT, 2))), before, after, pairs


def width(interval: tuple[float, float]) -> float:
    return interval[1] - interval[0]


def test_it_is_as_wide_as_draws_of_parents_scatter() -> None:
    differences, wide, narrow = [], [], []
    for seed in range(80):
        reference, before, after, pairs = drawn(seed)
        differences.append(reference.kernel(after) - reference.kernel(before))
        wide.append(width(interval_with_parents(reference, before, after, pairs)))
        if seed < 10:
            narrow.append(width(compare(reference, before, after, 0).kd_interval))
    scatter = 2 * 1.96 * np.std(differences)
    assert np.mean(wide) == pytest.approx(scatter, rel=0.25)
    assert np.mean(narrow) < 0.7 * scatter  # it could have failed


def test_rows_without_a_common_parent_are_independent() -> None:
    reference, before, after, _ = drawn(1)
    pairs = np.arange(2 * ROWS).reshape(ROWS, 2)
    found = interval_with_parents(reference, before, after, pairs)
    resampled = compare(reference, before, after, 0, resamples=2000).kd_interval
    assert width(found) == pytest.approx(width(resampled), rel=0.1)
    middle = kernel_distance(after, reference.vectors) - kernel_distance(before, reference.vectors)
    assert np.mean(found) == pytest.approx(middle)


def test_names_and_order_of_parents_do_not_matter() -> None:
    reference, before, after, pairs = drawn(2)
    found = interval_with_parents(reference, before, after, pairs)
    assert interval_with_parents(reference, before, after, pairs[:, ::-1]) == pytest.approx(found)
    assert interval_with_parents(reference, before, after, 7 * pairs + 3) == pytest.approx(found)


def test_a_row_twice_has_both_parents_in_common() -> None:
    """Every row twice, with one pair of parents: the variance of half as many."""
    reference, before, after, _ = drawn(3)
    pairs = np.arange(2 * ROWS).reshape(ROWS, 2)
    once = interval_with_parents(reference, before, after, pairs)
    twice = interval_with_parents(
        reference, *(np.concatenate([x, x]) for x in (before, after, pairs))
    )
    assert width(twice) == pytest.approx(width(once), rel=0.02)


def test_unpaired_sets_are_refused() -> None:
    reference, before, after, pairs = drawn(4)
    with pytest.raises(ValueError, match="are needed"):
        interval_with_parents(reference, before, after[:-1], pairs)
    with pytest.raises(ValueError, match="are needed"):
        interval_with_parents(reference, before, after, pairs[:-1])
