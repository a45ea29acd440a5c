"""Batches of a recogniser: classes first, then images; a function of (seed, step)."""

from collections import Counter

import numpy as np
import pytest
import torch

from scoremix.manifests.errors import ConfigError
from scoremix.stages.recognise.batches import ClassBatches, draw_affine
from scoremix.stages.train.augment import apply_views

LABELS = np.array([5] * 40 + [2] * 3 + [7] * 7)
IMAGES = np.random.default_rng(0).integers(0, 256, (50, 8, 8, 1), dtype=np.uint8)


def batches(seed: int = 0, **changed: bool) -> ClassBatches:
    options = {"flip": False, "affine": False} | changed
    return ClassBatches(IMAGES, LABELS, 8, seed=seed, **options)


def test_every_class_is_seen_equally_often_and_every_image_of_it_too() -> None:
    drawn = batches()
    rows = np.concatenate([drawn.rows(step) for step in range(90)])  # 720: 240 of each class
    assert Counter(LABELS[rows].tolist()) == {2: 240, 5: 240, 7: 240}
    seen = Counter(rows.tolist())
    assert {seen[row] for row in range(40, 43)} == {80}
    assert {seen[row] for row in range(40)} == {6}
    assert {seen[row] for row in range(43, 50)} <= {34, 35}


def test_a_step_is_a_function_of_the_seed_alone() -> None:
    """In any order of steps, as after a stop."""
    first, other = batches(), batches(seed=1)
    later = [batches().rows(step).tolist() for step in (11, 3)]
    assert [first.rows(step).tolist() for step in (3, 11)] == later[::-1]
    assert other.rows(3).tolist() != later[1]
    x, labels = batches(affine=True).draw(3, torch.device("cpu"))
    again, _ = batches(affine=True).draw(3, torch.device("cpu"))
    assert torch.equal(x, again) and labels.tolist() == LABELS[first.rows(3)].tolist()


def test_without_changes_the_images_are_as_they_are() -> None:
    drawn = batches()
    x, _ = drawn.draw(0, torch.device("cpu"))
    np.testing.assert_allclose(x[:, 0].numpy() * 255, IMAGES[drawn.rows(0), :, :, 0], atol=1e-4)


def test_flips_mirror_about_half_and_nothing_else() -> None:
    drawn = batches(flip=True)
    mirrored = 0
    for step in range(20):
        x, _ = drawn.draw(step, torch.device("cpu"))
        plain = IMAGES[drawn.rows(step), :, :, 0]
        for one, before in zip(x[:, 0].mul(255).round().numpy(), plain, strict=True):
            is_mirrored = np.array_equal(one, before[:, ::-1])
            assert is_mirrored or np.array_equal(one, before)
            mirrored += is_mirrored
    assert 50 < mirrored < 110


def test_affine_changes_are_small() -> None:
    """A blob in the middle stays within the shift of 8 % of the side; its mass changes little."""
    across = np.arange(32) - 15.5
    blob = np.exp(-(across[:, None] ** 2 + across**2) / 18).astype(np.float32)
    x = torch.from_numpy(blob)[None, None].repeat(200, 1, 1, 1)
    views = draw_affine(200, np.random.default_rng(0), flip=False, affine=True)
    moved = apply_views(x, views)[:, 0].numpy()
    mass = moved.sum(axis=(1, 2))
    centre = (moved.sum(axis=1) * across).sum(axis=1) / mass
    assert np.abs(centre).max() < 0.08 * 32 * 1.25 and np.abs(centre).std() > 0.3
    assert 0.7 < mass.min() / blob.sum() and mass.max() / blob.sum() < 1.4


def test_one_class_is_refused() -> None:
    with pytest.raises(ConfigError, match="two classes"):
        ClassBatches(IMAGES, np.zeros(50, np.int64), 8, flip=False, affine=False, seed=0)
