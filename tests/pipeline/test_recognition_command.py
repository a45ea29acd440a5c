"""`recognition.command`: a recogniser of the user's own is judged, or costs its arm."""

import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
from in_process import cli
from PIL import Image

DOCS = Path(__file__).parents[2] / "docs" / "recognition.md"
FEW = ("recognition.episodes=3", "recognition.resamples=20", "recognition.seeds=2")
PYTHON = sys.executable


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("command")
    images = tiny.make_bars(root / "images", range(0, 4), "row ")
    tiny.make_bars(root / "unseen", range(4, 7), "row ")
    (root / "stages.yaml").write_text(f"run: run\ningest: {{source: {images}}}\n")
    quick = {"epochs": 2, "batch": 8, "width": 4, "embedding": 4}
    values = {f"recognise__{name}": value for name, value in quick.items()}
    values |= {"generate__method": "mixup-classes", "generate__images_per_class": 3}
    words = tiny.options(**values)
    assert cli("run", root / "stages.yaml", "--until", "write", "--quiet", *words) == 0
    return root


@pytest.fixture
def run(built: Path, tmp_path: Path) -> Path:
    shutil.copytree(built / "unseen", tmp_path / "unseen")
    return Path(shutil.copytree(built / "run", tmp_path / "run"))


def compare(
    run: Path, command: str, *more: str, arms: str = "real,own", unseen: bool = True
) -> int:
    values = [*FEW, f"recognition.command={json.dumps(command)}", *more]
    options = [part for text in values for part in ("--set", text)]
    named = ["--unseen", run.parent / "unseen"] if unseen else []
    return cli("recognition", run, "--quiet", "--processes", "1", "--arms", arms, *named, *options)


def record(run: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run / "recognition" / "recognition.json").read_bytes())
    return found


def example(folder: Path) -> Path:
    """The script that docs/recognition.md shows."""
    text = DOCS.read_text()
    (script,) = re.findall(r"```python\n(# mine\.py.*?)```", text, re.DOTALL)
    path = folder / "mine.py"
    path.write_text(script)
    return path


def test_the_example_of_the_docs_is_judged_and_its_results_are_kept(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = example(run.parent)
    command = re.findall(r'command: "(python /opt/mine/mine\.py [^"]*)"', DOCS.read_text())[0]
    command = command.replace("python /opt/mine/mine.py", f"{PYTHON} {script}")
    assert compare(run, command, arms="real,own,real+affine") == 0
    shown, first = capsys.readouterr().out, record(run)
    assert first["arms"] == ["real", "own"] and first["failed"] == {}
    assert "30 images of 3 classes never seen (one-shot: 3 of them an episode) and 8 held-" in shown
    figures = first["results"]["own"][0]["figures"]
    assert {"accuracy", "eer", "rank_1", "one_shot", "roc"} <= set(figures)
    assert figures["accuracy"] == 1.0  # a bright row is a class: nearest centres name it
    result = run / "recognition" / "commands" / "own" / "seed-1" / "result.json"
    before = result.stat().st_mtime_ns
    assert compare(run, command) == 0
    assert result.stat().st_mtime_ns == before
    assert record(run)["results"] == first["results"]


def test_data_has_a_folder_for_each_class_and_real_images_are_linked(run: Path) -> None:
    command = "ls {data} > {out}/folders; yes $(ls {held_out} | head -1) | head -8"
    command += " > {out}/predictions.txt"
    assert compare(run, command) == 0
    data = run / "recognition" / "data"
    folders = sorted(path.name for path in (data / "own").iterdir())
    assert folders == ["0_row-0", "1_row-1", "2_row-2", "3_row-3", "4_new", "5_new", "6_new",
                       "7_new"]  # fmt: skip
    assert sorted(path.name for path in (data / "real").iterdir()) == folders[:4]
    out = run / "recognition" / "commands" / "own" / "seed-0" / "out"
    assert (out / "folders").read_text().split() == folders
    listed = (out / "held-out.txt").read_text().splitlines()
    assert len(listed) == 8 and all(Path(path).is_file() for path in listed)
    for path in (data / "real").rglob("*.png"):
        assert path.samefile(data / "own" / path.relative_to(data / "real"))
    arm, pixels = run / "recognition" / "arms" / "own", dict[int, Any]()
    for path in (data / "own").rglob("*.png"):
        pixels[int(path.stem)] = (np.asarray(Image.open(path)), int(path.parent.name[0]))
    images, labels = np.load(arm / "images.npy"), np.load(arm / "labels.npy")
    assert len(pixels) == len(images)
    assert all(np.array_equal(images[row], pixels[row][0]) for row in pixels)
    assert labels.tolist() == [pixels[row][1] for row in range(len(labels))]
    # Two of the eight held-out images are of the first class.
    found = record(run)
    assert found["results"]["real"][0]["figures"] == {"accuracy": 0.25}
    assert found["judged_on"] == "Judged on 8 held-out images of the 4 classes seen."


SAVE = f"{PYTHON} -c 'import numpy as np; np.save(\"unseen.npy\", VALUE)'"
SAVE += " # {data} {out} {unseen}"


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("np.ones((29, 4))", r"has shape \(29, 4\), and unseen.txt has 30 lines"),
        ("np.ones(30)", r"has shape \(30,\)"),
        ("np.ones((30, 4), int)", "holds int64. Save one array of floats"),
        ("np.full((30, 4), np.nan)", "values that are not finite in 30 of 30 rows"),
        ("np.zeros((30, 4))", "only zeros in 30 of 30 rows"),
        ("np.array([dict()], object)", "cannot be read"),
    ],
)
def test_embeddings_that_cannot_be_judged_cost_the_arm(
    value: str, why: str, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The arm `own` alone leaves them; `real` is judged."""
    good = "np.eye(30, 4) + .1"
    command = SAVE.replace("VALUE", f'({value}) if "data/own" in "{{data}}" else {good}')
    assert compare(run, command, "recognition.seeds=1") == 0
    found = record(run)
    assert list(found["results"]) == ["real"] and list(found["failed"]) == ["own"]
    assert re.search(why, found["failed"]["own"])
    assert "own failed, seed 0: " in capsys.readouterr().out
    assert not (run / "recognition" / "commands" / "own" / "seed-0" / "result.json").exists()


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("exit 7 # {data} {out} {unseen}", "exit code 7"),
        ("true # {data} {out} {unseen}", "it left no .*unseen.npy"),
        ("true # {data} {out} {held_out}", "it left no .*predictions.txt"),
        ("echo 0_row-0 > {out}/predictions.txt # {data} {held_out}", "has 1 lines, and"),
        (
            "yes dog | head -8 > {out}/predictions.txt # {data} {held_out}",
            "names 8 classes that are no folders of .*line 1: 'dog'",
        ),
    ],
)
def test_where_every_arm_fails_the_reasons_are_all_there_is(
    command: str, why: str, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert compare(run, command, "recognition.seeds=1", arms="real") == 0
    assert re.search(why, record(run)["failed"]["real"])
    assert re.search(f"real failed, seed 0: .*{why}", capsys.readouterr().out)


def test_plain_classification_needs_no_unseen_classes(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert compare(run, "true # {data} {out} {unseen}", unseen=False) == 2
    assert "names {unseen}, and no unseen classes are named" in capsys.readouterr().err
    right = "sed -E 's#.*/([^/]+)/[^/]+#\\1#' {out}/held-out.txt > {out}/predictions.txt"
    assert compare(run, f"{right} # {{data}} {{held_out}}", unseen=False) == 0
    assert record(run)["results"]["real"][0]["figures"] == {"accuracy": 1.0}


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("train {data} {out}", "it must name {unseen}"),
        ("train {data} {out} {unsen}", "no placeholder {unsen}; there are {data}, {out}"),
        ("train {out} {unseen}", "it must name {data} and {out}"),
    ],
)
def test_other_templates_are_refused(
    command: str, why: str, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert compare(run, command) == 2
    assert why in capsys.readouterr().err


def test_a_command_learns_whether_to_change_images(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = "yes {affine} | head -8 > {out}/predictions.txt # {data} {held_out}"
    assert compare(run, command, arms="real,real+affine") == 0
    assert "line 1: '0'" in record(run)["failed"]["real"]
    assert "line 1: '1'" in record(run)["failed"]["real+affine"]
    assert compare(run, command.replace("{affine}", "x"), arms="real+affine") == 2
    assert "does not name {affine}" in capsys.readouterr().err
