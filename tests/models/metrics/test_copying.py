"""Copies and C_T on constructed sets and against theory; on real pictures: test_sensitivity."""

import itertools
import math

import numpy as np
import pytest
from numpy.typing import NDArray

from scoremix.models.metrics.copying import (
    COPY,
    Copies,
    copying_test,
    find_copies,
    judge_copying,
    mann_whitney_z,
    median_ratio,
    training_spacing,
)

Floats = NDArray[np.float64]


def gaussian(seed: int, n: int, dimensions: int = 12, scale: float = 1.0) -> Floats:
    return np.random.default_rng(seed).normal(0.0, scale, (n, dimensions))


def mixtures(training: Floats, n: int, low: float, high: float) -> Floats:
    """Of two different images; folded lambda between low and high."""
    random = np.random.default_rng(5)
    one = random.integers(0, len(training), n)
    two = (one + random.integers(1, len(training), n)) % len(training)
    weight = random.uniform(low, high, (n, 1))
    return (1 - weight) * training[one] + weight * training[two]


TRAINING, HELD_OUT = gaussian(0, 400), gaussian(1, 200)


def test_exact_copies_are_copying() -> None:
    found = find_copies(TRAINING[100:300], TRAINING)
    assert found.share == 1.0
    np.testing.assert_array_equal(found.rows, np.arange(100, 300))
    verdict = judge_copying(found, find_copies(HELD_OUT, TRAINING))
    assert verdict.kind == "copying"
    assert verdict.text.startswith("COPYING: 200 of 200 images (100.0%) are copies")


def test_held_out_images_are_not_copying() -> None:
    made = find_copies(gaussian(2, 300), TRAINING, training_spacing(TRAINING))
    verdict = judge_copying(made, find_copies(HELD_OUT, TRAINING))
    assert verdict.kind == "not copying"
    assert verdict.text.startswith("No copying: 0 of 300 images (0.0%)")
    assert verdict.text.endswith("; of 200 held-out images 0 are.")


def test_a_healthy_mixup_corpus_is_not_copying_though_half_its_lambdas_are_small() -> None:
    """58 % of Beta(.2, .2) lies within .05 of an end: those are copies, the rest never."""
    held_out = find_copies(HELD_OUT, TRAINING)
    light = find_copies(mixtures(TRAINING, 300, 0.0, 0.05), TRAINING)
    heavy = find_copies(mixtures(TRAINING, 300, 0.1, 0.5), TRAINING)
    assert judge_copying(light, held_out).kind == "copying"
    assert heavy.count == 0
    assert judge_copying(heavy, held_out).kind == "not copying"


@pytest.mark.parametrize("dimensions", [2, 12, 100])
def test_no_mixture_from_a_tenth_up_is_a_copy_of_its_parents(dimensions: int) -> None:
    training = gaussian(3, 60, dimensions)
    own = training_spacing(training)
    for one, two in itertools.permutations(range(60), 2):
        image = 0.9 * training[one] + (0.1 + 1e-9) * training[two]
        assert np.linalg.norm(image - training[one]) >= COPY * own[one] * (1 - 1e-6)


def test_a_tenth_of_copies_among_good_images_is_seen() -> None:
    corpus = np.concatenate([gaussian(2, 270), TRAINING[:30]])
    found = find_copies(corpus, TRAINING)
    assert found.count == 30
    assert judge_copying(found, find_copies(HELD_OUT, TRAINING)).kind == "copying"
    one = find_copies(np.concatenate([corpus[:270], TRAINING[:1]]), TRAINING)  # may be by chance
    assert judge_copying(one, find_copies(HELD_OUT, TRAINING)).kind == "not copying"


def test_what_held_out_images_have_by_chance_is_let_pass() -> None:
    """A burst of photographs: one in ten held-out images is nearly a training image, too."""
    twins = np.concatenate([HELD_OUT[:180], TRAINING[:20] + 1e-3])
    corpus = np.concatenate([gaussian(2, 180), TRAINING[50:70] + 1e-3])
    judged = find_copies(corpus, TRAINING)
    assert judge_copying(judged, find_copies(twins, TRAINING)).kind == "not copying"
    assert judge_copying(judged, find_copies(HELD_OUT, TRAINING)).kind == "copying"


def test_twins_in_the_training_set_hide_no_copies() -> None:
    training = np.concatenate([TRAINING, TRAINING[:50], TRAINING[50:60] + 1e-9])
    found = find_copies(np.concatenate([TRAINING[:60] + 1e-7, HELD_OUT]), training)
    assert found.count == 60
    with pytest.raises(ValueError, match="copies cannot be detected"):
        training_spacing(np.ones((5, 3)))


def test_few_images_or_nothing_held_out() -> None:
    few = find_copies(TRAINING[:49], TRAINING)
    assert judge_copying(few, find_copies(HELD_OUT, TRAINING)).kind == "too few"
    assert "49 judged images" in judge_copying(few, None).text
    assert judge_copying(find_copies(TRAINING, TRAINING), None).kind == "copying"
    assert judge_copying(find_copies(HELD_OUT, TRAINING), None).kind == "not copying"


def test_wilson_interval() -> None:
    """Newcombe 1998, table I: 81 of 263 gives .2553 to .3662; 0 of 20 gives 0 to .1611."""

    def of(count: int, n: int) -> tuple[float, float]:
        ratios = np.where(np.arange(n) < count, 0.0, 1.0)
        return Copies(ratios, ratios, np.zeros(n, np.int64)).interval

    assert of(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert of(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)
    assert all(of(0, n)[0] == 0.0 and of(n, n)[1] == 1.0 for n in range(1, 500))  # exactly


def test_mann_whitney_is_the_count_of_pairs() -> None:
    random = np.random.default_rng(0)
    real, fake = (random.integers(0, 20, n).astype(np.float64) for n in (31, 17))
    u = sum((f > r) + 0.5 * (f == r) for f in fake for r in real)
    expected = (u - 31 * 17 / 2) / math.sqrt(31 * 17 * 49 / 12)
    assert mann_whitney_z(real, fake) == pytest.approx(expected, rel=1e-12)
    assert mann_whitney_z(fake, real) == pytest.approx(-expected, rel=1e-12)


def test_mann_whitney_agrees_with_scipy() -> None:
    stats = pytest.importorskip("scipy.stats", reason="scipy is not installed")
    real, fake = gaussian(0, 40, 1)[:, 0], gaussian(1, 60, 1)[:, 0] + 0.3
    u = stats.mannwhitneyu(fake, real, alternative="less").statistic
    expected = (u - 1200) / math.sqrt(2400 * 101 / 12)
    assert mann_whitney_z(real, fake) == pytest.approx(expected, rel=1e-12)


def test_c_t_of_unseen_images_is_about_zero() -> None:
    """One cell: a standard normal number over many draws."""
    found = [
        copying_test(gaussian(3 * s, 60, 3), gaussian(3 * s + 1, 60, 3), gaussian(3 * s + 2, 90, 3),
                     seed=0, cells=1).c_t
        for s in range(150)
    ]  # fmt: skip
    assert abs(np.mean(found)) < 3 * np.std(found) / np.sqrt(150)
    assert 0.8 < np.std(found) < 1.2


def test_c_t_says_which_way() -> None:
    copied = copying_test(TRAINING[:200], HELD_OUT, TRAINING, seed=0)
    noise = gaussian(4, 200, scale=0.05)
    near = copying_test(TRAINING[:200] + noise, HELD_OUT, TRAINING, seed=0)
    away = copying_test(3.0 * gaussian(2, 200), HELD_OUT, TRAINING, seed=0)
    assert copied.c_t < near.c_t + 1e-9 < -3.0
    assert away.c_t > 3.0


def test_c_t_calls_mixtures_copying_which_is_why_it_gives_no_verdict() -> None:
    """Every mixture is nearer to its parents than an unseen image is to anything."""
    heavy = mixtures(TRAINING, 300, 0.1, 0.5)
    assert copying_test(heavy, HELD_OUT, TRAINING, seed=0).c_t < -3.0
    held_out = find_copies(HELD_OUT, TRAINING)
    assert judge_copying(find_copies(heavy, TRAINING), held_out).kind == "not copying"


def test_cells_find_copying_in_one_mode_that_the_whole_hides() -> None:
    """As in the paper: half copied, half far off. One cell sees nothing, two see both."""

    def modes(seed: int, n: int) -> Floats:
        return gaussian(seed, n, 4) + np.where(np.arange(n) % 2, 30.0, -30.0)[:, None]

    training, held_out = modes(0, 300), modes(1, 200)
    fake = modes(2, 200)
    fake[::2] = training[:200:2]
    fake[1::2] = 30.0 + 2.0 * (fake[1::2] - 30.0)
    by_cell = copying_test(fake, held_out, training, seed=0, cells=2)
    assert min(by_cell.z) < -8.0 < 3.0 < max(by_cell.z)
    assert by_cell.share == 1.0
    assert abs(copying_test(fake, held_out, training, seed=0, cells=1).c_t) < 3.0
    assert by_cell == copying_test(fake, held_out, training, seed=0, cells=2)


def test_c_t_counts_the_cells_that_have_images() -> None:
    """Judged images in one of two modes: the other cell does not count, and that is told."""
    modes = np.where(np.arange(200) % 2, 30.0, -30.0)[:, None]
    training, held_out = gaussian(0, 200, 4) + modes, gaussian(1, 200, 4) + modes
    found = copying_test(gaussian(2, 100, 4) + 30.0, held_out, training, seed=0, cells=2)
    assert len(found.z) == 1
    assert found.share == pytest.approx(0.5)
    with pytest.raises(ValueError, match="needs two images"):
        copying_test(training[:1], held_out, training, seed=0)


def test_a_ratio_of_medians_knows_what_belongs_together() -> None:
    """Paired, what both have in common cancels; of two independent sets it does not."""
    random = np.random.default_rng(5)
    base = np.exp(random.normal(0, 0.5, 400))
    ratio, (low, high) = median_ratio(0.9 * base, base, 0, paired=True)
    assert (ratio, low, high) == pytest.approx((0.9, 0.9, 0.9))
    apart, (wide_low, wide_high) = median_ratio(0.9 * base, base, 0, paired=False)
    assert apart == ratio and wide_low < 0.85 and 0.95 < wide_high
    assert median_ratio(base, base, 0, paired=True) == median_ratio(base, base, 0, paired=True)


def test_nothing_is_nearer_than_copies_are() -> None:
    zeros, ones = np.zeros(9), np.ones(9)
    assert median_ratio(ones, zeros, 0, paired=True) == (1.0, (1.0, 1.0))
    assert median_ratio(zeros, ones, 0, paired=True) == (0.0, (0.0, 0.0))
