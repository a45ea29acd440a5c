"""The command `recognition`: files left, that it goes on, killed or not; what is refused."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
from in_process import cli
from PIL import Image

from scoremix.manifests.files.crash_points import RECOGNITION_POINTS
from scoremix.stages.corpus.store import open_corpus
from scoremix.stages.recognise.run import RecogniserDiverged, RecogniserRun

QUICK = (
    "--set", "recognise.epochs=3", "--set", "recognise.width=4", "--set", "recognise.embedding=4",
    "--set", "recognise.batch=8", "--set", "recognition.episodes=3",
    "--set", "recognition.resamples=20",
)  # fmt: skip


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recognition")
    images = tiny.make_bars(folder / "images", range(0, 4))
    tiny.make_bars(folder / "unseen", range(4, 7))
    (folder / "stages.yaml").write_text(f"run: run\ningest: {{source: {images}}}\n")
    options = tiny.options(generate__method="mixup", generate__ratio=1)
    assert cli("run", folder / "stages.yaml", "--until", "write", "--quiet", *options) == 0
    return folder


@pytest.fixture
def run(built: Path, tmp_path: Path) -> Path:
    shutil.copytree(built / "unseen", tmp_path / "unseen")
    return Path(shutil.copytree(built / "run", tmp_path / "run"))


@pytest.fixture(scope="module")
def undisturbed(built: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The record of `real` and `real+affine` with one seed, trained one after the other."""
    root = tmp_path_factory.mktemp("undisturbed")
    shutil.copytree(built / "unseen", root / "unseen")
    run = Path(shutil.copytree(built / "run", root / "run"))
    assert compare(run, "--arms", "real,real+affine", "--seeds", "1") == 0
    return record(run)


def compare(run: Path, *more: str) -> int:
    words = ("recognition", run, "--quiet", "--processes", "1", *QUICK)
    return cli(*words, "--unseen", run.parent / "unseen", *more)


def record(run: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((run / "recognition" / "recognition.json").read_bytes())
    return loaded


def test_it_compares_and_goes_on(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert compare(run, "--arms", "real,own", "--seeds", "2") == 0
    shown, first = capsys.readouterr().out, record(run)
    assert first["conclusion"] in shown and "30 images of 3 classes never seen" in shown
    assert (run / "recognition" / "table.txt").read_text() in shown
    assert first["arms"] == ["real", "own"]
    assert first["images"] == {"real": 32, "own": 64}  # a fifth of 40 is held out
    figures = first["results"]["real"][0]["figures"]
    assert {"accuracy", "eer", "rank_1", "one_shot", "roc"} <= set(figures)
    assert "tar_0.01" not in figures  # 300 impostor pairs give 3 at that FAR
    # Half of what `own` shows is real: as many passes over the real images take twice as long.
    updates = [first["results"][arm][0]["updates"] for arm in ("real", "own")]
    assert updates == [12, 24] and first["passes_over_real_images"] == {"real": 3, "own": 3}

    # The same command trains nothing; another arm and a third seed leave what there is.
    (state,) = (run / "recognition" / "recognisers" / "own").glob("*/seed-1/result.json")
    before = state.stat().st_mtime_ns
    assert compare(run, "--arms", "real,own,real+affine", "--seeds", "3") == 0
    assert state.stat().st_mtime_ns == before
    assert record(run)["results"]["own"][:2] == first["results"]["own"]
    assert len(record(run)["results"]["real+affine"]) == 3


def test_what_is_trained_is_judged_again_without_training(run: Path) -> None:
    """Other episodes, other unseen classes, another length and back again."""
    words = ("--arms", "real,own", "--seeds", "2")
    assert compare(run, *words) == 0
    first = record(run)
    states = {path: path.stat().st_mtime_ns for path in run.rglob("recognisers/**/state.*")}
    assert len(states) == 4
    shutil.rmtree(run.parent / "unseen" / "row4")
    assert compare(run, *words) == 0
    fewer = record(run)["results"]["own"][1]
    assert fewer["figures"]["eer"] != first["results"]["own"][1]["figures"]["eer"]
    assert fewer["seconds"] == first["results"]["own"][1]["seconds"] is not None
    assert compare(run, *words, "--set", "recognition.length=updates") == 0
    equal = record(run)
    assert equal["passes_over_real_images"] == {"real": 3, "own": 1.5}
    assert len({one["updates"] for found in equal["results"].values() for one in found}) == 1
    assert {path: path.stat().st_mtime_ns for path in states} == states
    assert len([*run.rglob("recognisers/**/state.*")]) == 6  # of `real` they are the same


def test_a_recogniser_that_diverges_costs_its_arm(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    update = RecogniserRun.update

    def diverges(self: RecogniserRun) -> None:
        if self._batches._affine and self.seed % 1000 == 1:
            raise RecogniserDiverged("The recogniser's loss is nan at update 3.")
        update(self)

    monkeypatch.setattr(RecogniserRun, "update", diverges)
    assert compare(run, "--arms", "real,own,real+affine", "--seeds", "2") == 0
    assert "real+affine failed, seed 1: The recogniser's loss is nan" in capsys.readouterr().out
    assert record(run)["arms"] == ["real", "own"]


def test_arms_are_compared_with_a_chosen_one(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--arms", "real,own,mixup-classes", "--seeds", "2")
    chosen = ("--set", "recognition.against=own", "--set", "recognition.figure=rank_1")
    assert compare(run, *words, *chosen) == 0
    shown = capsys.readouterr().out
    assert "less own, points" in shown and list(record(run)["less_against"]) == ["mixup-classes"]
    assert "rank-1" in record(run)["conclusion"]
    assert compare(run, *words, "--set", "recognition.against=real") == 2
    assert (
        "no arm with made images, nor real@twice; there are own, mixup-classes"
        in capsys.readouterr().err
    )
    assert compare(run, *words, "--set", "recognition.figure=tar_0.001") == 2
    assert "was not measured; there are eer, rank_1" in capsys.readouterr().err
    shutil.rmtree(run / "recognition")
    assert compare(run, *words, "--set", "recognition.figure=tar_0.001") == 2
    assert not (run / "recognition" / "recognisers").exists()  # it is refused before hours of work


def test_own_has_the_images_and_classes_of_the_shards(run: Path) -> None:
    from scoremix.manifests.files.atomic import read_parquet

    assert compare(run, "--arms", "own", "--seeds", "1") == 0
    arm = run / "recognition" / "arms" / "own"
    images, labels = np.load(arm / "images.npy"), np.load(arm / "labels.npy")
    manifest = read_parquet(run / "shards" / "manifest.parquet")
    assert sorted(labels.tolist()) == sorted(manifest["class_id"].to_pylist())
    import hashlib

    hashes = [hashlib.sha256(image.tobytes()).hexdigest() for image in images]
    expected = dict(zip(manifest["pixel_sha256"].to_pylist(), manifest["class_id"].to_pylist(),
                        strict=True))  # fmt: skip
    assert [expected[one] for one in hashes] == labels.tolist()


def test_unseen_classes_are_prepared_as_the_corpus_was_and_read_once(run: Path) -> None:
    assert compare(run, "--arms", "real", "--seeds", "1") == 0
    unseen = open_corpus(run / "recognition" / "unseen")
    corpus = open_corpus(run / "corpus")
    assert unseen.images.shape[1:] == corpus.images.shape[1:]
    assert unseen.counts["train"] == 30 and not set(unseen.classes) & set(corpus.classes)
    commit = run / "recognition" / "unseen" / "corpus.json"
    before = commit.stat().st_mtime_ns
    assert compare(run, "--arms", "real", "--seeds", "1") == 0
    assert commit.stat().st_mtime_ns == before
    first = record(run)["results"]["real"][0]
    Image.new("RGB", (8, 8)).save(run.parent / "unseen" / "row4" / "new.png")
    assert compare(run, "--arms", "real", "--seeds", "1") == 0
    assert commit.stat().st_mtime_ns != before
    assert record(run)["results"]["real"][0]["identity"] != first["identity"]


@pytest.mark.parametrize("point", RECOGNITION_POINTS)
def test_killed_and_gone_on_with_it_gives_the_same_figures(
    run: Path, point: str, undisturbed: dict[str, Any]
) -> None:
    arguments = ["recognition", run, "--quiet", "--processes", "1", *QUICK, "--arms", "real",
                 "--seeds", "1", "--unseen", run.parent / "unseen"]  # fmt: skip
    done = tiny.command(arguments, SCOREMIX_FAULT=f"kill:{point}")
    assert done.returncode != 0 and not (run / "recognition" / "recognition.json").exists()
    assert compare(run, "--arms", "real", "--seeds", "1") == 0
    parts = record(run)["results"]["real"][0]["figures"]
    assert undisturbed["results"]["real"][0]["figures"] == parts


def test_processes_beside_each_other_give_the_same_figures(
    run: Path, undisturbed: dict[str, Any]
) -> None:
    one = undisturbed["results"]
    assert compare(run, "--arms", "real,real+affine", "--seeds", "1", "--processes", "2") == 0
    for arm, found in record(run)["results"].items():
        assert found[0]["figures"] == one[arm][0]["figures"]


def test_classes_and_images_that_the_run_has_are_no_unseen_ones(
    run: Path, built: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert compare(run, "--unseen", str(built / "images")) == 2
    assert "4 classes of the run (row0, row1" in capsys.readouterr().err
    copied = open_corpus(run / "corpus").sources.to_pylist()
    for status in ("train", "reference"):
        name = next(row["name"] for row in copied if row["status"] == status)
        shutil.copy(built / "images" / name, run.parent / "unseen" / "row4" / "copy.png")
        assert compare(run) == 2
        assert "training or held-out images of the run (row4/copy.png)" in capsys.readouterr().err


def test_a_class_number_of_the_run_is_none_of_the_unseen_ones_however_it_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = tiny.make_bars(tmp_path / "images", range(0, 4), "0")
    tiny.make_bars(tmp_path / "unseen", range(3, 6), "")
    (tmp_path / "stages.yaml").write_text(f"run: run\ningest: {{source: {images}}}\n")
    options = tiny.options(generate__method="mixup", generate__ratio=1)
    words = ("run", tmp_path / "stages.yaml", "--quiet", *options)
    assert cli(*words, "--until", "write") == 0
    assert compare(tmp_path / "run") == 2
    assert "has 1 classes of the run (3): a recogniser saw them" in capsys.readouterr().err


def test_without_unseen_classes_held_out_images_judge(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("recognition", run, "--quiet", "--processes", "1", *QUICK, "--arms", "real,own")
    assert cli(*words, "--seeds", "2") == 0
    assert "Judged on 8 held-out images of the 4 classes seen." in capsys.readouterr().out
    assert set(record(run)["results"]["own"][0]["figures"]) == {"accuracy"}


def test_options_that_do_not_hold_are_refused(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert compare(run, "--set", "generate.ratio=3") == 2
    assert "generate.ratio=3 does not hold for a comparison" in capsys.readouterr().err
    assert cli("recognition", run, "--path", "train") == 2
    (run.parent / "notes.txt").write_text("text")
    for name, found in (("notes.txt", "none of: an image"), ("nowhere", "does not exist")):
        assert cli("recognition", run, "--unseen", run.parent / name) == 2
        assert f"recognition.unseen is {run.parent / name}, which" in (
            error := capsys.readouterr().err
        )
        assert found in error and "ingest.source" not in error
    assert compare(run, "--arms", "real,mixup") == 2
    assert (
        "no arm 'mixup'; use real, real@twice, own, compose, condition-mix"
        in capsys.readouterr().err
    )


def test_forget_removes_it(run: Path) -> None:
    assert compare(run, "--arms", "real", "--seeds", "1") == 0
    assert os.path.isdir(run / "recognition")
    assert cli("forget", run, "000001") == 0
    assert not (run / "recognition").exists()
