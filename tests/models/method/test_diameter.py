"""sigma_1 is exact: brute force on random and adversarial sets."""

import numpy as np
import pytest
from numpy.typing import NDArray

from scoremix.models.method import diameter as module
from scoremix.models.method.diameter import diameter


def brute(images: NDArray[np.uint8]) -> int:
    flat = images.reshape(len(images), -1).astype(np.int64)
    return max(int(((a - b) ** 2).sum()) for a in flat for b in flat)


def check(images: NDArray[np.uint8]) -> None:
    found = diameter(images)
    assert found.squared == brute(images)
    a, b = images[found.first].astype(np.int64), images[found.second].astype(np.int64)
    assert int(((a - b) ** 2).sum()) == found.squared
    assert found.first < found.second


@pytest.mark.parametrize("seed", range(6))
def test_random_sets(seed: int) -> None:
    random = np.random.default_rng(seed)
    shape = (int(random.integers(2, 60)), 4, 4, 3)
    check(random.integers(0, 256, shape, dtype=np.uint8))


def test_low_contrast_clusters_where_pruning_bites() -> None:
    random = np.random.default_rng(1)
    centre = random.integers(100, 110, (200, 6, 6, 1), dtype=np.uint8)
    centre[17] += 90
    centre[170] -= 90
    check(centre)


@pytest.mark.parametrize(
    "images",
    [
        np.zeros((5, 2, 2, 1), np.uint8),  # all black: distance 0
        np.repeat(np.arange(2, dtype=np.uint8), 3).reshape(6, 1, 1, 1) * 255,  # duplicates
        np.array([0, 10, 20, 30, 30, 0], np.uint8).reshape(6, 1, 1, 1),  # two equal maxima
        np.array([7, 7], np.uint8).reshape(2, 1, 1, 1),
        np.concatenate([np.zeros((1, 1, 1, 64), np.uint8), np.full((1, 1, 1, 64), 255, np.uint8)]),
    ],
)
def test_adversarial_sets(images: NDArray[np.uint8]) -> None:
    check(images)


def test_many_small_blocks_agree_with_one(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(3)
    images = random.integers(0, 256, (97, 3, 3, 1), dtype=np.uint8)
    monkeypatch.setattr(module, "_BLOCK_BYTES", 8 * 9 * 10)  # ten images a block
    heard = []
    assert diameter(images, heard.append).squared == brute(images)
    assert sum(heard) == len(images)


def test_one_image_is_refused() -> None:
    with pytest.raises(ValueError, match="two training images; there is 1"):
        diameter(np.zeros((1, 2, 2, 1), np.uint8))
