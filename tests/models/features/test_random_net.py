"""The fixed random network: the same weights for ever, standardised, and what it sees."""

import numpy as np
import pytest
from numpy.typing import NDArray

from scoremix.models.features.errors import FeaturesError
from scoremix.models.features.random_net import RandomNet, _colours
from scoremix.models.metrics.distances import Reference, compare
from scoremix.models.metrics.distortions import DISTORTIONS

Images = NDArray[np.uint8]


def pictures(count: int, side: int = 16, channels: int = 3, seed: int = 0) -> Images:
    """Bars and a disc with sharp edges, in random places, colours and brightness."""
    random = np.random.default_rng([seed, side, channels])
    y, x = np.mgrid[:side, :side] / side
    found = np.empty((count, side, side, channels))
    for image in found:
        image[:] = random.uniform(20, 120, channels)
        angle, place = random.uniform(0, np.pi), random.uniform(0.3, 0.7)
        bar = np.abs(np.cos(angle) * (x - place) + np.sin(angle) * (y - place)) < 0.12
        image[bar] = random.uniform(130, 250, channels)
        at = random.uniform(0.25, 0.75, 2)
        image[np.hypot(x - at[0], y - at[1]) < 0.18] = random.uniform(0, 250, channels)
    return (found + random.normal(0, 2, found.shape)).round().clip(0, 255).astype(np.uint8)


def test_the_weights_are_published() -> None:
    """Another seed, order or library would make figures of different runs incomparable."""
    described = {c: RandomNet(pictures(4, channels=c)).describe() for c in (1, 3)}
    assert described[1]["network_sha256"] == (
        "421281ee84be840028e70eb803cde8b144a127d0403778b9c77166de80910b22"
    )
    assert described[3]["network_sha256"] == (
        "d3970d50d0beabb9d1c93cb8132c3fdaae0d2a6778137c314590ef85aac12fa1"
    )
    assert described[3]["seed"] == 0 and described[3]["kind"] == "random"


@pytest.mark.parametrize(("side", "channels"), [(8, 1), (16, 3), (20, 3), (64, 3)])
def test_features_are_standardised_on_the_reference(side: int, channels: int) -> None:
    reference = pictures(120, side, channels)
    extract = RandomNet(reference)
    found = extract(reference)
    assert found.shape == (120, extract.describe()["dimensions"])
    np.testing.assert_allclose(found.mean(axis=0), 0, atol=1e-9)
    assert np.mean(np.sum(found**2, axis=1)) == pytest.approx(found.shape[1])
    parts = np.concatenate([extract(reference[:50]), extract(reference[50:])])
    np.testing.assert_allclose(parts, found, atol=1e-4)
    assert extract(reference[:0]).shape == (0, found.shape[1])


@pytest.mark.parametrize("channels", [1, 3])
def test_colours_are_those_of_all_pixels_together(channels: int) -> None:
    """Summed some images at a time, in whole numbers."""
    images = pictures(150, 8, channels)
    mean, covariance = _colours(images)
    pixels = images.reshape(-1, channels) / 255.0
    np.testing.assert_allclose(mean, pixels.mean(axis=0), rtol=1e-13)
    expected = np.cov(pixels, rowvar=False).reshape(channels, channels)
    np.testing.assert_allclose(covariance, expected, rtol=1e-11)
    assert np.array_equal(covariance, _colours(images[::-1])[1])  # in any order


def test_a_place_that_never_varies_counts_within_bounds() -> None:
    """A corner that is white in every photograph: grey there must not outweigh everything."""
    reference = pictures(120)
    reference[:, :8, :8] = 255
    extract = RandomNet(reference)
    changed = reference.copy()
    changed[:, 0, 0] = 250
    assert np.abs(extract(changed) - extract(reference)).max() < 10


def test_a_negative_is_another_image() -> None:
    """Answers are absolute values: without a bias, y and -y would be one."""
    reference = pictures(200, channels=1)
    extract = RandomNet(reference)
    level = reference.mean()
    negative = (2 * level - reference).round().clip(0, 255).astype(np.uint8)
    target = Reference(extract(pictures(200, channels=1, seed=1)))
    assert target.kernel(extract(negative)) > 20 * abs(target.kernel(extract(reference)))


def test_equal_images_and_images_too_small_are_refused() -> None:
    with pytest.raises(FeaturesError, match="two different"):
        RandomNet(np.zeros((5, 8, 8, 1), dtype=np.uint8))
    with pytest.raises(FeaturesError, match="two different"):
        RandomNet(pictures(1))
    with pytest.raises(FeaturesError, match="two different reference images; found 0"):
        RandomNet(pictures(1)[:0])
    with pytest.raises(FeaturesError, match="4 px or more"):
        RandomNet(pictures(5, side=2))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("side", [8, 16, 32])
def test_it_sees_damage(side: int, channels: int) -> None:
    """Each kind is clearly farther from other real images than undamaged ones are."""
    known, images = (pictures(400, side, channels, seed=seed) for seed in (0, 1))
    extract = RandomNet(known)
    reference = Reference(extract(known))
    before = extract(images)
    for name, distort in DISTORTIONS.items():
        damaged = distort(images, np.random.default_rng(0))
        pair = compare(reference, before, extract(damaged), seed=0, frechet=False)
        assert pair.kd_interval[0] > 0, (name, pair.kd_difference, pair.kd_interval)
