"""Precision, recall, density, coverage: the double loop, plain-word cases, and theory."""

import numpy as np
import pytest
from numpy.typing import NDArray

from scoremix.models.metrics.prdc import expected_coverage, prdc

Floats = NDArray[np.float64]


def gaussian(seed: int, n: int, dimensions: int = 8, scale: float = 1.0) -> Floats:
    return np.random.default_rng(seed).normal(0.0, scale, (n, dimensions))


def by_the_definition(real: Floats, fake: Floats, k: int) -> dict[str, float]:
    """As the papers write it: every distance, every ball."""

    def distances(a: Floats, b: Floats) -> Floats:
        return np.array([[np.linalg.norm(x - y) for y in b] for x in a])

    real_radii = np.sort(distances(real, real), axis=1)[:, k]  # place 0 is the image itself
    fake_radii = np.sort(distances(fake, fake), axis=1)[:, k]
    between = distances(real, fake)
    in_real = between < real_radii[:, None]
    return {
        "precision": in_real.any(axis=0).mean(),
        "recall": (between < fake_radii).any(axis=1).mean(),
        "density": in_real.sum(axis=0).mean() / k,
        "coverage": (between.min(axis=1) < real_radii).mean(),
    }


@pytest.mark.parametrize("k", [1, 3, 5])
def test_as_defined(k: int) -> None:
    real, fake = gaussian(0, 60), gaussian(1, 45, scale=0.8) + 0.3
    found = vars(prdc(real, fake, k))
    truth = by_the_definition(real, fake, k)
    assert {name: found[name] for name in truth} == pytest.approx(truth, rel=1e-12)
    assert (found["k"], found["real_n"], found["fake_n"]) == (k, 60, 45)


def test_tight_inside_wide_is_precise_and_forgets_most() -> None:
    found = prdc(gaussian(0, 500), gaussian(1, 500, scale=0.2))
    assert found.precision > 0.99
    assert found.recall < 0.05
    assert found.density > 2.0  # in the thick of the real ones
    assert found.coverage < 0.5


def test_wide_around_tight_is_imprecise_and_forgets_nothing() -> None:
    found = prdc(gaussian(0, 500, scale=0.2), gaussian(1, 500))
    assert found.precision < 0.05
    assert found.recall > 0.99


def test_elsewhere_is_nothing_at_all() -> None:
    found = prdc(gaussian(0, 100), gaussian(1, 100) + 50.0)
    assert (found.precision, found.recall, found.density, found.coverage) == (0, 0, 0, 0)


def test_one_mode_of_two_is_precise_and_covers_half() -> None:
    real = np.concatenate([gaussian(0, 200), gaussian(1, 200) + 20.0])
    found = prdc(real, gaussian(2, 400))
    assert found.precision > 0.8
    assert 0.3 < found.recall < 0.51
    assert 0.45 < found.coverage < 0.51


def test_copies_are_perfect_which_is_why_copying_is_a_metric_of_its_own() -> None:
    real = gaussian(0, 80)
    found = prdc(real, real.copy())
    assert (found.precision, found.recall, found.coverage) == (1, 1, 1)


@pytest.mark.parametrize(("n", "m", "k"), [(60, 60, 5), (40, 90, 3), (90, 30, 5)])
def test_equal_distributions_are_covered_as_theory_says(n: int, m: int, k: int) -> None:
    """Free of the distribution; and the density's mean is 1."""
    found = [prdc(gaussian(2 * s, n, 3), gaussian(2 * s + 1, m, 3), k) for s in range(120)]
    for name, truth in (("coverage", expected_coverage(n, m, k)), ("density", 1.0)):
        values = [getattr(each, name) for each in found]
        error = np.std(values) / np.sqrt(len(values))
        assert abs(np.mean(values) - truth) < 3.5 * error, name


def test_too_few_images_are_refused() -> None:
    with pytest.raises(ValueError, match="more than 5 images, but there are 5 fake ones"):
        prdc(gaussian(0, 20), gaussian(1, 5))
