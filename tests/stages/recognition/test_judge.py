"""The figures of a recogniser: names, what is left out, and that held-out images are among them."""

import numpy as np
import pytest

from scoremix.manifests.errors import ConfigError
from scoremix.stages.recognition.judge import FARS, GRID, UnseenClasses, measure
from scoremix.stages.recognition.over_classes import DRAWS


class FakeRun:
    """Embeds every image as the vector that its first pixels are; names class 0."""

    def embed(self, images: np.ndarray) -> np.ndarray:
        return images.reshape(len(images), -1)[:, :30].astype(np.float32)

    def classify(self, embeddings: np.ndarray, among: int) -> np.ndarray:
        return np.zeros(len(embeddings), np.int64)


class FakeCorpus:
    """Thirty classes of six images, of which a pixel says the class; held out: classes 0, 0, 1."""

    def __init__(self, classes: int = 30, each: int = 6) -> None:
        self.training_ids = np.repeat(np.arange(classes), each)
        self.images = np.zeros((classes * each, 6, 6, 1), np.uint8)
        flat = self.images.reshape(len(self.images), -1)
        flat[np.arange(len(flat)), self.training_ids % 30] = 200
        self.classes = [str(number) for number in range(classes)]
        self.reference_ids = np.array([0, 0, 1, -1])
        self.reference = self.images[:4]


def unseen(**changed: int) -> UnseenClasses:
    options = {"pairs": 100_000, "episodes": 5, "resamples": 20} | changed
    return UnseenClasses.of(FakeCorpus(), **options)  # type: ignore[arg-type]


def test_perfect_embeddings_have_perfect_figures() -> None:
    found = measure(FakeRun(), FakeCorpus(), unseen())  # type: ignore[arg-type]
    assert found["tar_0.01"] == found["tar_0.001"] == found["rank_1"] == found["one_shot"] == 1.0
    assert found["eer"] == 0.0 and found["accuracy"] == pytest.approx(2 / 3)
    assert found["roc"] == [1.0] * len(GRID)
    assert found["interval_95_over_classes"]["tar_0.01"] == [1.0, 1.0]
    assert {len(draws) for draws in found[DRAWS].values()} == {20}


def test_a_far_without_impostor_pairs_enough_is_left_out() -> None:
    few = unseen(pairs=2000)
    assert few.fars == [0.01] and few.pairs.impostors < 2000
    assert "tar_0.001" not in measure(FakeRun(), FakeCorpus(), few)  # type: ignore[arg-type]
    assert list(unseen().fars) == list(FARS)


def test_fewer_classes_than_twenty_make_smaller_episodes() -> None:
    few = UnseenClasses.of(FakeCorpus(classes=7), 10_000, 5, 20)  # type: ignore[arg-type]
    assert few.ways == 7


def test_without_unseen_classes_the_accuracy_is_left() -> None:
    assert set(measure(FakeRun(), FakeCorpus(), None)) == {"accuracy"}  # type: ignore[arg-type]


def test_one_unseen_class_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"recognition\.unseen cannot"):
        UnseenClasses.of(FakeCorpus(classes=1), 10_000, 5, 20)  # type: ignore[arg-type]


def test_pairs_are_the_same_for_every_recogniser() -> None:
    one, other = unseen(), unseen()
    assert len(one.pairs.first) == 180 * 179 // 2
    for name in ("pairs", "interval_pairs"):
        assert np.array_equal(getattr(one, name).first, getattr(other, name).first)
