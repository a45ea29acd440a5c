"""AugMix: convex, from its own stream, by the published operations."""

import numpy as np
import pytest
from PIL import Image

from scoremix.models.method.augmix import OPERATIONS, augmix

IMAGE = np.random.default_rng(1).integers(0, 256, (16, 16, 3), dtype=np.uint8)


def white(image: Image.Image, random: np.random.Generator) -> Image.Image:
    return Image.new(image.mode, image.size, "white")


def same(image: Image.Image, random: np.random.Generator) -> Image.Image:
    return image


@pytest.mark.parametrize("channels", [1, 3])
def test_it_is_a_convex_combination_of_image_and_chains(channels: int) -> None:
    image = IMAGE[..., :channels]
    x = image / 255.0
    shares = []
    for seed in range(30):
        found = augmix(image, np.random.default_rng(seed), [white])
        assert found.shape == image.shape and found.dtype == np.float32
        share = (found - x)[x < 0.9] / (1 - x)[x < 0.9]  # (1 - m) x + m: every chain is white
        assert np.allclose(share, share[0], atol=1e-5) and 0 <= share[0] <= 1
        shares.append(share[0])
        assert np.allclose(augmix(image, np.random.default_rng(seed), [same]), x, atol=1e-6)
    assert np.std(shares) == pytest.approx(12**-0.5, rel=0.35)  # m ~ Beta(1, 1), uniform


def test_the_same_stream_gives_the_same_image() -> None:
    first, again, other = (augmix(IMAGE, np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    assert first.min() >= 0 and first.max() <= 1


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.__name__)
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_every_operation_keeps_the_form_and_changes_some_image(operation, mode: str) -> None:  # type: ignore[no-untyped-def]
    down, across = np.mgrid[20:250:48j, 0:210:48j]
    image = Image.fromarray(np.stack([np.minimum(down, across + 30)] * 3, -1).astype(np.uint8))
    image = image.convert(mode)
    results = [operation(image, np.random.default_rng(seed)) for seed in range(8)]
    assert all((made.size, made.mode) == (image.size, mode) for made in results)
    assert any(made.tobytes() != image.tobytes() for made in results)
