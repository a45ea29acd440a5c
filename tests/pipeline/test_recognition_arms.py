"""Arms of `recognition` by other methods: equal to runs by them, shared, gone on with, refused."""

import json
import shutil
import signal
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
from in_process import cli

NAMES = ("left", "right", "thin")
EACH = 4  # images of each class that is made
SMALL = {"epochs": 2, "batch": 8, "width": 4, "embedding": 4}


def build(root: Path, name: str, **changed: object) -> Path:
    """A run by `compose` unless `changed` says otherwise; root/images is made where it is not."""
    if not (root / "images").exists():
        tiny.make_images(root / "images", NAMES)
    stages = root / f"{name}.yaml"
    stages.write_text(f"run: {root / name}\ningest: {{source: {root / 'images'}}}\n")
    values: dict[str, object] = {"generate__method": "compose", "generate__solver_steps": 3}
    values |= {"generate__images_per_class": EACH, "train__network": "unet"}
    values |= {f"recognise__{key}": value for key, value in SMALL.items()}
    words = tiny.options(**(values | changed))
    assert cli("run", stages, "--until", "write", "--quiet", *words) == 0
    return root / name


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("arms")
    build(root, "run")
    return root


@pytest.fixture
def run(built: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(built / "run", tmp_path / "run"))


def words(run: Path, arms: str, *more: str) -> list[str | Path]:
    small = [f"recognise.{name}={value}" for name, value in SMALL.items()]
    options = [part for text in small for part in ("--set", text)]
    return ["recognition", run, "--quiet", "--processes", "1", "--seeds", "1", *options,
            "--arms", arms, *more]  # fmt: skip


def compare(run: Path, arms: str, *more: str) -> int:
    return cli(*words(run, arms, *more))


def arrays(run: Path, arm: str) -> tuple[np.ndarray[Any, Any], list[int]]:
    folder = run / "recognition" / "arms" / arm
    return np.load(folder / "images.npy"), np.load(folder / "labels.npy").tolist()


def record(run: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run / "recognition" / "recognition.json").read_bytes())
    return found


def made_folders(run: Path) -> list[Path]:
    return sorted((run / "recognition").glob("made/*"))


def test_an_arm_is_what_a_run_by_its_method_makes(built: Path, run: Path) -> None:
    """By the same network, which every method of classes trains alike."""
    assert compare(run, "condition-mix,reproduce") == 0
    for method in ("condition-mix", "reproduce"):
        if not (built / method).exists():
            build(built, method, generate__method=method)
        other = Path(shutil.copytree(built / method, run.parent / method))
        assert compare(other, "own") == 0
        images, labels = arrays(run, method)
        its_images, its_labels = arrays(other, "own")
        order, its_order = (np.lexsort([*some.reshape(len(some), -1).T[:60]])
                            for some in (images, its_images))  # fmt: skip
        assert np.array_equal(images[order], its_images[its_order])
        assert [labels[i] for i in order] == [its_labels[i] for i in its_order]


def test_what_the_run_has_made_is_taken_from_its_shards(run: Path) -> None:
    assert compare(run, "real,own,compose,compose:3+affine") == 0
    assert not made_folders(run)
    own, compose = arrays(run, "own"), arrays(run, "compose")
    assert sorted(own[1]) == sorted(compose[1])
    assert {image.tobytes() for image in own[0]} == {image.tobytes() for image in compose[0]}
    fewer, labels = arrays(run, "compose-3")
    assert Counter(labels)[3] == 3 and Counter(labels)[0] == 8
    assert {image.tobytes() for image in fewer} < {image.tobytes() for image in own[0]}
    assert record(run)["arms"] == ["real", "own", "compose-3+affine"]


def test_an_arm_that_is_another_s_corpus_is_not_trained_again(run: Path) -> None:
    """Else one difference would count twice where many are judged together."""
    against = ("--set", "recognition.against=compose")
    arms = "real,own,compose,own+affine,mixup-classes"
    assert compare(run, arms, "--seeds", "2", *against) == 0
    found = record(run)
    assert found["arms"] == ["real", "own", "own+affine", "mixup-classes"]
    assert {path.name for path in run.glob("recognition/recognisers/*")} == {*found["arms"]}
    assert "compose is the same corpus as own, and was not trained again." in found["conclusion"]
    assert list(found["less_against"]) == ["mixup-classes"]  # less own, which is compose


def test_classes_are_selected_again_by_a_recogniser_that_saw_the_new_ones(run: Path) -> None:
    assert compare(run, "compose,compose@again") == 0
    (state,) = (run / "recognition" / "recogniser-again").glob("*/state.safetensors")
    first, again = (arrays(run, arm) for arm in ("compose", "compose@again"))
    assert sorted(first[1]) == sorted(again[1]) and len(made_folders(run)) <= 1
    before = state.stat().st_mtime_ns, [path.stat().st_mtime_ns for path in made_folders(run)]
    assert compare(run, "compose@again,real") == 0
    assert before == (
        state.stat().st_mtime_ns, [path.stat().st_mtime_ns for path in made_folders(run)]
    )  # fmt: skip


def test_more_images_and_other_classes_are_made(run: Path) -> None:
    arms = "compose:6,compose:5,compose@distant:x1,compose@close:x1,mixup-classes"
    assert compare(run, arms) == 0
    assert Counter(arrays(run, "compose-6")[1])[4] == 6
    # One folder for compose:6 and compose:5, one for each list of classes, one for the method.
    assert len(made_folders(run)) == 4
    some = {image.tobytes() for image in arrays(run, "compose-5")[0]}
    assert some < {image.tobytes() for image in arrays(run, "compose-6")[0]}
    far, near = (arrays(run, f"compose@{how}-x1") for how in ("distant", "close"))
    assert Counter(far[1])[3] == Counter(near[1])[3] == EACH and 4 not in far[1]
    assert not np.array_equal(far[0], near[0])
    sampling = record(run)["sampling_seconds_per_10000"]
    assert sampling["compose-6"] > sampling["mixup-classes"] > 0

    # Again, and with fewer images of each class: nothing is made.
    before = tiny.digests(run / "recognition" / "made")
    assert compare(run, "compose:6,compose:2,mixup-classes") == 0
    assert tiny.digests(run / "recognition" / "made") == before


def test_a_sweep_names_its_arms(run: Path) -> None:
    sweep = ("recognition.images_per_class=[2,4]", "recognition.new_classes=[1,3]")
    more = [part for text in sweep for part in ("--set", text)]
    assert compare(run, "real,mixup-classes", *more) == 0
    assert record(run)["images"] == {
        "real": 24, "mixup-classes-2x1": 26, "mixup-classes-2x3": 30, "mixup-classes-4x1": 28,
        "mixup-classes-4x3": 36,
    }  # fmt: skip
    assert record(run)["classes"]["mixup-classes-4x1"] == 4


def test_killed_between_two_shards_it_goes_on_to_the_same_bytes(run: Path) -> None:
    whole = Path(shutil.copytree(run, run.parent / "whole"))
    killed = tiny.command(words(run, "compose:9"), SCOREMIX_FAULT="kill:marker-renamed:2")
    assert killed.returncode == -signal.SIGKILL
    assert len(list(run.glob("recognition/made/*/shards/*.json"))) == 2
    assert not (run / "recognition" / "arms").exists()
    for each in (run, whole):
        assert compare(each, "compose:9") == 0
    for place in ("made/*/shards", "arms"):
        found, expected = (
            tiny.digests(next(each.glob(f"recognition/{place}"))) for each in (run, whole)
        )
        assert found == expected and found


def test_two_processes_share_the_shards_of_an_arm(run: Path) -> None:
    whole = Path(shutil.copytree(run, run.parent / "whole"))
    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(tiny.command, words(run, "compose:10")) for _ in range(2)]
    assert [one.result().returncode for one in both] == [0, 0]
    assert compare(whole, "compose:10") == 0
    shared, alone = (arrays(each, "compose-10") for each in (run, whole))
    assert np.array_equal(shared[0], alone[0]) and shared[1] == alone[1]
    assert (
        record(run)["results"]["compose-10"][0]["figures"]
        == (record(whole)["results"]["compose-10"][0]["figures"])
    )


def test_a_run_without_new_classes_selects_them_by_a_recogniser_of_the_comparison(
    built: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if not (built / "mixup").exists():
        build(built, "mixup", generate__method="mixup", generate__ratio=1)
    run = Path(shutil.copytree(built / "mixup", tmp_path / "mixup"))
    assert compare(run, "compose") == 2
    error = capsys.readouterr().err
    assert "needs a score network, and" in error and "generate.method: compose" in error
    assert compare(run, "mixup-classes:5x50") == 2
    error = capsys.readouterr().err
    assert "new classes of the arm mixup-classes-5x50 is 50" in error and "3 or fewer" in error
    assert compare(run, "mixup-classes:3,mixup-classes@random:3x2") == 0
    assert Counter(arrays(run, "mixup-classes-3")[1])[5] == 3
    assert Counter(arrays(run, "mixup-classes@random-3x2")[1])[4] == 3
    recogniser = run / "recognition" / "recogniser" / "facts.json"
    before = recogniser.stat().st_mtime_ns
    assert compare(run, "mixup-classes:2") == 0
    assert recogniser.stat().st_mtime_ns == before
    assert compare(run, "mixup-classes:2", "--set", "recognise.selection=close") == 0


def test_a_network_without_classes_makes_no_new_ones(
    built: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if not (built / "sample").exists():
        build(built, "sample", generate__method="sample", generate__ratio=1)
    run = Path(shutil.copytree(built / "sample", tmp_path / "sample"))
    assert compare(run, "reproduce") == 2
    assert "needs classes in the score network, and that of" in capsys.readouterr().err


def test_centres_that_were_changed_are_not_selected_by(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = run / "recogniser" / "centres.npy"
    np.save(path, np.load(path)[::-1])
    assert compare(run, "compose@random") == 3
    assert "gives other new classes than the run has" in capsys.readouterr().err
