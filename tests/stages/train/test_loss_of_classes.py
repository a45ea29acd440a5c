"""The held-out loss of a network that knows classes is measured with the images' own."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from numpy.typing import NDArray

from scoremix.models.method.ladder import noise_ladder
from scoremix.models.network.architecture import Architecture
from scoremix.models.network.checkpoint import build
from scoremix.stages.common.progress import Silent
from scoremix.stages.ingest.ingest import IngestConfig, ingest
from scoremix.stages.train import train as training
from scoremix.stages.train.config import ALGORITHM, ALGORITHM_OF_CLASSES, TrainConfig
from scoremix.stages.train.validation import band_losses


def test_the_loss_is_of_each_images_class() -> None:
    """A network whose class 1 is far off: its loss is a mean over the images of both classes."""
    ladder = noise_ladder(3.0)
    net = build(Architecture(1, 8, 8, network="unet", classes=2), ladder, 5)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for weights in net.parameters():  # at first many are 0, and classes change nothing
            weights.add_(0.1 * torch.randn(weights.shape, generator=generator))
    images = np.random.default_rng(0).integers(256, size=(70, 8, 8, 1), dtype=np.uint8)

    def losses(labels: NDArray[np.int64] | None) -> NDArray[np.float64]:
        found = band_losses(net, ladder, images, 0, torch.device("cpu"), labels)
        return np.array(list(found.values()))

    def all_of(id_: int) -> NDArray[np.float64]:
        return losses(np.full(70, id_))

    np.testing.assert_array_equal(all_of(2), losses(None))  # the last is the null class
    assert not np.allclose(all_of(0), all_of(1), rtol=1e-4)
    alternating = np.arange(70) % 2
    both = losses(alternating) + losses(1 - alternating)
    np.testing.assert_allclose(both, all_of(0) + all_of(1), rtol=1e-5)


@pytest.mark.parametrize("labels", [True, False])
def test_a_training_measures_with_the_classes_of_the_images(
    labels: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = tiny.make_images(tmp_path / "images")
    config = IngestConfig(source=str(images), resolution=8, holdout=0.2)
    corpus = ingest(config, tmp_path / "corpus", seed=0, progress=Silent())
    seen: list[Any] = []

    def spy(*given: Any) -> dict[str, float]:
        seen.append(given[5])
        return band_losses(*given)

    monkeypatch.setattr(training, "band_losses", spy)
    wanted = {"preset": "tiny", "network": "unet", "width": 4, "batch": 4, "steps": 0}
    facts = training.train(
        TrainConfig.model_validate(wanted | {"labels": labels}).resolved(8, "cpu", 16),
        corpus,
        tmp_path / "net",
        seed=0,
        t0=1.0,
        device="cpu",
        progress=Silent(),
    )
    assert facts["algorithm"] == (ALGORITHM_OF_CLASSES if labels else ALGORITHM)
    if not labels:
        assert seen == [None, None]
        return
    assert np.array_equal(seen[0], corpus.training_ids)
    assert np.array_equal(seen[1], corpus.reference_ids) and set(seen[1]) == {0, 1}
