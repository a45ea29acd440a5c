"""When a training stops, which state is its guide, and by what the best state is chosen."""

from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from numpy.typing import NDArray

from scoremix.manifests.errors import ScoreMixError
from scoremix.models.method.ladder import noise_ladder
from scoremix.models.network.architecture import Architecture
from scoremix.models.network.checkpoint import GUIDE, build
from scoremix.models.network.ema import Ema
from scoremix.stages.common.progress import Silent
from scoremix.stages.ingest.ingest import IngestConfig, ingest
from scoremix.stages.train import train as training
from scoremix.stages.train import validation
from scoremix.stages.train.config import TrainConfig
from scoremix.stages.train.guide import drop_early_states, is_guide_step, keep_guide, save_guide
from scoremix.stages.train.validation import is_long_past, overall, real_norms


def test_the_mean_over_bands() -> None:
    bands = {"0-0.02": 0.8, "0.02-0.05": 0.2, "0.05-0.15": 0.1}
    assert overall(bands, None, geometric=False) == pytest.approx(1.1 / 3)
    assert overall(bands, None, geometric=True) == pytest.approx(0.016 ** (1 / 3))
    assert overall(bands, 0.03, geometric=False) == pytest.approx(0.5)  # bands that begin below
    # A tenth more in any band counts alike.
    for name in bands:
        worse = overall(bands | {name: 1.1 * bands[name]}, None, geometric=True)
        assert worse == pytest.approx(1.1 ** (1 / 3) * overall(bands, None, geometric=True))


@pytest.mark.parametrize(("side", "most"), [(8, 64), (64, 64), (128, 16), (256, 4), (1024, 1)])
def test_large_images_are_measured_in_smaller_batches(side: int, most: int) -> None:
    """A GPU that just holds its share of an update must not fail at the first checkpoint."""
    assert validation._batch_of(np.zeros((1, side, side, 3), dtype=np.uint8)) == most


def test_norms_of_real_images_are_those_of_their_own_classes() -> None:
    net = build(Architecture(1, 8, 8, network="unet", classes=2), noise_ladder(3.0))
    with torch.no_grad():
        for weights in net.parameters():  # at first many are 0, and classes change nothing
            weights.add_(0.1 * torch.randn_like(weights))
    images = np.random.default_rng(0).integers(256, size=(70, 8, 8, 1), dtype=np.uint8)

    def norms(*labels: int) -> NDArray[np.float32]:
        ids = np.resize(np.array(labels), len(images))
        return real_norms(net, 3.0, images, ids, torch.device("cpu"))

    first, second, mixed = norms(0), norms(1), norms(0, 1)
    assert not np.allclose(first, second, rtol=1e-4)
    np.testing.assert_allclose(mixed[::2], first[::2], rtol=1e-5)
    np.testing.assert_allclose(mixed[1::2], second[1::2], rtol=1e-5)


def test_it_waits_three_checkpoints_and_a_quarter_of_the_best_step() -> None:
    assert not is_long_past(1200, 1000, 100)
    assert is_long_past(1300, 1000, 100)
    assert not is_long_past(4900, 4000, 100)
    assert is_long_past(5000, 4000, 100)
    # Stopped between two checkpoints, it goes on to the next, as it would have without the stop.
    assert not is_long_past(4100, 3250, 250) and is_long_past(4250, 3250, 250)


def test_early_states_are_kept_at_powers_of_two_of_the_checkpoint() -> None:
    assert [step for step in range(0, 3500, 50) if is_guide_step(step, 100)] == [
        *(100, 200, 400, 800, 1600, 3200)
    ]
    assert not is_guide_step(100, None)


def test_the_guide_is_the_last_of_them_up_to_a_quarter_of_the_chosen_step(tmp_path: Path) -> None:
    (tmp_path / "last").mkdir()
    for step in (100, 200, 400, 800):
        net = build(Architecture(1, 8, 4, network="unet"), noise_ladder(3.0), seed=step)
        save_guide(tmp_path / "last", Ema(net, 0.9), step, "mine")

    def chosen(step: int) -> int | None:
        keep_guide(tmp_path, step, 100, "mine")
        if not (tmp_path / GUIDE).exists():
            return None
        content = (tmp_path / GUIDE).read_bytes()
        early = {path.read_bytes(): path.stem for path in (tmp_path / "last").iterdir()}
        return int(early[content].removeprefix("early-mine-"))

    # Of the network that was chosen at the first checkpoint there is no earlier state.
    assert [chosen(step) for step in (50, 100, 200, 700, 800, 1599, 1600, 3000)] == [
        *(None, None, 100, 100, 200, 200, 400, 400)
    ]
    drop_early_states(tmp_path / "last", "mine")
    assert len(list((tmp_path / "last").iterdir())) == 4
    drop_early_states(tmp_path / "last", "other")
    with pytest.raises(ScoreMixError, match="early-mine-200.safetensors is gone"):
        keep_guide(tmp_path, 800, 100, "mine")
    assert not list((tmp_path / "last").iterdir())
    keep_guide(tmp_path, 800, None, "mine")
    assert not (tmp_path / GUIDE).exists()


def test_a_training_ends_where_the_held_out_loss_has_turned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the same training asked again, or without the option, is told apart."""
    images = tiny.make_images(tmp_path / "images")
    corpus = ingest(
        IngestConfig(source=str(images), resolution=8, holdout=0.2),
        tmp_path / "corpus",
        seed=0,
        progress=Silent(),
    )
    monkeypatch.setattr(training, "is_long_past", lambda step, best_step, every: step >= 4)

    def steps(out: str, **options: object) -> int:
        given = {"network": "unet", "width": 4, "steps": 9, "batch": 4, "checkpoint_every": 2}
        config = TrainConfig.model_validate({"preset": "tiny", **given, **options})
        facts = training.train(
            config.resolved(8, "cpu", 16),
            corpus,
            tmp_path / out,
            seed=0,
            t0=0.25,
            device="cpu",
            progress=Silent(),
        )
        return int(facts["training"]["steps"])

    assert steps("net") == 4
    assert steps("net") == 4  # from its last state, without another step
    assert steps("other", early_stop=False) == 9
    assert steps("net", early_stop=False) == 9  # the state is of the same training, and goes on
    assert steps("refine", network="refinenet") == 9
