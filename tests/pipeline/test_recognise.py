"""The stage `recognise` in the spine: only where new classes are made; stale, resumed, refused.

By `mixup-classes`, which trains no score network.
"""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import tiny
from in_process import cli

from scoremix.manifests.errors import ConfigError, VerifyError
from scoremix.manifests.files.atomic import read_parquet
from scoremix.manifests.files.crash_points import RECOGNISE_POINTS
from scoremix.manifests.plan.new_classes import NewClass
from scoremix.manifests.run_folder import STAGES, RunFolder
from scoremix.pipeline.config import load_config
from scoremix.pipeline.finished_run import resolved_config
from scoremix.pipeline.job import Job
from scoremix.pipeline.ledger import Ledger
from scoremix.pipeline.new_classes import new_classes_of
from scoremix.pipeline.progress import ProgressReporter
from scoremix.pipeline.run import run as run_job
from scoremix.stages.corpus.store import open_corpus

QUICK = {"recognise__epochs": 4, "recognise__batch": 4, "recognise__width": 4,
         "recognise__embedding": 4, "generate__method": "mixup-classes",
         "generate__images_per_class": 5}  # fmt: skip


@pytest.fixture
def stages(tmp_path: Path) -> Path:
    images = tiny.make_images(tmp_path / "images")
    path = tmp_path / "stages.yaml"
    path.write_text(f"run: {tmp_path / 'run'}\ningest: {{source: {images}}}\n")
    return path


def build(stages: Path, *more: str, **changed: object) -> int:
    return cli("run", stages, "--quiet", *tiny.options(**QUICK | changed), *more)


def selected(run: Path) -> tuple[NewClass, ...]:
    files, ledger = RunFolder(run), Ledger(run)
    corpus = open_corpus(files.corpus)
    return new_classes_of(files, resolved_config(files, ledger, corpus), corpus, ledger)


def states(run: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    capsys.readouterr()
    assert cli("status", run, "--json") == 0
    return {one["stage"]: one["state"] for one in json.loads(capsys.readouterr().out)["stages"]}


def test_a_run_by_another_method_has_no_trace_of_it(
    stages: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert build(stages, "--until", "plan", generate__method="mixup") == 0
    run = stages.parent / "run"
    assert "recognise" not in Ledger(run).stages and not RunFolder(run).recogniser.exists()
    assert "recognise" not in states(run, capsys)


def test_it_comes_before_the_plan_and_is_up_to_date_afterwards(
    stages: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = stages.parent / "run"
    assert build(stages, "--until", "recognise") == 0
    assert RunFolder(run).new_classes.is_file() and not RunFolder(run).plan.exists()
    assert [one.name for one in selected(run)] == ["left+right"]
    before = tiny.digests(RunFolder(run).recogniser)
    assert build(stages) == 0
    assert tiny.digests(RunFolder(run).recogniser) == before
    assert states(run, capsys)["recognise"] == "done"
    assert cli("status", run) == 0
    assert "recognise: done, 1 new classes" in capsys.readouterr().out


def test_other_options_select_again_and_are_named(
    stages: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = stages.parent / "run"
    assert build(stages, "--until", "recognise") == 0
    state = RunFolder(run).recogniser / "state.safetensors"
    before = state.stat().st_mtime_ns
    assert build(stages, "--until", "recognise", recognise__selection="close") == 0
    assert selected(run)[0].selection == "close"
    assert state.stat().st_mtime_ns == before  # trained by the same options
    assert build(stages, "--until", "recognise", recognise__epochs=5) == 0
    assert state.stat().st_mtime_ns != before


def test_other_pairs_are_another_plan_and_other_weights_train_nothing(
    stages: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Builds on three classes; one of three pairs is asked for."""
    run = stages.parent / "run"
    tiny.make_images(stages.parent / "images", ("left", "right", "thin"))
    one: dict[str, object] = {"generate__new_classes": 1, "ingest__holdout": 0}
    assert build(stages, "--dry-run", **one) == 0
    shown = capsys.readouterr().out
    assert "30 real + 5 augmented (1 new classes of 5)" in shown and "recognise:" in shown
    assert build(stages, "--until", "plan", **one) == 0
    state = RunFolder(run).recogniser / "state.safetensors"
    (far,), plan, before = selected(run), Ledger(run).outcome("plan"), state.stat().st_mtime_ns
    assert build(stages, "--dry-run", **one) == 0
    assert "up to date, the new classes are kept" in capsys.readouterr().out

    assert build(stages, "--until", "plan", recognise__selection="close", **one) == 0
    (near,) = selected(run)
    assert near.classes != far.classes and near.distance < far.distance
    assert Ledger(run).outcome("plan")["digest"] != plan["digest"]

    assert build(stages, "--until", "plan", generate__weights=[0.7, 0.3], **one) == 0
    assert selected(run) == (replace(far, weights=(0.7, 0.3)),)
    assert set(read_parquet(RunFolder(run).plan)["lambda"].to_pylist()) == {1.0, 0.7}
    assert state.stat().st_mtime_ns == before
    assert build(stages, "--until", "plan", **one) == 0
    assert Ledger(run).outcome("plan")["digest"] == plan["digest"]


def test_a_file_that_a_run_saved_with_members_is_still_read(stages: Path) -> None:
    """The option is gone: generate.weights says how many classes a new one mixes."""
    assert build(stages, "--until", "ingest") == 0
    config = RunFolder(stages.parent / "run").config
    saved = config.read_text()
    config.write_text(
        saved.replace("  selection: distant\n", "  selection: distant\n  members: 2\n")
    )
    assert config.read_text() != saved
    assert load_config(config, []).recognise.selection == "distant"
    stages.write_text(stages.read_text() + "recognise: {members: 3}\n")
    with pytest.raises(ConfigError, match="members"):
        load_config(stages, [])


def test_a_changed_list_is_not_read_and_made_again(stages: Path) -> None:
    run = stages.parent / "run"
    assert build(stages, "--until", "recognise") == 0
    path = RunFolder(run).new_classes
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b"0.5", b"0.6"))
    with pytest.raises(VerifyError, match="was changed after it was written"):
        selected(run)
    assert build(stages, "--until", "recognise") == 0
    assert path.read_bytes() == whole


@pytest.mark.parametrize("point", RECOGNISE_POINTS)
def test_killed_and_gone_on_with_it_gives_the_same_bytes(stages: Path, point: str) -> None:
    def words(folder: str) -> list[str | Path]:
        place = f"run={stages.parent / folder}"
        return ["run", stages, "--quiet", *tiny.options(**QUICK), "--set", place]

    killed = tiny.command(words("killed"), SCOREMIX_FAULT=f"kill:{point}")
    assert killed.returncode == -9 and not RunFolder(stages.parent / "killed").plan.exists()
    for folder in ("killed", "whole"):
        assert cli(*words(folder), "--until", "write") == 0
    for part in ("recogniser", "shards"):
        one, other = (tiny.digests(stages.parent / name / part) for name in ("killed", "whole"))
        assert one and one == other


def test_too_few_classes_are_refused(stages: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert build(stages, "--until", "recognise", ingest__classes="none") == 2
    assert "which makes images of classes, and the images have none" in capsys.readouterr().err
    assert build(stages, "--until", "recognise", generate__new_classes=2) == 2
    assert "generate.new_classes is 2" in capsys.readouterr().err


@pytest.mark.parametrize("until", STAGES)
def test_every_process_of_a_launch_meets_as_many_barriers(
    until: str, stages: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from scoremix.pipeline import launch

    config = load_config(stages, list(tiny.options(**QUICK)[1::2]))
    folder, met = Path(config.run), {0: 0, 1: 0}
    monkeypatch.setattr(launch, "world_size", lambda: 2)
    for rank in met:

        def wait(device: str, rank: int = rank) -> None:
            met[rank] += 1

        monkeypatch.setattr(launch, "rank", lambda rank=rank: rank)
        monkeypatch.setattr(launch, "wait_for_all", wait)
        progress = ProgressReporter(quiet=True)
        run_job(Job(config, folder, folder / "shards", "cpu", progress, until=until))
    composes = STAGES.index(until) >= STAGES.index("recognise")
    writes = STAGES.index(until) >= STAGES.index("write")
    assert met[0] == met[1] == 1 + composes + writes
