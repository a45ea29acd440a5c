"""The corpus at every ratio: against the whole corpus put together, and repeated images."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from scoremix.models.metrics.distances import Reference, frechet_between, kernel_between, moments
from scoremix.models.metrics.mixture import distances_of_repeated
from scoremix.stages.evaluate.by_ratio import COPIES, TrainingFeatures, by_ratio
from scoremix.stages.evaluate.row_sample import nearer_parent_rows

Floats = NDArray[np.float64]
NAMES = ("kd", "fd")
REAL, RATIO = 30, 4

random = np.random.default_rng(0)
TRAINING = random.normal(0.2, 1.0, (REAL, 5))
REFERENCE = Reference(random.normal(0.0, 1.0, (200, 5)))


def drawn() -> pa.Table:
    rows: list[dict[str, Any]] = [
        {"kind": "real", "round": 0, "row_1": i, "row_2": i, "lambda": 1.0, "method": "real"}
        for i in range(REAL)
    ]
    for number in range(1, RATIO + 1):
        for i, other in enumerate(random.permutation(REAL)):
            weight = float(random.beta(0.2, 0.2))
            rows.append(
                {"kind": "augmented", "round": number, "row_1": i, "row_2": int(other)}
                | {"lambda": weight, "method": "mixup"}
            )
    return pa.Table.from_pylist(rows)


PLAN = drawn()
MADE = PLAN.slice(REAL)
LAMBDAS = MADE["lambda"].to_numpy()[:, None]
FIRST, SECOND = (TRAINING[MADE[name].to_numpy()] for name in ("row_1", "row_2"))
STEPS = {
    "mixup": LAMBDAS * FIRST + (1 - LAMBDAS) * SECOND,
    COPIES: TRAINING[nearer_parent_rows(MADE)],
}
ALONE = TrainingFeatures(np.arange(REAL), TRAINING)


def whole(vectors: Floats) -> float:
    """Of a corpus as a distribution: all pairs, an image with itself among them."""
    pairs = kernel_between(vectors, vectors)[0] - 2 * kernel_between(vectors, REFERENCE.vectors)[0]
    return float(pairs) + REFERENCE.within


def entries(chosen: slice, known: int = REAL) -> list[dict[str, Any]]:
    """From some of the rows of the plan; `known` training images have features."""
    training = TrainingFeatures(np.arange(known), TRAINING[:known])
    steps = {name: vectors[chosen] for name, vectors in STEPS.items()}
    rows = MADE.take(pa.array(np.arange(MADE.num_rows)[chosen]))
    return by_ratio(PLAN, rows, ALONE, steps, REFERENCE, NAMES, training)


@pytest.mark.parametrize("known", [REAL, REAL - 1])
def test_of_every_row_it_is_the_corpus_itself(known: int) -> None:
    last = entries(slice(None), known)[-1]
    for step, vectors in STEPS.items():
        assert last[step]["kd"] == pytest.approx(whole(np.concatenate([TRAINING, vectors])))
    assert last["ratio"] == RATIO


def test_copies_are_exact_at_every_ratio_from_a_sample() -> None:
    for entry in entries(slice(0, None, 3)):
        vectors = STEPS[COPIES][: REAL * entry["ratio"]]
        corpus = np.concatenate([TRAINING, vectors])
        assert entry[COPIES]["kd"] == pytest.approx(whole(corpus))
        several = np.tile(corpus, (50, 1))  # moments over n - 1
        fd = frechet_between(moments(several), REFERENCE.moments)
        assert entry[COPIES]["fd"] == pytest.approx(fd, rel=0.01)


def test_what_a_sample_of_copies_is_off_by_sets_the_others_right() -> None:
    true = whole(np.concatenate([TRAINING, STEPS["mixup"]]))
    plain, right = (entries(slice(0, 40), known)[-1]["mixup"]["kd"] for known in (REAL - 1, REAL))
    assert abs(right - true) < abs(plain - true)


def test_it_is_told_whether_the_copies_are_exact() -> None:
    found = [entries(slice(0, 20), known)[-1]["exact_copies"] for known in (REAL - 1, REAL)]
    assert found == [False, True]


def test_of_a_plan_with_gaps_it_is_still_the_corpus_itself() -> None:
    """As `forget` leaves it: real images gone, and all that was made of them."""
    gone = {3, 4, 17, 29}
    kept = [row for row in PLAN.to_pylist() if not gone & {row["row_1"], row["row_2"]}]
    plan = pa.Table.from_pylist(kept)
    made = plan.filter(pa.array([row["kind"] == "augmented" for row in kept]))
    weights = made["lambda"].to_numpy()[:, None]
    first, second = (TRAINING[made[name].to_numpy()] for name in ("row_1", "row_2"))
    steps = {"mixup": weights * first + (1 - weights) * second}
    steps[COPIES] = TRAINING[nearer_parent_rows(made)]
    left = np.array([i for i in range(REAL) if i not in gone])
    real = TRAINING[left]
    training = TrainingFeatures(np.arange(REAL), TRAINING)
    alone = TrainingFeatures(left, real)
    last = by_ratio(plan, made, alone, steps, REFERENCE, NAMES, training)[-1]
    for step, vectors in steps.items():
        assert last[step]["kd"] == pytest.approx(whole(np.concatenate([real, vectors])))


def test_real_images_alone_are_the_same_whatever_is_made_of_them() -> None:
    first = entries(slice(None))[0]
    assert first["mixup"] == pytest.approx(first[COPIES], rel=1e-9)
    assert first["mixup"]["kd"] == pytest.approx(whole(TRAINING))


def test_repeating_all_images_changes_nothing() -> None:
    counts = np.array([[1.0], [7.0]]) * np.ones((2, REAL))
    kernel, frechet = distances_of_repeated(TRAINING, counts, REFERENCE)
    assert kernel[0] == pytest.approx(kernel[1]) == whole(TRAINING)
    assert frechet[0] == pytest.approx(frechet[1])


def drawn_difference(seed: int, *, exact: bool) -> list[dict[str, Any]]:
    """25 training images, some of their mixtures sampled, each moved as its parents are."""
    random = np.random.default_rng(seed)
    count, ratio = 25, 3
    training, shifts = random.normal(0.1, 1.0, (2, count, 3))
    rows: list[dict[str, Any]] = [
        {"kind": "real", "round": 0, "row_1": i, "row_2": i, "lambda": 1.0, "method": "real"}
        for i in range(count)
    ]
    for number in range(1, ratio + 1):
        for i, other in enumerate(random.permutation(count)):
            rows.append(
                {"kind": "augmented", "round": number, "row_1": i, "row_2": int(other)}
                | {"lambda": float(random.uniform(0, 1)), "method": "mixup"}
            )
    plan = pa.Table.from_pylist(rows)
    made = plan.slice(count).take(pa.array(np.sort(random.permutation(count * ratio)[:50])))
    weights = made["lambda"].to_numpy()[:, None]
    one, two = (made[name].to_numpy() for name in ("row_1", "row_2"))
    mixed = weights * training[one] + (1 - weights) * training[two]
    steps = {"final": mixed + 0.5 * (shifts[one] + shifts[two])}
    steps[COPIES] = training[nearer_parent_rows(made)]
    reference = Reference(random.normal(0.0, 1.0, (60, 3)))
    known = TrainingFeatures(np.arange(count), training)
    less = TrainingFeatures(known.rows[:-1], training[:-1])
    return by_ratio(plan, made, known, steps, reference, NAMES, known if exact else less)


@pytest.mark.parametrize("exact", [True, False])
def test_the_interval_is_as_wide_as_other_training_images_scatter(exact: bool) -> None:
    """Over 150 draws of training images, mixtures and held-out images."""
    draws = [drawn_difference(seed, exact=exact) for seed in range(150)]
    assert draws[0][0]["exact_copies"] is exact
    for ratio in (1, 3):
        found = [draw[ratio]["less_real_images"]["final"] for draw in draws]
        ends = np.array([each["interval_95_other_training_images"] for each in found])
        scatter = 2 * 1.96 * np.std([each["difference"] for each in found])
        assert np.mean(ends[:, 1] - ends[:, 0]) == pytest.approx(scatter, rel=0.3)
        middle = np.mean([each["difference"] for each in found])
        assert np.mean((ends[:, 0] < middle) & (middle < ends[:, 1])) > 0.9


def test_a_ratio_differs_from_the_real_images_alone_by_what_its_distances_say() -> None:
    first, *_, last = entries(slice(0, None, 2))
    found = last["less_real_images"]["mixup"]
    assert found["difference"] == pytest.approx(last["mixup"]["kd"] - first["mixup"]["kd"])
    assert first["less_real_images"]["mixup"] == {
        "difference": 0.0,
        "interval_95_other_training_images": (0.0, 0.0),
    }
    assert COPIES not in last["less_real_images"]
