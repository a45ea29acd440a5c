"""Student's distribution against its closed forms and scipy; Holm's rule by hand and by chance."""

import math

import numpy as np
import pytest

from scoremix.models.metrics.paired_seeds import holm, student_quantile, two_sided_p


@pytest.mark.parametrize("t", [0.0, 0.3, 1.0, 2.5, -2.5, 30.0])
def test_one_and_two_degrees_of_freedom(t: float) -> None:
    """Cauchy's distribution, and t / sqrt(2 + t^2)."""
    assert two_sided_p(t, 1) == pytest.approx(1 - 2 / math.pi * math.atan(abs(t)), abs=1e-12)
    assert two_sided_p(t, 2) == pytest.approx(1 - abs(t) / math.sqrt(2 + t * t), abs=1e-12)


@pytest.mark.parametrize(
    ("freedom", "wanted"), [(1, 12.706), (2, 4.303), (4, 2.776), (9, 2.262), (29, 2.045)]
)
def test_quantiles_are_those_of_the_tables(freedom: int, wanted: float) -> None:
    assert student_quantile(0.95, freedom) == pytest.approx(wanted, abs=5e-4)


def test_it_agrees_with_scipy() -> None:
    stats = pytest.importorskip("scipy.stats", reason="scipy is not installed")
    for freedom in (1, 2, 3, 4, 7, 12, 99, 500):
        for t in (0.01, 0.7, 2.0, 5.5):
            assert two_sided_p(t, freedom) == pytest.approx(2 * stats.t.sf(t, freedom), abs=1e-10)


def test_a_difference_without_spread() -> None:
    assert two_sided_p(math.inf, 3) == 0.0 and two_sided_p(0.0, 3) == 1.0


def test_holm_compares_the_least_with_the_strictest_level() -> None:
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03}) == {"a"}  # .03 > .05 / 2
    assert holm({"a": 0.01, "b": 0.04, "c": 0.02}) == {"a", "b", "c"}
    assert holm({"a": 0.02, "b": 0.04, "c": 0.03}) == set()  # .02 > .05 / 3
    assert holm({"a": 0.05}) == {"a"} and holm({}) == set()


def test_arms_without_any_difference_are_rarely_called_clear() -> None:
    """In one of twenty trials of eight such arms; one arm by itself in a third of them."""
    random = np.random.default_rng(0)
    together, alone = 0, 0
    for _ in range(1000):
        arms = random.standard_normal((8, 5)) - random.standard_normal(5)
        t = arms.mean(axis=1) / (arms.std(axis=1, ddof=1) / math.sqrt(5))
        p = {place: two_sided_p(each, 4) for place, each in enumerate(t)}
        together += bool(holm(p))
        alone += min(p.values()) <= 0.05
    assert together <= 70 and alone >= 150
