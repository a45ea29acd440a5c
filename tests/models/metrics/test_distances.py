"""Frechet and kernel distance against closed forms, and the interval against the truth."""

import numpy as np
import pytest
from numpy.typing import NDArray

from scoremix.models.metrics.distances import (
    Moments,
    Reference,
    compare,
    frechet_between,
    frechet_distance,
    is_biased,
    kernel_between,
    kernel_distance,
    kernel_within,
    moments,
)

Floats = NDArray[np.float64]


def gaussian(seed: int, n: int, dimensions: int, scale: float = 1.0, shift: float = 0.0) -> Floats:
    return np.random.default_rng(seed).normal(shift, scale, (n, dimensions))


def cubic_truth(a: float, b: float, dimensions: int) -> float:
    """MMD^2 of N(0, a I) and N(0, b I): E k = 1 + 3 a b / D, odd moments vanish."""
    return 3.0 * (a - b) ** 2 / dimensions


def test_frechet_of_known_moments() -> None:
    """N(0, diag(s^2)) and N(m, diag(t^2)): |m|^2 + sum (s - t)^2."""
    s, t, m = np.array([1.0, 2.0, 0.5]), np.array([3.0, 2.0, 1.0]), np.array([0.0, 1.0, -2.0])
    found = frechet_between(Moments(np.zeros(3), np.diag(s)), Moments(m, np.diag(t)))
    assert found == pytest.approx(np.sum(m**2) + np.sum((s - t) ** 2), rel=1e-12)


def test_frechet_does_not_depend_on_which_factor_of_the_covariance() -> None:
    rotation = np.linalg.qr(gaussian(0, 3, 3))[0]
    s, t = np.diag([1.0, 2.0, 0.5]), np.diag([3.0, 0.1, 1.0]) @ np.linalg.qr(gaussian(1, 3, 3))[0]
    plain = frechet_between(Moments(np.zeros(3), s), Moments(np.zeros(3), t))
    turned = frechet_between(Moments(np.zeros(3), rotation @ s), Moments(np.zeros(3), t))
    assert turned == pytest.approx(plain, rel=1e-12)


def test_frechet_of_samples_nears_that_of_their_gaussians() -> None:
    a, b = gaussian(0, 40_000, 4), gaussian(1, 40_000, 4, scale=2.0, shift=0.5)
    assert frechet_distance(a, b) == pytest.approx(4 * 0.5**2 + 4 * (2.0 - 1.0) ** 2, rel=0.02)


@pytest.mark.parametrize("n", [5, 60])  # fewer and more images than dimensions
def test_frechet_of_a_set_with_itself_is_zero(n: int) -> None:
    a = gaussian(0, n, 12)
    assert frechet_distance(a, a) == pytest.approx(0.0, abs=1e-10)


@pytest.mark.parametrize("sizes", [(200, 300), (7, 300), (7, 5)])
def test_frechet_agrees_with_the_matrix_square_root(sizes: tuple[int, int]) -> None:
    linalg = pytest.importorskip("scipy.linalg")
    a, b = gaussian(0, sizes[0], 10) ** 3, gaussian(1, sizes[1], 10) * np.arange(1, 11)
    c1, c2 = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    # Regularised: the square root of a singular product is where the usual form breaks down.
    root = linalg.sqrtm((c1 + 1e-12 * np.eye(10)) @ (c2 + 1e-12 * np.eye(10))).real
    offset = np.sum((a.mean(axis=0) - b.mean(axis=0)) ** 2)
    usual = offset + np.trace(c1) + np.trace(c2) - 2 * np.trace(root)
    assert frechet_distance(a, b) == pytest.approx(usual, rel=1e-4)


def test_moments_factor_gives_the_covariance() -> None:
    for n in (6, 50):
        a = gaussian(0, n, 8)
        found = moments(a)
        assert len(found.factor) <= 8
        np.testing.assert_allclose(found.factor.T @ found.factor, np.cov(a, rowvar=False))


def test_frechet_bias_is_flagged_by_images_per_dimension() -> None:
    assert is_biased(999, 5000, 200)
    assert not is_biased(1000, 5000, 200)
    assert is_biased(5000, 40, 32)


def naive_mmd(a: Floats, b: Floats) -> float:
    def k(x: Floats, y: Floats) -> float:
        return float((x @ y / len(x) + 1.0) ** 3)

    n, m = len(a), len(b)
    aa = sum(k(a[i], a[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    bb = sum(k(b[i], b[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    return aa + bb - 2 * sum(k(x, y) for x in a for y in b) / (n * m)


def test_kernel_distance_equals_the_double_loop() -> None:
    a, b = gaussian(0, 9, 5), gaussian(1, 7, 5, scale=2.0, shift=1.0)
    assert kernel_distance(a, b) == pytest.approx(naive_mmd(a, b), rel=1e-12)
    assert Reference(b).kernel(a) == pytest.approx(kernel_distance(a, b), rel=1e-12)


def test_kernel_sums_do_not_depend_on_the_block(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = gaussian(0, 50, 5), gaussian(1, 41, 5, shift=0.3)
    whole = kernel_distance(a, b)
    monkeypatch.setitem(kernel_within.__globals__, "_BLOCK", 7)
    assert kernel_distance(a, b) == pytest.approx(whole, rel=1e-12)


def test_kernel_distance_is_unbiased_around_zero() -> None:
    found = [
        kernel_distance(gaussian(seed, 30, 4), gaussian(1000 + seed, 40, 4)) for seed in range(300)
    ]
    error = np.std(found) / np.sqrt(len(found))
    assert abs(np.mean(found)) < 3 * error
    assert min(found) < 0


def test_kernel_distance_averages_to_the_closed_form() -> None:
    a, b = 0.5, 2.0
    found = [
        kernel_distance(
            gaussian(seed, 60, 4, scale=a**0.5), gaussian(1000 + seed, 60, 4, scale=b**0.5)
        )
        for seed in range(300)
    ]
    error = np.std(found) / np.sqrt(len(found))
    assert abs(np.mean(found) - cubic_truth(a, b, 4)) < 3 * error


def test_a_resample_never_pairs_an_image_with_its_own_copy() -> None:
    """Weights say what the loop over the resample says when it leaves out equal indices."""
    x = gaussian(0, 6, 3)
    drawn = [0, 0, 0, 2, 3, 5]
    weights = np.bincount(drawn, minlength=6).astype(np.float64)[None]
    pairs = [(x[i] @ x[j] / 3 + 1) ** 3 for i in drawn for j in drawn if i != j]
    assert kernel_within(x, weights)[0] == pytest.approx(np.mean(pairs), rel=1e-12)


def test_weights_of_a_cross_mean_are_multiplicities() -> None:
    x, y = gaussian(0, 4, 3), gaussian(1, 5, 3)
    w, v = np.array([[2.0, 0, 1, 1]]), np.array([[0.0, 3, 1, 0, 1]])
    drawn = kernel_between(np.repeat(x, w[0].astype(int), 0), np.repeat(y, v[0].astype(int), 0))
    assert kernel_between(x, y, w, v)[0] == pytest.approx(drawn[0], rel=1e-12)


def test_interval_covers_the_truth() -> None:
    """Mixup is N(0, .3 I), final N(0, .7 I), real images N(0, I), in four dimensions."""
    truth = cubic_truth(0.7, 1.0, 4) - cubic_truth(0.3, 1.0, 4)
    covered = 0
    for seed in range(60):
        common = gaussian(seed, 120, 4)
        mixup, final = 0.3**0.5 * common, 0.7**0.5 * common
        reference = gaussian(500 + seed, 150, 4)
        low, high = compare(reference, mixup, final, seed, frechet=False).kd_interval
        covered += low <= truth <= high
    assert covered >= 51  # 95 % of 60 is 57; fewer than 51 has probability 0.002


def test_comparison_is_paired_and_repeatable() -> None:
    reference, mixup = gaussian(0, 200, 6), gaussian(1, 150, 6, scale=0.5)
    final = mixup * 1.5
    once, again = (compare(reference, mixup, final, seed=7) for _ in range(2))
    assert once == again  # one computation made twice: equal to the last bit
    assert once != compare(reference, mixup, final, seed=8)
    # Weighted sums against plain ones: another order of summation, so another last digit.
    assert once.kd_before == pytest.approx(kernel_distance(mixup, reference), rel=1e-12)
    assert once.fd_after == pytest.approx(frechet_distance(final, reference), rel=1e-9)
    assert once.kd_interval[0] < once.kd_difference < once.kd_interval[1] < 0
    assert once.fd_interval is not None and once.fd_interval[1] < 0
    shuffled = compare(reference, mixup, final[::-1], seed=7)  # the same sets, no longer paired
    assert np.ptp(shuffled.kd_interval) > np.ptp(once.kd_interval)


def test_equal_sets_differ_by_nothing() -> None:
    mixup = gaussian(1, 80, 6)
    found = compare(gaussian(0, 90, 6), mixup, mixup, seed=0)
    assert found.kd_interval == (0.0, 0.0)
    assert found.fd_interval == (0.0, 0.0)


def test_frechet_is_not_resampled_in_many_dimensions() -> None:
    mixup = gaussian(1, 80, 65)
    found = compare(gaussian(0, 90, 65), mixup, 0.9 * mixup, seed=0)
    assert found.fd_interval is None
    assert found.fd_biased


def test_what_cannot_be_compared_is_refused() -> None:
    reference = gaussian(0, 20, 3)
    with pytest.raises(ValueError, match="two or more"):
        kernel_distance(gaussian(0, 1, 3), reference)
    with pytest.raises(ValueError, match="paired"):
        compare(reference, gaussian(1, 5, 3), gaussian(1, 6, 3), seed=0)
    with pytest.raises(ValueError, match="finite"):
        frechet_distance(np.full((3, 3), np.nan), reference)


def test_resampled_frechet_is_the_frechet_distance_of_the_resample() -> None:
    reference, mixup = gaussian(0, 40, 3), gaussian(1, 30, 3, scale=0.5)
    final = 1.5 * mixup + 0.1
    random = np.random.default_rng(5)  # as `compare` draws: rows first, then reference images
    rows = random.multinomial(30, np.full(30, 1 / 30), size=50)
    images = random.multinomial(40, np.full(40, 1 / 40), size=50)
    differences = []
    for row, image in zip(rows, images, strict=True):
        target = np.repeat(reference, image, axis=0)
        before, after = (np.repeat(x, row, axis=0) for x in (mixup, final))
        differences.append(frechet_distance(after, target) - frechet_distance(before, target))
    expected = np.percentile(differences, (2.5, 97.5))
    found = compare(reference, mixup, final, seed=5, resamples=50).fd_interval
    np.testing.assert_allclose(found, expected, rtol=1e-9)
