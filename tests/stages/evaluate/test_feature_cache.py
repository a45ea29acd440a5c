"""Features are worked out once per set, and again where what is kept is not what was written."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from scoremix.manifests.errors import StorageError
from scoremix.models.features.errors import FeaturesError
from scoremix.models.features.extractors import Pixels
from scoremix.models.metrics.neighbours import nearest
from scoremix.stages.common.progress import Advance, ignore_progress
from scoremix.stages.evaluate.feature_cache import FeatureCache, Rows

Images = NDArray[np.uint8]


class Counting:
    """Means and mean squares as a float32 network would give them; counts the images it saw."""

    name, kd, fd = "counting", "kd_counting", "fd_counting"

    def __init__(self, weights_sha256: str | None = "ab" * 32, fails_after: int = 10**9) -> None:
        self.weights_sha256 = weights_sha256
        self.seen, self.fails_after = 0, fails_after

    def describe(self) -> dict[str, Any]:
        return {"kind": "torchscript", "name": self.name, "weights_sha256": self.weights_sha256}

    def __call__(self, images: Images) -> NDArray[np.float64]:
        self.seen += len(images)
        if self.seen > self.fails_after:
            raise FeaturesError("the network stopped")
        values = images.reshape(len(images), 16).astype(np.float32) / np.float32(255)
        pair = np.stack([values.mean(axis=1), (values**2).mean(axis=1)], axis=1)
        return pair.astype(np.float64)


class Double(Counting):
    """A network that returns float64."""

    def __call__(self, images: Images) -> NDArray[np.float64]:
        return super().__call__(images) / 3


def random_images(count: int, seed: int = 0) -> Images:
    return np.random.default_rng(seed).integers(0, 256, (count, 4, 4, 1), dtype=np.uint8)


def told() -> tuple[list[int], Advance]:
    steps: list[int] = []

    def advance(count: int, /, *, resumed: bool = False) -> None:
        steps.append(-count if resumed else count)

    return steps, advance


def test_features_are_worked_out_once(tmp_path: Path) -> None:
    images, extract = random_images(600), Counting()
    cache = FeatureCache(tmp_path / "features")
    steps, advance = told()
    found = cache.features(extract, images, advance)
    assert (extract.seen, steps) == (600, [256, 256, 88])
    np.testing.assert_allclose(found, Counting()(images), rtol=1e-6)  # all in one batch
    again = FeatureCache(tmp_path / "features").features(extract, images.copy(), advance)
    assert (extract.seen, steps[3:]) == (600, [-600])  # there before: no rate comes of it
    np.testing.assert_array_equal(again, found)
    assert isinstance(again, np.memmap) and again.dtype == np.float32
    assert nearest(again, again, 1).squared.max() == 0.0  # metrics take it as it is
    assert sorted(path.suffix for path in (tmp_path / "features").iterdir()) == [".json", ".npy"]


def test_other_images_order_weights_are_other_entries(tmp_path: Path) -> None:
    images, cache = random_images(9), FeatureCache(tmp_path)
    sets = [images, images[::-1], images[:8], images.reshape(9, 2, 8, 1), random_images(9, seed=1)]
    extract = Counting()
    for number, each in enumerate(sets):
        cache.features(extract, each, ignore_progress)
        assert len(list(tmp_path.glob("*.npy"))) == number + 1
    other = Counting(weights_sha256="cd" * 32)
    cache.features(other, images, ignore_progress)
    assert other.seen == 9


def test_rows_of_a_set_are_the_set_of_these_rows(tmp_path: Path) -> None:
    images, rows = random_images(600), np.arange(5, 590, 2)
    extract, cache = Counting(), FeatureCache(tmp_path)
    found = cache.features(extract, Rows(images, rows), ignore_progress)
    np.testing.assert_allclose(found, Counting()(images[rows]), rtol=1e-6)
    cache.features(extract, images[rows], ignore_progress)
    assert extract.seen == len(rows)


@pytest.mark.parametrize("damage", ["bit", "cut", "empty", "json", "other json", "no json"])
def test_what_is_damaged_is_made_again(tmp_path: Path, damage: str) -> None:
    images, extract, cache = random_images(20), Counting(), FeatureCache(tmp_path)
    expected = np.array(cache.features(extract, images, ignore_progress))
    (array,), (facts,) = tmp_path.glob("*.npy"), tmp_path.glob("*.json")
    data = bytearray(array.read_bytes())
    if damage == "bit":
        data[-3] ^= 1
        array.write_bytes(data)
    elif damage == "cut":
        array.write_bytes(data[:-8])
    elif damage == "empty":
        array.write_bytes(b"")
    elif damage == "json":
        facts.write_text("{")
    elif damage == "other json":
        facts.write_text(json.dumps(json.loads(facts.read_text()) | {"torch": "0.1"}))
    else:
        facts.unlink()
    found = cache.features(extract, images, ignore_progress)
    assert extract.seen == 40
    np.testing.assert_array_equal(found, expected)
    cache.features(extract, images, ignore_progress)
    assert extract.seen == 40


def test_a_failure_leaves_no_entry(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path / "features")
    with pytest.raises(FeaturesError, match="stopped"):
        cache.features(Counting(fails_after=300), random_images(600), ignore_progress)
    assert list((tmp_path / "features").iterdir()) == []


def test_a_folder_that_cannot_be_written_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "features").mkdir()
    (tmp_path / "features").chmod(0o500)
    try:
        (tmp_path / "features" / "probe").touch()
    except PermissionError:
        with pytest.raises(StorageError):
            cache = FeatureCache(tmp_path / "features")
            cache.features(Counting(), random_images(3), ignore_progress)
    else:
        pytest.skip("this user may write everywhere")


def test_pixel_features_and_runs_without_a_folder_keep_nothing(tmp_path: Path) -> None:
    images = random_images(300)
    steps, advance = told()
    pixels = Pixels(images)
    found = FeatureCache(tmp_path).features(pixels, images, advance)
    np.testing.assert_allclose(found, pixels(images), rtol=1e-9, atol=1e-12)  # in one batch
    assert steps == [256, 44] and list(tmp_path.iterdir()) == []
    extract = Counting()
    for _ in range(2):
        FeatureCache(None).features(extract, images, advance)
    assert extract.seen == 600
    assert FeatureCache(tmp_path).features(extract, images[:0], advance).shape == (0, 2)


def test_values_that_float32_cannot_hold_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FeaturesError, match="float64 that float32 cannot hold"):
        FeatureCache(tmp_path).features(Double(), random_images(5), ignore_progress)
    assert not list(tmp_path.iterdir())
