"""train.tracker: losses and samples go to accelerate's trackers; nothing that is made changes."""

import json
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
from accelerate import Accelerator
from accelerate.tracking import GeneralTracker
from in_process import cli
from numpy.typing import NDArray

from scoremix.stages.train import train as training


class Recorder(GeneralTracker):  # type: ignore[misc]
    """A tracker that keeps what it is given."""

    name = "recorder"
    requires_logging_directory = False

    def __init__(self) -> None:
        super().__init__()
        self.logged: list[tuple[int, dict[str, float]]] = []
        self.sheets: list[tuple[int, NDArray[np.uint8]]] = []
        self.finished = False

    @property
    def tracker(self) -> "Recorder":
        return self

    def store_init_configuration(self, values: dict[str, Any]) -> None:
        self.options = values

    def log(self, values: dict[str, float], step: int | None = None, **_: Any) -> None:
        assert step is not None
        self.logged.append((step, values))

    def log_images(self, values: dict[str, Any], step: int | None = None, **_: Any) -> None:
        assert step is not None
        self.sheets.append((step, values["samples"]))

    def finish(self) -> None:
        self.finished = True


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.make_images(tmp_path_factory.mktemp("images"))


def augment(data: Path, out: Path, *words: str, **changed: object) -> int:
    arguments = ["augment", "--data", str(data), "--out", str(out), "--device", "cpu", *words]
    arguments += tiny.options(**changed)
    return cli(*arguments)


def test_a_tracker_sees_each_checkpoint_and_changes_nothing(
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert augment(data, tmp_path / "plain", "--until", "write") == 0
    recorder = Recorder()
    monkeypatch.setitem(sys.modules, "wandb", types.ModuleType("wandb"))
    monkeypatch.setattr(
        training, "tracked_accelerator", lambda *_: Accelerator(cpu=True, log_with=recorder)
    )
    assert augment(data, tmp_path / "seen", "--until", "write", train__tracker="wandb") == 0

    assert [step for step, _ in recorder.logged] == [3, 6]
    line = json.loads((tmp_path / "seen.run/score-net/train.jsonl").read_text().splitlines()[-1])
    values = recorder.logged[-1][1]
    assert values["loss"] == line["loss"]
    for band, loss in line["bands"]["held_out"].items():
        assert values[f"held_out/sigma {band}"] == loss
    assert recorder.options["tracker"] == "wandb" and recorder.finished
    steps, sheets = zip(*recorder.sheets, strict=True)
    assert steps == (3, 6)
    assert all(sheet.shape == (16, 8, 8, 3) and sheet.dtype == np.uint8 for sheet in sheets)
    assert not np.array_equal(*sheets)  # the network has learnt in between

    for made in ("", ".run/score-net", ".run/corpus"):
        plain, seen = (tmp_path / f"{name}{made}" for name in ("plain", "seen"))
        same = [tiny.digests(folder) for folder in (plain, seen)]
        for each in same:  # it has the rate of the training
            each.pop("train.jsonl", None)
        assert same[0] == same[1]

    # Another tracker, or none, is no other training.
    capsys.readouterr()
    assert augment(data, tmp_path / "seen", "--until", "write") == 0
    assert "train: up to date" in capsys.readouterr().err


def test_a_tracker_that_is_missing_is_named_before_anything_is_made(
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    assert augment(data, tmp_path / "shards", train__tracker="wandb") == 2
    shown = capsys.readouterr().err
    assert 'pip install "scoremix-pipeline[wandb]"' in shown and "train.tracker: none" in shown
    assert not list(tmp_path.iterdir())


def test_tensorboard_reads_what_was_written(data: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    assert augment(data, tmp_path / "s", "--until", "train", train__tracker="tensorboard") == 0
    events = EventAccumulator(str(tmp_path / "s.run" / "tracking" / "scoremix"))
    events.Reload()
    assert [event.step for event in events.Scalars("loss")] == [3, 6]
    assert any(tag.startswith("held_out/") for tag in events.Tags()["scalars"])
    assert {image.step for tag in events.Tags()["images"] for image in events.Images(tag)} == {3, 6}
