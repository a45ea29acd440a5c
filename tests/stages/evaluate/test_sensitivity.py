"""On real pictures, over the mobile network: what is worse to the eye is farther, copies are told.

Needs SCOREMIX_TEST_DATA with data/clothing10_64_all.zip and weights/mobilenetv2.pt.
"""

import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from scoremix.models.features.extractors import Pixels, TorchScript
from scoremix.models.metrics.copying import (
    Copies,
    copying_test,
    find_copies,
    judge_copying,
    training_spacing,
)
from scoremix.models.metrics.distances import Reference
from scoremix.models.metrics.prdc import prdc

pytestmark = pytest.mark.slow

Images = NDArray[np.uint8]
Floats = NDArray[np.float64]


@pytest.fixture(scope="module")
def extract(test_data: Path) -> TorchScript:
    weights = test_data / "weights" / "mobilenetv2.pt"
    if not weights.exists():
        pytest.skip("SCOREMIX_TEST_DATA has no weights/mobilenetv2.pt")
    return TorchScript(weights)


def pictures(folder: Path, word: str, count: int) -> Images:
    """The first pictures whose path holds `word`, in a seeded order."""
    with zipfile.ZipFile(folder / "data" / "clothing10_64_all.zip") as archive:
        names = sorted(n for n in archive.namelist() if n.endswith(".jpg") and word in n)
        order = np.random.default_rng(0).permutation(len(names))[:count]
        opened = [Image.open(io.BytesIO(archive.read(names[i]))) for i in order]
        return np.stack([np.asarray(image.convert("RGB")) for image in opened])


def blurred(radius: float) -> Callable[[Images], Images]:
    def change(images: Images) -> Images:
        blur = ImageFilter.GaussianBlur(radius)
        return np.stack([np.asarray(Image.fromarray(image).filter(blur)) for image in images])

    return change


def noisy(scale: float) -> Callable[[Images], Images]:
    def change(images: Images) -> Images:
        noise = np.random.default_rng(1).normal(0, scale, images.shape)
        return np.clip(np.round(images + noise), 0, 255).astype(np.uint8)

    return change


def swapped(count: int) -> Callable[[Images], Images]:
    """`count` patches of 16 px change places with patches of the next image."""

    def change(images: Images) -> Images:
        changed, random = images.copy(), np.random.default_rng(2)
        for i in range(len(images)):
            for place in random.permutation(16)[:count]:
                y, x = 16 * (place // 4), 16 * (place % 4)
                changed[i, y : y + 16, x : x + 16] = images[i - 1, y : y + 16, x : x + 16]
        return changed

    return change


@dataclass(frozen=True)
class Shirts:
    """Features of 80 shirts and of 80 others, and the pictures of those others."""

    real: Floats
    others: Floats
    images: Images
    reference: Reference


@pytest.fixture(scope="module")
def shirts(extract: TorchScript, test_data: Path) -> Shirts:
    images = pictures(test_data, "/t-shirt/", 160)
    real = extract(images[:80])
    return Shirts(real, extract(images[80:]), images[80:], Reference(real))


@pytest.mark.parametrize(
    "changes",
    [
        [blurred(0.5), blurred(1.0), blurred(2.0)],
        [noisy(5.0), noisy(15.0)],
        [swapped(1), swapped(4), swapped(8)],
    ],
    ids=["blur", "noise", "patches"],
)
def test_the_worse_the_farther(
    changes: list[Callable[[Images], Images]], extract: TorchScript, shirts: Shirts
) -> None:
    found = [shirts.reference.kernel(shirts.others)]
    found += [shirts.reference.kernel(extract(change(shirts.images))) for change in changes]
    assert found == sorted(found), found
    assert found[-1] > 3 * abs(found[0])


def test_another_class_is_farthest(extract: TorchScript, shirts: Shirts, test_data: Path) -> None:
    """And precision, density and coverage are gone; recall alone flatters it, as is known of it."""
    real, held_out, reference = shirts.real, shirts.others, shirts.reference
    other = extract(pictures(test_data, "/shoes/", 80))
    assert reference.kernel(other) > 10 * abs(reference.kernel(held_out))
    near, far = prdc(real, held_out), prdc(real, other)
    assert max(far.precision, far.density, far.coverage) < 0.1
    assert min(near.precision, near.density, near.coverage) > 0.6
    assert far.recall < near.recall


@dataclass(frozen=True)
class Corpora:
    training: Images
    held_out: Images
    mixtures: Images
    folded: Floats  # min(lambda, 1 - lambda) of the mixtures


@pytest.fixture(scope="module")
def corpora(test_data: Path) -> Corpora:
    """200 training images, 160 held out, 400 mixup images with lambda ~ Beta(.2, .2)."""
    images = pictures(test_data, "train/", 360)
    training, random = images[:200], np.random.default_rng(3)
    weight = random.beta(0.2, 0.2, (400, 1, 1, 1))
    one = random.integers(0, 200, 400)
    two = (one + random.integers(1, 200, 400)) % 200
    mixed = np.round(weight * training[one] + (1 - weight) * training[two]).astype(np.uint8)
    folded = np.minimum(weight, 1 - weight).ravel()
    return Corpora(training, images[200:360], mixed, folded)


@pytest.mark.parametrize("network", ["mobilenetv2", "pixels"])
def test_copies_are_told_from_unseen_and_from_mixed_images(
    network: str, extract: TorchScript, corpora: Corpora
) -> None:
    look = extract if network == "mobilenetv2" else Pixels(corpora.training)
    training, held_out = look(corpora.training), look(corpora.held_out)
    own = training_spacing(training)

    def judged(features: Floats) -> Copies:
        return find_copies(features, training, own)

    records_of_real_images = judged(held_out[:80])
    assert (
        judge_copying(judged(look(corpora.training[::2].copy())), records_of_real_images).kind
        == "copying"
    )
    assert judge_copying(judged(held_out[80:]), records_of_real_images).kind == "not copying"
    mixed = look(corpora.mixtures)
    heavy = corpora.folded >= 0.1
    assert np.mean(corpora.folded <= 0.05) > 0.5  # the light ones are near copies, and most
    assert judged(mixed[~heavy]).share > 0.5
    assert judge_copying(judged(mixed[heavy]), records_of_real_images).kind == "not copying"
    # The published test would call the healthy mixtures copying, too.
    assert copying_test(mixed[heavy], held_out, training, seed=0).c_t < -3.0
    if network == "mobilenetv2":
        assert abs(copying_test(held_out[80:], held_out[:80], training, seed=0).c_t) < 3.0
