"""Mean images: exact, shrunk for small classes, and read back only where they are whole."""

from pathlib import Path

import numpy as np
import pytest

from scoremix.stages.generate.means import (
    SHRINKAGE,
    MeanImages,
    mean_images,
    read_means,
    write_means,
)

IMAGES = np.random.default_rng(3).integers(0, 256, (700, 4, 5, 3), dtype=np.uint8)
ROWS = np.delete(np.arange(700), [5, 300])
CLASSES = np.where(np.arange(700) < 2, 0, 1)[ROWS]


def made() -> MeanImages:
    return mean_images(IMAGES, ROWS, CLASSES, 3)


def test_they_are_the_means_of_the_rows_that_count() -> None:
    mean = IMAGES[ROWS].astype(np.float64).mean(axis=0)
    found = made().pixels
    assert found.shape == (4, 4, 5, 3) and found.dtype == np.uint8
    assert np.array_equal(found[-1], np.rint(mean))
    assert np.array_equal(found[2], np.rint(mean)), "a class without images has the corpus's"
    for id_, count in ((0, 2), (1, 696)):
        own = IMAGES[ROWS][id_ == CLASSES].astype(np.float64).sum(axis=0)
        shrunk = (own + SHRINKAGE * mean) / (count + SHRINKAGE)
        assert np.abs(found[id_] - shrunk).max() <= 0.5 + 1e-9


def test_a_small_class_has_no_mean_that_is_its_mixture() -> None:
    pair = IMAGES[:2].astype(np.float64).mean(axis=0)
    assert np.abs(made().pixels[0] - pair).mean() > 20


def test_a_file_is_read_back_where_it_is_whole_and_of_this_corpus(tmp_path: Path) -> None:
    path, means = tmp_path / "means.safetensors", made()
    assert read_means(path, "c0") is None
    write_means(path, means, "c0")
    first = path.read_bytes()
    found = read_means(path, "c0")
    assert found is not None and np.array_equal(found.pixels, means.pixels)
    assert found.sha256 == means.sha256
    assert read_means(path, "c1") is None, "of another corpus"
    write_means(path, means, "c0")
    assert path.read_bytes() == first


@pytest.mark.parametrize("place", [0, 30, -1])
def test_a_damaged_file_counts_as_gone(place: int, tmp_path: Path) -> None:
    path = tmp_path / "means.safetensors"
    write_means(path, made(), "c0")
    data = bytearray(path.read_bytes())
    data[place] ^= 16
    path.write_bytes(data)
    assert read_means(path, "c0") is None
    path.write_bytes(data[:100])
    assert read_means(path, "c0") is None
