"""Selection of classes: bounds, orders, uniqueness, and what is refused."""

import itertools
import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scoremix.manifests.errors import ConfigError
from scoremix.manifests.plan.methods import Selection
from scoremix.stages.recognise.centres import class_centres, cosine_distances
from scoremix.stages.recognise.select import select_classes

NAMES = [f"c{number}" for number in range(40)]


def centres(classes: int, seed: int = 0) -> np.ndarray:
    made = np.random.default_rng(seed).normal(size=(classes, 6))
    return made / np.linalg.norm(made, axis=1, keepdims=True)


def mean_distance(how: Selection, classes: int = 20, count: int = 20) -> float:
    found = select_classes(centres(classes), NAMES[:classes], count, how)
    return float(np.mean([one.distance for one in found]))


@settings(max_examples=60, deadline=None)
@given(
    st.integers(3, 14), st.floats(0.01, 1), st.sampled_from(["distant", "close", "random"]),
    st.integers(0, 3),
)  # fmt: skip
def test_pairs_are_unique_and_no_class_is_in_too_many(
    classes: int, share: float, how: Selection, seed: int
) -> None:
    """At every count: up to all pairs, where each class is in K - 1 of them."""
    count = max(1, round(share * math.comb(classes, 2)))
    found = select_classes(centres(classes, seed), NAMES[:classes], count, how, seed=seed)
    pairs = [one.classes for one in found]
    assert len(set(pairs)) == len(pairs) == count
    assert all(a < b for a, b in pairs)
    used = Counter(itertools.chain(*pairs))
    assert max(used.values()) <= math.ceil(2 * count / classes)
    assert [one.id for one in found] == [classes + place for place in range(count)]


def test_the_distant_are_farther_apart_than_random_ones_and_these_than_the_close() -> None:
    assert mean_distance("close") < mean_distance("random") < mean_distance("distant")
    assert mean_distance("distant") > mean_distance("random") + 0.3


def test_the_first_pair_is_the_farthest_and_its_distance_is_by_hand() -> None:
    angles = np.radians([0, 10, 90, 170])
    points = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    first, second = select_classes(points, NAMES[:4], 2, "distant")
    assert first.classes == (0, 3) and first.name == "c0+c3" and first.id == 4
    assert first.distance == pytest.approx(1 - math.cos(math.radians(170)), abs=1e-6)
    assert second.classes == (1, 2) and second.weights == (
        0.5,
        0.5,
    )  # 1-3 is farther, but 3 is used
    (near, *_) = select_classes(points, NAMES[:4], 1, "close")
    assert near.classes == (0, 1) and near.selection == "close"


def test_one_class_apart_from_all_others_is_not_in_most_pairs() -> None:
    """The farthest pairs without the bound are all of class 0."""
    points = centres(12, seed=2)
    points[1:] += 2 * points[1]
    points[0] = -points[1]
    found = select_classes(points, NAMES[:12], 12, "distant")
    distances = cosine_distances(points)
    farthest = np.argsort(-distances[np.triu_indices(12, 1)])[:11]
    assert set(np.triu_indices(12, 1)[0][farthest]) == {0}
    assert Counter(itertools.chain(*(one.classes for one in found)))[0] == 2


def test_random_pairs_depend_on_the_seed_alone() -> None:
    drawn = [
        [one.classes for one in select_classes(points, NAMES[:20], 20, "random", seed=seed)]
        for points, seed in ((centres(20), 1), (centres(20, seed=5), 1), (centres(20), 2))
    ]
    assert drawn[0] == drawn[1] != drawn[2]


@pytest.mark.parametrize("members", [3, 4])
@pytest.mark.parametrize("how", ["distant", "close", "random"])
def test_groups_of_several_classes(members: int, how: Selection) -> None:
    weights = (1 / members,) * members
    found = select_classes(centres(9), NAMES[:9], 12, how, weights)
    groups = [one.classes for one in found]
    assert len(set(groups)) == 12 and all(len(set(group)) == members for group in groups)
    assert max(Counter(itertools.chain(*groups)).values()) <= math.ceil(members * 12 / 9) + 1
    distances = cosine_distances(centres(9))
    for one in found:
        assert one.distance == max(
            distances[a, b] for a, b in itertools.combinations(one.classes, 2)
        )
        assert one.weights == weights


def test_every_group_there_is_can_be_asked_for_and_no_more() -> None:
    for members in (2, 3, 4):
        most = math.comb(6, members)
        weights = (1 / members,) * members
        found = select_classes(centres(6), NAMES[:6], most, "distant", weights)
        assert {one.classes for one in found} == {*itertools.combinations(range(6), members)}
        with pytest.raises(ConfigError, match=f"at most {most}"):
            select_classes(centres(6), NAMES[:6], most + 1, "distant", weights)


def test_a_class_without_images_is_never_chosen() -> None:
    points = centres(5)
    points[2] = np.nan
    found = select_classes(points, NAMES[:5], 6, "distant")
    assert 2 not in itertools.chain(*(one.classes for one in found))
    with pytest.raises(ConfigError, match="4 classes"):
        select_classes(points, NAMES[:5], 7, "distant")


def test_weights_and_names() -> None:
    names = ["a", "b+c", "a+b", "c"]
    found = select_classes(centres(4), names, 6, "random", (0.7, 0.3))
    assert all(one.weights == (0.7, 0.3) for one in found)
    assert len({one.name for one in found} | {*names}) == 10  # "a+b+c" comes twice otherwise


def test_centres_are_normalised_means_of_normalised_embeddings() -> None:
    embeddings = np.array([[2.0, 0.0], [0.0, 5.0], [3.0, 4.0], [9.0, 9.0]])
    found = class_centres(embeddings, np.array([0, 0, 2, -1]), 3)
    np.testing.assert_allclose(found[0], [2**-0.5, 2**-0.5], rtol=1e-6)
    assert np.isnan(found[1]).all()
    np.testing.assert_allclose(found[2], [0.6, 0.8], rtol=1e-6)
