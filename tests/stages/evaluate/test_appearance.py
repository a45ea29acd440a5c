"""Contrast and power spectrum as shares of real images', and their intervals."""

from pathlib import Path

import numpy as np
import pytest
from blob_corpus import Corpus, evaluated, noisy, real_looking, same
from numpy.typing import NDArray

from scoremix.models.metrics.contrast import radial_power
from scoremix.stages.evaluate.appearance import Look, share_of_real

Floats = NDArray[np.float64]


def drawn(seed: int, rows: int = 200) -> tuple[Floats, Floats, NDArray[np.int64]]:
    """Values of rows with parents in common, and of real images whose mean is twice as high."""
    random = np.random.default_rng(seed)
    parents = random.integers(0, 30, (rows, 2))
    of_parents = random.gamma(20, 1 / 20, 30)
    made = of_parents[parents].mean(axis=1) * random.gamma(50, 1 / 50, rows)
    return made, 2.0 * random.gamma(20, 1 / 20, 150), parents


def test_the_interval_is_as_wide_as_other_parents_scatter() -> None:
    found = [share_of_real(*drawn(seed)) for seed in range(200)]
    shares = np.array([share for share, _ in found])
    ends = np.array([interval for _, interval in found])
    assert shares.mean() == pytest.approx(0.5, rel=0.02)
    assert np.mean(ends[:, 1] - ends[:, 0]) == pytest.approx(2 * 1.96 * shares.std(), rel=0.2)
    assert np.mean((ends[:, 0] < 0.5) & (0.5 < ends[:, 1])) > 0.9


def test_without_power_there_is_no_share() -> None:
    made, real, parents = drawn(0)
    assert share_of_real(0 * made, real, parents) == (None, None)
    assert share_of_real(made, 0 * real, parents) == (None, None)


def test_power_is_found_at_its_frequency() -> None:
    across = 127.5 + 100 * np.cos(2 * np.pi * 3 * np.arange(16) / 16)
    wave = np.rint(np.tile(across, (16, 1))).astype(np.uint8)[None, :, :, None]
    power = radial_power(wave)[0]
    assert power.shape == (8,) and power.argmax() == 2
    assert power[2] > 1000 * np.delete(power, 2).max()


def test_looks_are_joined_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scoremix.stages.evaluate.appearance._CHUNK_VALUES", 100 * 8 * 8 * 3)
    images = np.random.default_rng(0).integers(0, 256, (600, 8, 8, 3), np.uint8)
    whole, part = Look.of(images), Look.of(images[500:])
    assert whole.power.shape == (600, 4)
    np.testing.assert_array_equal(whole.contrast[500:], part.contrast)


def test_faded_mixtures_and_noise_are_seen() -> None:
    metrics = evaluated(noisy).metrics
    judged = metrics["appearance"]["contrast"][-1]
    assert judged["lambda"] == "judged" and judged["mixup"]["interval_95"][1] < 0.9
    finest = {step: metrics["appearance"]["spectrum"][step] for step in ("mixup", "final")}
    assert finest["mixup"]["interval_95"][-1][1] < 1.0 < finest["final"]["interval_95"][-1][0]
    bands = [row["mixup"]["share"] for row in metrics["appearance"]["contrast"][:4]]
    assert bands == sorted(bands, reverse=True)  # the more mixed, the more faded


def test_real_looking_images_are_as_real_ones() -> None:
    metrics = evaluated(real_looking).metrics
    low, high = metrics["appearance"]["contrast"][-1]["final"]["interval_95"]
    assert low < 1.0 < high


def test_there_is_one_step_for_mixup_and_nothing_without_held_out_images(tmp_path: Path) -> None:
    metrics = evaluated(same, "mixup").metrics
    assert "mixup" not in metrics["appearance"]["spectrum"]
    _, metrics = Corpus(same, held_out=0).evaluate(tmp_path)
    assert metrics["appearance"] is None
