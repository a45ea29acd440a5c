"""The one spine in its three roles: who waits for whom, what each is left with."""

import json
from pathlib import Path

import pytest
import tiny

from scoremix.manifests.files.lock import shard_lock
from scoremix.manifests.run_folder import STAGES, RunFolder
from scoremix.pipeline import launch
from scoremix.pipeline.config import Config, load_config
from scoremix.pipeline.job import Job
from scoremix.pipeline.progress import ProgressReporter
from scoremix.pipeline.run import run
from scoremix.pipeline.shards.local import LocalDestination
from scoremix.pipeline.status import describe


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """The config of a run in tmp_path/run that needs no network."""
    tiny.make_images(tmp_path / "images")
    path = tmp_path / "stages.yaml"
    path.write_text("run: run\ningest: {source: images}\ngenerate: {method: mixup}\n")
    return load_config(path, list(tiny.options(generate__method="mixup")[1::2]))


def job(config: Config, until: str = STAGES[-1]) -> Job:
    folder = Path(config.run)
    return Job(config, folder, folder / "shards", "cpu", ProgressReporter(quiet=True), until=until)


@pytest.mark.parametrize("until", STAGES)
def test_every_process_of_a_launch_meets_as_many_barriers(
    until: str, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that waits once more than the others waits for ever."""
    met = {0: 0, 1: 0}
    monkeypatch.setattr(launch, "world_size", lambda: 2)
    for rank in met:

        def wait(device: str, rank: int = rank) -> None:
            met[rank] += 1

        monkeypatch.setattr(launch, "rank", lambda rank=rank: rank)
        monkeypatch.setattr(launch, "wait_for_all", wait)
        run(job(config, until))
    assert met[0] == met[1] == (2 if until in ("write", "evaluate") else 1)


def test_a_shard_that_fails_is_not_left_locked(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError("no space")

    monkeypatch.setattr(LocalDestination, "write_shard", full)
    with pytest.raises(OSError, match="no space") as caught:
        run(job(config))
    assert caught.tb is not None  # whose frames still hold the loop over the shards
    for name in ("real-000000", "aug-000000"):
        with shard_lock(Path(config.run), name) as is_ours:
            assert is_ours, name


def test_status_of_a_run_whose_options_were_emptied(config: Config) -> None:
    run(job(config, "plan"))
    files = RunFolder(Path(config.run))
    assert describe(files.path).splitlines()[0].startswith("ingest:   done")
    files.config.write_text("")
    assert describe(files.path).startswith("ingest:   stale, changed: ")


def test_status_shows_the_progress_of_what_is_not_done(config: Config) -> None:
    run(job(config, "plan"))
    files = RunFolder(Path(config.run))

    def seen(task: str) -> bool:
        line = {"task": task, "done": 3, "total": 9, "rate": 1.0, "left": 6.0}
        files.progress_log.write_text(json.dumps(line) + "\n")
        return f"last seen: {task} 3 of 9" in describe(files.path)

    assert seen("generate") and not seen("train") and not seen("ingest")
