"""The shards, the run's own files and what was there before it stay apart."""

from pathlib import Path

import pytest
import tiny
from earlier import edit_ledger
from in_process import cli
from remote_runs import augment

WRITE = ("--until", "write")


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.make_images(tmp_path_factory.mktemp("made") / "images")


def below(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


# --- shards among the run's own files


@pytest.mark.parametrize(
    "out", ["run/report", "run/trial/mine", "run/.scoremix/x", "run/means.safetensors", "run", "."]
)
def test_shards_among_the_runs_own_files_are_refused(
    out: str, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for more in ((), ("--dry-run",)):
        assert augment(images, tmp_path / out, "--run", tmp_path / "run", *WRITE, *more) == 2
        assert "as " + str(tmp_path / "run" / "shards") in capsys.readouterr().err
    assert below(tmp_path) == []


def test_links_into_the_runs_own_files_are_followed(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "disk").mkdir()
    (tmp_path / "run" / "report").symlink_to(tmp_path / "disk")
    (tmp_path / "out").symlink_to(tmp_path / "run" / "corpus")
    for out in ("disk/photos", "out"):
        assert augment(images, tmp_path / out, "--run", tmp_path / "run", *WRITE) == 2
        assert "lies in" in capsys.readouterr().err
    assert below(tmp_path) == ["disk", "out", "run", "run/report"]


def test_forget_does_not_remove_shards_that_lie_among_the_runs_own_files(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert augment(images, run / "photos", "--run", run, *WRITE) == 0
    (run / "report").mkdir()
    (run / "photos").rename(run / "report" / "photos")
    edit_ledger(run, lambda content: content.update(shards="report/photos"))
    before = tiny.digests(run)
    assert cli("forget", run, "000003", "--quiet") == 2
    assert f"{run}/report, which the run itself fills" in capsys.readouterr().err
    assert tiny.digests(run) == before
    # What the message says.
    (run / "report" / "photos").rename(tmp_path / "photos")
    assert augment(images, tmp_path / "photos", "--run", run, *WRITE) == 0
    assert cli("forget", run, "000003", "--quiet") == 0
    assert cli("verify", tmp_path / "photos") == 0
    assert not (run / "report").exists()
