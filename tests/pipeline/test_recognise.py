"""The stage `recognise` in the spine: only where classes are composed; stale, resumed, refused.

No method composes here yet: `mixup` stands for one.
"""

import json
from pathlib import Path

import pytest
import tiny

from scoremix.manifests.errors import VerifyError
from scoremix.manifests.files.crash_points import RECOGNISE_POINTS
from scoremix.manifests.run_folder import STAGES, RunFolder
from scoremix.pipeline import composed
from scoremix.pipeline.cli import commands, exit_code
from scoremix.pipeline.config import load_config
from scoremix.pipeline.job import Job
from scoremix.pipeline.ledger import Ledger
from scoremix.pipeline.progress import ProgressReporter
from scoremix.pipeline.run import run as run_job

QUICK = {"recognise__epochs": 4, "recognise__batch": 4, "recognise__width": 4,
         "recognise__embedding": 4, "generate__method": "mixup"}  # fmt: skip


def cli(*words: str | Path) -> int:
    texts = [str(word) for word in words]
    return exit_code(lambda: commands.main(texts, standalone_mode=False))


@pytest.fixture
def stages(tmp_path: Path) -> Path:
    images = tiny.make_images(tmp_path / "images")
    path = tmp_path / "stages.yaml"
    path.write_text(f"run: {tmp_path / 'run'}\ningest: {{source: {images}}}\n")
    return path


@pytest.fixture
def composing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(composed, "NEEDS_NEW_CLASSES", frozenset({"mixup"}))


def build(stages: Path, *more: str, **changed: object) -> int:
    return cli("run", stages, "--quiet", *tiny.options(**QUICK | changed), *more)


def states(run: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    capsys.readouterr()
    assert cli("status", run, "--json") == 0
    return {one["stage"]: one["state"] for one in json.loads(capsys.readouterr().out)["stages"]}


def test_a_run_by_another_method_has_no_trace_of_it(
    stages: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert build(stages, "--until", "plan") == 0
    run = stages.parent / "run"
    assert "recognise" not in Ledger(run).stages and not RunFolder(run).recogniser.exists()
    assert "recognise" not in states(run, capsys)


def test_it_comes_before_the_plan_and_is_up_to_date_afterwards(
    stages: Path, composing: None, capsys: pytest.CaptureFixture[str]
) -> None:
    run = stages.parent / "run"
    assert build(stages, "--until", "recognise") == 0
    assert RunFolder(run).new_classes.is_file() and not RunFolder(run).plan.exists()
    found = composed.selected_classes(RunFolder(run), Ledger(run))
    assert [one.name for one in found] == ["left+right"]
    before = tiny.digests(RunFolder(run).recogniser)
    assert build(stages) == 0
    assert tiny.digests(RunFolder(run).recogniser) == before
    assert states(run, capsys)["recognise"] == "done"
    assert cli("status", run) == 0
    assert "recognise: done, 1 new classes" in capsys.readouterr().out


def test_other_options_select_again_and_are_named(
    stages: Path, composing: None, capsys: pytest.CaptureFixture[str]
) -> None:
    run = stages.parent / "run"
    assert build(stages, "--until", "recognise") == 0
    state = RunFolder(run).recogniser / "state.safetensors"
    before = state.stat().st_mtime_ns
    assert build(stages, "--until", "recognise", recognise__selection="close") == 0
    assert composed.selected_classes(RunFolder(run), Ledger(run))[0].selection == "close"
    assert state.stat().st_mtime_ns == before  # trained by the same options
    assert build(stages, "--until", "recognise", recognise__epochs=5) == 0
    assert state.stat().st_mtime_ns != before


def test_a_changed_list_is_not_read_and_made_again(stages: Path, composing: None) -> None:
    run = stages.parent / "run"
    assert build(stages, "--until", "recognise") == 0
    path = RunFolder(run).new_classes
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b"0.5", b"0.6"))
    with pytest.raises(VerifyError, match="was changed after it was written"):
        composed.selected_classes(RunFolder(run), Ledger(run))
    assert build(stages, "--until", "recognise") == 0
    assert path.read_bytes() == whole


@pytest.mark.parametrize("point", RECOGNISE_POINTS)
def test_killed_and_gone_on_with_it_gives_the_same_bytes(stages: Path, point: str) -> None:
    """In processes of their own, in which `mixup` composes."""
    import subprocess
    import sys

    code = (
        "import sys; from scoremix.pipeline import composed;"
        "composed.NEEDS_NEW_CLASSES = frozenset({'mixup'});"
        "from scoremix.pipeline.cli import main; main(sys.argv[1:])"
    )

    def launch(folder: str, fault: str) -> int:
        words = ["run", stages, "--quiet", "--until", "recognise", *tiny.options(**QUICK)]
        words += ["--set", f"run={stages.parent / folder}"]
        command = [sys.executable, "-c", code, *map(str, words)]
        import os

        return subprocess.run(command, env={**os.environ, "SCOREMIX_FAULT": fault}).returncode

    assert launch("killed", f"kill:{point}") == -9
    assert launch("killed", "") == launch("whole", "") == 0
    one, other = (stages.parent / name / "recogniser" for name in ("killed", "whole"))
    assert tiny.digests(one) == tiny.digests(other)


def test_too_few_classes_are_refused(
    stages: Path, composing: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert build(stages, "--until", "recognise", ingest__classes="none") == 2
    assert "two classes or more" in capsys.readouterr().err


@pytest.mark.parametrize("until", STAGES)
def test_every_process_of_a_launch_meets_as_many_barriers(
    until: str, stages: Path, composing: None, monkeypatch: pytest.MonkeyPatch
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
