"""An extractor must see known damage before its "better" and "no different" count."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from blob_corpus import Corpus, Images, evaluated, noisy, real_looking

from scoremix.models.features.random_net import RandomNet
from scoremix.models.metrics import distortions
from scoremix.models.metrics.distances import Reference
from scoremix.models.metrics.distortions import DISTORTIONS
from scoremix.stages.common.progress import Silent
from scoremix.stages.evaluate.config import EvaluateConfig
from scoremix.stages.evaluate.feature_cache import FeatureCache
from scoremix.stages.evaluate.sensitivity import measure_sensitivity


class Levels(torch.nn.Module):
    """(B, 3, H, W) -> (B, 2): mean and mean square of the pixels, wherever they are."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.stack([x.mean(dim=[1, 2, 3]), (x * x).mean(dim=[1, 2, 3]) / 100], dim=1)


@pytest.mark.parametrize("name", DISTORTIONS)
def test_large_sets_are_damaged_some_images_at_a_time(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = np.random.default_rng(0).integers(0, 256, (7, 8, 8, 3)).astype(np.uint8)
    whole = DISTORTIONS[name](images, np.random.default_rng(1))
    change = distortions.grey_levels(images, whole)
    assert change == pytest.approx(np.sqrt(np.mean((whole.astype(float) - images) ** 2)))
    monkeypatch.setattr(distortions, "_PART_VALUES", 2 * images[0].size)
    np.testing.assert_array_equal(DISTORTIONS[name](images, np.random.default_rng(1)), whole)
    assert distortions.grey_levels(images, whole) == change


@pytest.mark.parametrize("name", DISTORTIONS)
def test_damage_is_what_it_is_called(name: str) -> None:
    images = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3)).astype(np.uint8)
    damaged = DISTORTIONS[name](images, np.random.default_rng(1))
    assert damaged.shape == images.shape and damaged.dtype == np.uint8
    assert not np.array_equal(damaged, images)
    again = DISTORTIONS[name](images, np.random.default_rng(1))
    np.testing.assert_array_equal(again, damaged)
    before, after = images.astype(float), damaged.astype(float)
    if name == "half the contrast":
        assert np.allclose(after.std(axis=(1, 2, 3)), before.std(axis=(1, 2, 3)) / 2, rtol=0.02)
        assert np.allclose(after.mean(axis=(1, 2, 3)), before.mean(axis=(1, 2, 3)), atol=0.5)
    if name == "shuffled patches":
        np.testing.assert_array_equal(np.sort(after, axis=None), np.sort(before, axis=None))
    if name == "noise":
        assert 15 < (after - before).std() < 20.5  # of 20, less what is clipped
    if name == "blur":
        assert np.allclose(
            DISTORTIONS[name](np.full_like(images, 77), np.random.default_rng(1)), 77
        )
    if name == "ghosts":
        assert not any(np.allclose(after[i], before[i], atol=5) for i in range(len(images)))


def test_an_extractor_that_misses_damage_gives_no_verdict(tmp_path: Path) -> None:
    torch.jit.save(torch.jit.script(Levels()), str(tmp_path / "levels.pt"))
    config = EvaluateConfig(rows=600, features=str(tmp_path / "levels.pt"))
    verdict, metrics = Corpus(real_looking).evaluate(tmp_path / "out", config=config)
    assert "shuffled patches" in metrics["sensitivity"]["not_seen"]
    assert verdict.kind == "none"
    assert "No verdict: kd_levels does not see" in verdict.text
    assert "shuffled patches" in verdict.text and "evaluate.features" in verdict.text
    assert "Measured nevertheless: kernel distance" in verdict.text
    assert "BETTER" not in verdict.text and "NO DIFFERENT" not in verdict.text


@pytest.mark.parametrize(("make", "kind"), [(real_looking, "better"), (noisy, "worse")])
def test_what_looks_worse_to_a_blind_one_is_worse(
    make: Callable[[Images], Images], kind: str, tmp_path: Path
) -> None:
    """Levels see contrast, so grain and ghosts; that is enough for "worse" alone."""
    torch.jit.save(torch.jit.script(Levels()), str(tmp_path / "levels.pt"))
    config = EvaluateConfig(rows=600, features=str(tmp_path / "levels.pt"))
    verdict, _ = Corpus(make).evaluate(tmp_path / "blind", config=config)
    assert verdict.kind == ("worse" if kind == "worse" else "none")
    seeing = evaluated(make)
    assert seeing.verdict.kind == kind and seeing.metrics["sensitivity"]["not_seen"] == []


def test_damage_that_changes_nothing_is_left_out() -> None:
    """Blur of smooth pictures, compression of flat ones: nothing that an eye sees."""
    level = np.random.default_rng(0).integers(40, 200, (80, 1, 1, 1))
    flat = np.broadcast_to(level, (80, 16, 16, 1)).astype(np.uint8)
    found = measure_sensitivity(
        RandomNet(flat),
        flat,
        np.arange(80),
        Reference(RandomNet(flat)(flat[::-1])),
        FeatureCache(None),
        count=60,
        seed=0,
        progress=Silent(),
    )
    assert found.images == 60
    assert set(found.seen) == {"noise", "ghosts"}
