"""A network that knows classes and is of an earlier version, which judged it by its null class."""

import json
from pathlib import Path
from typing import Any

import pytest
import tiny
from in_process import cli

from scoremix.stages.train.config import ALGORITHM, ALGORITHM_OF_CLASSES


def recorded(run: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run / "stages.lock.json").read_bytes())
    return found


def test_it_is_kept_and_a_lost_one_is_trained_as_now(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = tiny.make_images(tmp_path / "images")
    stages, run = tmp_path / "stages.yaml", tmp_path / "run"
    stages.write_text(f"run: run\ningest: {{source: {images}}}\n")
    words = tiny.options(train__labels=True, train__network="unet", generate__method="sample")
    assert cli("run", stages, "--until", "write", "--quiet", *words) == 0
    lock = recorded(run)
    assert lock["stages"]["train"]["inputs"]["algorithm"] == ALGORITHM_OF_CLASSES
    lock["stages"]["train"]["inputs"]["algorithm"] = ALGORITHM
    (run / "stages.lock.json").write_text(json.dumps(lock))
    weights, shards = run / "score-net" / "model.safetensors", tiny.digests(run / "shards")
    before = weights.stat().st_mtime_ns

    assert cli("run", stages, "--until", "write", *words) == 0
    assert "train: up to date" in capsys.readouterr().err
    assert weights.stat().st_mtime_ns == before and tiny.digests(run / "shards") == shards
    (run / "shards" / "aug-000000.tar").unlink()
    assert cli("repair", run, "--quiet") == 0
    assert tiny.digests(run / "shards") == shards
    capsys.readouterr()
    assert cli("status", run, "--json") == 0
    states = {one["stage"]: one["state"] for one in json.loads(capsys.readouterr().out)["stages"]}
    assert states["train"] == states["write"] == "done"

    weights.unlink()
    assert cli("run", stages, "--until", "train", "--quiet", *words) == 0
    assert recorded(run)["stages"]["train"]["inputs"]["algorithm"] == ALGORITHM_OF_CLASSES
