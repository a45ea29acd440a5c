"""What evaluate keeps of the rows it makes again: each step's features, once."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from scoremix.models.features.extractors import Extractor
from scoremix.stages.common.progress import Silent
from scoremix.stages.evaluate.regenerate import STEPS, Trace, regenerate

Images = NDArray[np.uint8]


class Pixels(Extractor):
    """An image's pixels are its features; counts the images it is shown."""

    name = "pixels"
    weights_sha256 = None

    def __init__(self) -> None:
        self.seen = 0

    def __call__(self, images: Images) -> NDArray[np.float64]:
        self.seen += len(images)
        return images.reshape(len(images), -1).astype(np.float64)

    def describe(self) -> dict[str, Any]:
        return {"name": self.name}


@dataclass(frozen=True)
class Batch:
    rows: pa.Table
    mixup: Images
    minimised: Images
    final: Images
    norms: NDArray[np.float32] | None = None
    clipped: NDArray[np.float32] | None = None


def batch(number: int, changes: tuple[bool, bool]) -> Batch:
    """Three images; whether the minimisation and the denoising change them."""
    random = np.random.default_rng(number)
    steps = [random.integers(256, size=(3, 4, 4, 1), dtype=np.uint8)]
    for changed in changes:
        steps.append(
            random.permutation(steps[-1].ravel()).reshape(3, 4, 4, 1) if changed else steps[-1]
        )
    keys = [f"{number}-{i}" for i in range(3)]
    return Batch(
        pa.table({"key": keys, "lambda": [0.1, 0.5, 0.9], "method": ["mixup"] * 3}), *steps
    )


def trace(batches: list[Batch], extract: Extractor) -> Trace:
    def given() -> Iterator[Batch]:
        yield from batches

    empty = pa.table({"key": pa.array([], pa.string()), "pixel_sha256": pa.array([], pa.string())})
    return regenerate(given(), 3 * len(batches), empty, extract, set(), Silent())


CHANGES = list(itertools.product((False, True), repeat=2))


@pytest.mark.parametrize("pattern", list(itertools.product(CHANGES, repeat=3)))
def test_every_step_has_its_own_images_features(pattern: tuple[tuple[bool, bool], ...]) -> None:
    batches = [batch(number, changes) for number, changes in enumerate(pattern)]
    found = trace(batches, Pixels()).features
    for step in STEPS:
        images = np.concatenate([getattr(each, step) for each in batches])
        assert np.array_equal(found[step], images.reshape(len(images), -1))


def test_steps_that_change_nothing_are_looked_at_and_held_once() -> None:
    extract = Pixels()
    found = trace([batch(number, (False, False)) for number in range(4)], extract).features
    assert extract.seen == 12
    assert found["mixup"] is found["minimised"] is found["final"]


def test_what_was_cut_off_is_kept_of_every_image() -> None:
    shares = [np.array([0.1, 0.2, 0.3], np.float32), np.array([0, 0.5, 0.25], np.float32)]
    batches = [replace(batch(n, (True, True)), clipped=each) for n, each in enumerate(shares)]
    found = trace(batches, Pixels()).clipped
    assert found is not None
    np.testing.assert_allclose(found, np.concatenate(shares))
    assert trace([batch(0, (True, True))], Pixels()).clipped is None
