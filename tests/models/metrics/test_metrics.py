"""Kernel distance over subsets, classifier score, diversity, single images, records."""

import json
import math

import numpy as np
import pytest
from numpy.typing import NDArray

from scoremix.models.metrics.classifier_score import classifier_score
from scoremix.models.metrics.distances import frechet_distance, kernel_distance
from scoremix.models.metrics.diversity import mean_pairwise_distance
from scoremix.models.metrics.kernel import kernel_over_subsets
from scoremix.models.metrics.record import Metric, MetricRecord, metric_name
from scoremix.models.metrics.single_image import single_image_distances

Floats = NDArray[np.float64]


def gaussian(seed: int, n: int, dimensions: int = 4, scale: float = 1.0) -> Floats:
    return np.random.default_rng(seed).normal(0.0, scale, (n, dimensions))


def test_subsets_of_everything_are_the_whole_sets() -> None:
    x, y = gaussian(0, 50), gaussian(1, 50, scale=2.0)
    found = kernel_over_subsets(x, y, seed=3, subsets=4)
    assert found.mean == pytest.approx(kernel_distance(x, y), rel=1e-12)
    assert found.std == pytest.approx(0.0, abs=1e-12)
    assert found.subset_size == 50


def test_subsets_are_seeded_unbiased_and_scatter_as_they_say() -> None:
    """MMD^2 of N(0, I) and N(0, 2 I) in four dimensions: 3 (1 - 2)^2 / 4."""
    x, y = gaussian(0, 2000), gaussian(1, 2000, scale=2**0.5)
    found = kernel_over_subsets(x, y, seed=3, subset_size=200, subsets=40)
    assert found == kernel_over_subsets(x, y, seed=3, subset_size=200, subsets=40)
    assert found != kernel_over_subsets(x, y, seed=4, subset_size=200, subsets=40)
    error = found.std / np.sqrt(40)
    assert abs(found.mean - kernel_distance(x, y)) < 4 * error
    assert abs(found.mean - 0.75) < 0.2
    same = kernel_over_subsets(x[:1000], x[1000:], seed=3, subset_size=200, subsets=40)
    assert abs(same.mean) < 4 * same.std / np.sqrt(40)


def test_a_subset_is_what_the_distance_of_its_images_gives() -> None:
    x, y = gaussian(0, 30), gaussian(1, 40, scale=2.0)
    random = np.random.default_rng(9)
    drawn = [
        kernel_distance(x[random.permutation(30)[:12]], y[random.permutation(40)[:12]])
        for _ in range(5)
    ]
    found = kernel_over_subsets(x, y, seed=9, subset_size=12, subsets=5)
    assert (found.mean, found.std) == pytest.approx((np.mean(drawn), np.std(drawn)), rel=1e-10)


def test_kernel_subsets_need_two_images_each() -> None:
    with pytest.raises(ValueError, match="at least one subset of two"):
        kernel_over_subsets(gaussian(0, 1), gaussian(1, 9), seed=0)


@pytest.mark.parametrize("classes", [2, 10])
def test_classifier_score_of_sure_and_even_answers_is_the_number_of_classes(classes: int) -> None:
    sure = 200.0 * np.eye(classes)[np.arange(40 * classes) % classes]
    found = classifier_score(sure, splits=4)
    assert found.mean == pytest.approx(classes, rel=1e-12)
    assert found.std == pytest.approx(0.0, abs=1e-9)
    assert not found.biased


def test_classifier_score_of_no_opinion_or_one_answer_is_one() -> None:
    assert classifier_score(np.zeros((100, 7))).mean == pytest.approx(1.0, rel=1e-12)
    assert classifier_score(np.tile([9.0, 1.0, 0.0], (100, 1))).mean == pytest.approx(1.0)


def test_classifier_score_is_exp_of_the_mutual_information() -> None:
    """Two classes, right with probability .9: ln 2 - H(.9) nats."""
    p = np.where(np.arange(200)[:, None] % 2 == [0, 1], 0.9, 0.1)
    entropy = -(0.9 * math.log(0.9) + 0.1 * math.log(0.1))
    found = classifier_score(p, splits=5, probabilities=True)
    assert found.mean == pytest.approx(math.exp(math.log(2) - entropy), rel=1e-12)
    assert classifier_score(np.log(p), splits=5).mean == pytest.approx(found.mean, rel=1e-12)


def test_classifier_score_in_splits_as_a_plain_loop_gives_it() -> None:
    logits = gaussian(0, 103, 6, scale=3.0)
    scores = []
    for split in range(10):
        part = logits[split * 103 // 10 : (split + 1) * 103 // 10]
        p = np.exp(part) / np.exp(part).sum(axis=1, keepdims=True)
        mean = p.mean(axis=0)
        kl = [sum(q * math.log(q / m) for q, m in zip(row, mean, strict=True)) for row in p]
        scores.append(math.exp(np.mean(kl)))
    found = classifier_score(logits)
    assert (found.mean, found.std) == pytest.approx((np.mean(scores), np.std(scores)), rel=1e-10)
    assert found.biased  # ten images cannot tell how often six classes occur


def test_classifier_score_of_zeros_and_of_what_is_no_probability() -> None:
    sure = np.eye(3)[np.arange(30) % 3]
    assert classifier_score(sure, splits=2, probabilities=True).mean == pytest.approx(3.0)
    with pytest.raises(ValueError, match="pass logits"):
        classifier_score(2 * sure, probabilities=True)
    with pytest.raises(ValueError, match="in 10 splits"):
        classifier_score(sure[:9])


def test_diversity_is_the_mean_of_all_pairs() -> None:
    x = gaussian(0, 40)
    pairs = [np.linalg.norm(x[i] - x[j]) for i in range(40) for j in range(i)]
    found = mean_pairwise_distance(x, seed=0)
    assert found.mean == pytest.approx(np.mean(pairs), rel=1e-10)
    assert (found.pairs, found.seed) == (780, None)
    assert mean_pairwise_distance(3 * x + 100.0, seed=0).mean == pytest.approx(3 * found.mean)
    assert mean_pairwise_distance(np.ones((9, 3)), seed=0).mean == 0.0


def test_diversity_of_gaussians_and_its_error() -> None:
    """|x - y| for N(0, I) in three dimensions: sqrt(2) times the chi distribution's mean."""
    truth = 2**0.5 * math.sqrt(2) * math.gamma(2.0) / math.gamma(1.5)
    found = [mean_pairwise_distance(gaussian(seed, 60, 3), seed=0) for seed in range(200)]
    means = [each.mean for each in found]
    spread = np.std(means)
    assert abs(np.mean(means) - truth) < 3 * spread / np.sqrt(200)
    assert np.mean([each.standard_error for each in found]) == pytest.approx(spread, rel=0.15)


def test_diversity_of_many_images_is_of_a_seeded_choice() -> None:
    x = gaussian(0, 90)
    found = mean_pairwise_distance(x, seed=5, most=30)
    assert (found.n, found.seed) == (30, 5)
    assert found == mean_pairwise_distance(x, seed=5, most=30)
    assert found != mean_pairwise_distance(x, seed=6, most=30)
    with pytest.raises(ValueError, match="two or more"):
        mean_pairwise_distance(x[:1], seed=0)


def test_single_image_distance_is_frechet_over_places() -> None:
    a, b = gaussian(0, 300), gaussian(1, 200, scale=2.0)
    found = single_image_distances([a, b], [b, b])
    assert found.distances[0] == pytest.approx(frechet_distance(a, b), rel=1e-12)
    assert found.distances[1] == pytest.approx(0.0, abs=1e-10)
    assert found.mean == pytest.approx(frechet_distance(a, b) / 2)
    assert (found.places, found.dimensions, found.biased) == (200, 4, False)
    assert single_image_distances([a[:19]], [b]).biased
    with pytest.raises(ValueError, match="pairs of images are needed, got 1 with 0"):
        single_image_distances([a], [])


@pytest.mark.parametrize(
    ("metric", "kind", "known", "name"),
    [
        ("fd", "inception", True, "fid"),
        ("kd", "inception", True, "kid"),
        ("cs", "inception-classes", True, "is"),
        ("sfd", "inception-maps", True, "sifid"),
        ("fd", "inception", False, "fd_inception"),
        ("cs", "inception", True, "cs_inception"),  # features are no classes
        ("fd", "torchscript", True, "fd_inception"),  # a file that only calls itself so
        ("sfd", "maps", None, "sfd_inception"),
    ],
)
def test_published_names_are_for_the_published_network(
    metric: Metric, kind: str, known: bool | None, name: str
) -> None:
    extractor = {"kind": kind, "name": "inception", "weights_are_the_known_ones": known}
    assert metric_name(metric, extractor) == name


def test_a_record_is_json_with_versions() -> None:
    record = MetricRecord(
        name="kd_net",
        value=float("nan"),
        n=np.int64(5),  # type: ignore[arg-type]
        extractor={"name": "net", "weights_sha256": "ab", "resize": "none"},
        interval_95=(np.float64(0.5), float("inf")),
        parameters={"k": np.int64(3)},
        notes=("mostly bias",),
    )
    found = json.loads(json.dumps(record.as_json(), allow_nan=False))
    assert found["value"] is None
    assert found["interval_95"] == [0.5, None]
    assert (found["n"], found["parameters"], found["notes"]) == (5, {"k": 3}, ["mostly bias"])
    assert set(found["versions"]) == {"numpy", "pillow", "python", "torch"}
    assert found["extractor"]["weights_sha256"] == "ab"
