"""Methods that make images class by class, through the whole pipeline at tiny size."""

import json
import re
import shutil
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
from in_process import cli

from scoremix.manifests.files.atomic import read_parquet, sha256_file
from scoremix.manifests.plan.methods import CLASS_METHODS, NEW_CLASS_METHODS
from scoremix.manifests.plan.new_classes import NewClass, write_new_classes
from scoremix.pipeline.ledger import Ledger
from scoremix.stages.corpus.store import open_corpus

METHODS = sorted(CLASS_METHODS)
HERE = ["compose", "mixup-classes"]  # of the default run; the others in `make faults`
NAMES = ("left", "right", "thin")
EACH = 5  # images of each class that is made


def options(method: str, **changed: object) -> list[str]:
    small = {"images_per_class": EACH, "solver_steps": 3, "method": method}
    values = {f"generate__{key}": value for key, value in small.items()} | changed
    recogniser = {"epochs": 3, "batch": 8, "width": 4, "embedding": 4}
    values |= {f"recognise__{key}": value for key, value in recogniser.items()}
    return tiny.options(train__network="unet", **values)


def words_of(root: Path, method: str, *more: str, **changed: object) -> list[str | Path]:
    places = ["--data", root / "images", "--out", root / "shards", "--quiet"]
    return ["augment", *places, *options(method, **changed), *more]


@pytest.fixture(scope="module", params=tiny.mostly_in_faults(METHODS, HERE))
def done(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """images/, shards/ and shards.run/ of an undisturbed build; NAME is the method's."""
    root = tmp_path_factory.mktemp("done")
    tiny.make_images(root / "images", NAMES)
    assert cli(*words_of(root, request.param)) == 0
    (root / "NAME").write_text(request.param)
    return root


@pytest.fixture
def root(done: Path, tmp_path: Path) -> Path:
    shutil.copytree(done, tmp_path / "copy")
    return tmp_path / "copy"


def index_of(root: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((root / "shards" / "index.json").read_bytes())
    return found


def rows_of(root: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = read_parquet(root / "shards" / "manifest.parquet").to_pylist()
    return rows


def made_rows(root: Path) -> list[dict[str, Any]]:
    return [row for row in rows_of(root) if row["kind"] == "augmented"]


def test_what_it_made_is_whole_and_names_its_classes(
    done: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    method = (done / "NAME").read_text()
    is_new = method in NEW_CLASS_METHODS
    assert cli("verify", done / "shards", "--deep") == 0
    index, made = index_of(done), made_rows(done)
    real_class = {row["key"]: row["class_id"] for row in rows_of(done) if row["kind"] == "real"}
    assert index["classes"][:3] == list(NAMES) and set(real_class.values()) == {0, 1, 2}
    assert Counter(row["class_id"] for row in made) == {
        id_: EACH for id_ in ((3, 4, 5) if is_new else (0, 1, 2))
    }
    assert len(index["classes"]) == (6 if is_new else 3) and ("new_classes" in index) == is_new
    chosen = done / "shards.run" / "recogniser" / "new_classes.json"
    assert chosen.is_file() == is_new
    if is_new:
        assert index["new_classes"] == json.loads(chosen.read_bytes())["new_classes"]
        assert {one["selection"] for one in index["new_classes"]} == {"distant"}
        assert all(one["distance"] > 0 for one in index["new_classes"])
    members = {one["id"]: one["classes"] for one in index.get("new_classes", [])}
    for row in made:
        parents = [real_class[row["source_1"]], real_class[row["source_2"]]]
        assert parents == members.get(row["class_id"], [row["class_id"]] * 2)
        assert row["lambda"] == (0.5 if is_new else 1.0)

    capsys.readouterr()
    assert cli("inspect", done / "shards.run", made[0]["key"]) == 0
    text = capsys.readouterr().out
    name = index["classes"][made[0]["class_id"]]
    assert f"made by {method}, round 1, class {name}" in text
    if is_new:
        first, second = (NAMES[id_] for id_ in members[made[0]["class_id"]])
        assert f"mixes:    0.5 {first} and 0.5 {second}, chosen distant" in text
    assert cli("inspect", done / "shards") == 0
    summary = capsys.readouterr().out
    assert f"{name} ({EACH if is_new else 8 + EACH})" in summary
    rounds = "2 rounds" if is_new else "1 round"  # a class is first of two new ones
    assert f"15, in {rounds}, by {method}" in summary and "lambda" not in summary
    card = (done / "shards" / "README.md").read_text()
    assert ("## New classes" in card) == is_new and "per real image" not in card
    metrics = json.loads((done / "shards.run" / "report" / "metrics.json").read_bytes())
    assert metrics["reproduced"]["share"] == 1.0 and metrics["method"] == method
    assert "clipped" not in metrics  # of convex weights nothing is
    page, sheet = (
        done / "shards.run" / "report" / name for name in ("index.html", "new-classes.png")
    )
    assert sheet.is_file() == is_new and ("<h2>New classes</h2>" in page.read_text()) == is_new


def test_three_workers_leave_the_bytes_of_one(done: Path, tmp_path: Path) -> None:
    method = (done / "NAME").read_text()
    tiny.make_images(tmp_path / "images", NAMES)
    assert cli(*words_of(tmp_path, method, "--until", "plan")) == 0
    for worker in ("2/3", "0/3", "1/3"):
        assert cli(*words_of(tmp_path, method, "--worker", worker)) == 0
    assert tiny.digests(tmp_path / "shards") == tiny.digests(done / "shards")


def test_killed_between_two_shards_it_goes_on_to_the_same_bytes(done: Path, tmp_path: Path) -> None:
    method = (done / "NAME").read_text()
    tiny.make_images(tmp_path / "images", NAMES)
    killed = tiny.command(words_of(tmp_path, method), SCOREMIX_FAULT="kill:marker-renamed:6")
    assert killed.returncode == -signal.SIGKILL
    assert cli(*words_of(tmp_path, method, "--until", "write")) == 0
    assert tiny.digests(tmp_path / "shards") == tiny.digests(done / "shards")


def test_a_lost_and_a_damaged_shard_come_back_with_their_bytes(root: Path) -> None:
    shards, before = root / "shards", tiny.digests(root / "shards")
    (shards / "aug-000001.tar").unlink()
    (shards / "aug-000000.tar").write_bytes(b"damage")
    (shards / "index.json").unlink()
    assert cli("verify", shards) == 3
    assert cli("repair", shards, "--quiet") == 0
    assert tiny.digests(shards) == before


def test_more_images_of_each_class_keep_the_full_rounds(root: Path) -> None:
    before = tiny.digests(root / "shards")
    rounds = Counter(row["round"] for row in made_rows(root))
    run = root / "shards.run" / "stages.yaml"
    more = ["--set", "generate.images_per_class=12", "--until", "write", "--quiet"]
    assert cli("run", run, *more) == 0
    after = tiny.digests(root / "shards")
    full = [entry for entry in index_of(root)["shardlist"] if entry["round"] == 1]
    assert len(rounds) == 1 or all(
        before[name] == after[name]
        for entry in full
        for name in (entry["url"], entry["url"].replace(".tar", ".parquet"))
    )
    assert Counter(row["class_id"] for row in made_rows(root)).most_common(1)[0][1] == 12
    assert cli("verify", root / "shards") == 0


def test_forgetting_a_source_takes_its_images_and_retraining_makes_all_again(root: Path) -> None:
    """The others stay, though the network saw it, as those of `sample` do; --retrain trains one
    without it."""
    made, before = made_rows(root), tiny.digests(root / "shards")
    key = made[0]["source_2"]
    assert cli("forget", root / "shards.run", key, "--quiet") == 0
    left = [row for row in made if key not in (row["source_1"], row["source_2"])]
    assert 0 < len(left) < len(made)
    assert [row["sha256"] for row in made_rows(root)] == [row["sha256"] for row in left]
    assert cli("verify", root / "shards") == 0
    (root / "shards" / "aug-000000.tar").unlink()
    assert cli("repair", root / "shards", "--quiet") == 0
    assert cli("run", root / "shards.run" / "stages.yaml", "--until", "write", "--quiet") == 0
    assert [row["sha256"] for row in made_rows(root)] == [row["sha256"] for row in left]
    assert cli("forget", root / "shards.run", "--retrain", "--quiet") == 0
    again = made_rows(root)
    assert len(again) == len(made) and key not in {row["key"] for row in rows_of(root)}
    assert cli("verify", root / "shards") == 0 and tiny.digests(root / "shards") != before


def test_exports_have_real_and_new_classes_side_by_side(done: Path, tmp_path: Path) -> None:
    is_new = (done / "NAME").read_text() in NEW_CLASS_METHODS
    classes = index_of(done)["classes"]
    places = {}
    for name, more in (
        ("folder", ["--to", "imagefolder"]),
        ("stylegan", ["--to", "stylegan"]),
        ("real", ["--to", "imagefolder", "--real-classes-only"]),
        ("held-out", ["--to", "imagefolder", "--held-out-only"]),
        ("hdf5", ["--to", "hdf5", "--trainer", "studiogan"]),
    ):
        places[name] = tmp_path / name
        assert cli("export", done / "shards.run", *more, "--out", places[name], "--quiet") == 0
    folders = sorted(path.name for path in (places["folder"] / "train").iterdir())
    assert len(folders) == len(classes) == (6 if is_new else 3)
    labels = dict(json.loads((places["stylegan"] / "dataset.json").read_bytes())["labels"])
    assert set(labels.values()) == set(range(len(classes)))
    found = sorted(path.name for path in (places["real"] / "train").iterdir())
    assert found == [f"{id_}_{name}" for id_, name in enumerate(NAMES)]
    images = list((places["real"] / "train").rglob("*.png"))
    assert len(images) == sum(not is_new or row["kind"] == "real" for row in rows_of(done))
    # A folder of real images beside them would have other classes.
    split = [
        "--to",
        "imagefolder",
        "--trainer",
        "studiogan",
        "--quiet",
        "--out",
        tmp_path / "split",
    ]
    assert cli("export", done / "shards.run", *split) == (2 if is_new else 0)
    assert cli("export", done / "shards.run", *split, "--real-classes-only") == 0
    h5py = pytest.importorskip("h5py")
    with h5py.File(next(places["hdf5"].glob("*.hdf5"))) as file:
        assert set(np.asarray(file["labels"]).tolist()) == set(range(len(classes)))


def test_an_index_with_other_members_is_found_out(root: Path) -> None:
    if (root / "NAME").read_text() not in NEW_CLASS_METHODS:
        pytest.skip("a method without new classes")
    from scoremix.manifests.files.atomic import json_bytes
    from scoremix.manifests.published.class_check import contradicted_keys, new_classes_of_index
    from scoremix.manifests.published.index import index_digest

    index, path = index_of(root), root / "shards" / "index.json"
    manifest = read_parquet(root / "shards" / "manifest.parquet")
    assert len(new_classes_of_index(index)) == 3 and not list(contradicted_keys(index, manifest))
    one = index["new_classes"][0]
    one["classes"] = one["classes"][::-1]
    wrong = [row["key"] for row in made_rows(root) if row["class_id"] == one["id"]]
    assert sorted(contradicted_keys(index, manifest)) == sorted(wrong)
    index["index_digest"] = index_digest(index)
    path.write_bytes(json_bytes(index))
    assert cli("verify", root / "shards") == 3
    one["classes"] = [0, 9]
    with pytest.raises(ValueError, match="lists new classes that make no sense"):
        new_classes_of_index(index)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of `compose` whose network is trained."""
    root = tmp_path_factory.mktemp("trained")
    tiny.make_images(root / "images", NAMES)
    assert cli(*words_of(root, "compose", "--until", "train")) == 0
    return root


def test_weights_of_one_class_alone_give_the_images_of_reproduce(
    trained: Path, tmp_path: Path
) -> None:
    """Through plan, network and shards, where each class is the first of one pair."""
    shutil.copytree(trained, tmp_path / "a")
    alone = words_of(
        tmp_path / "a", "compose", "--until", "recognise", generate__weights=[1.0, 0.0]
    )
    assert cli(*alone) == 0
    run = tmp_path / "a" / "shards.run"
    path, digest = run / "recogniser" / "new_classes.json", open_corpus(run / "corpus").digest
    chosen = [NewClass(3 + i, "", (i, (i + 1) % 3), (1.0, 0.0), 0.5, "distant") for i in range(3)]
    write_new_classes(path, chosen, {}, digest)
    ledger = Ledger(run)
    inputs = ledger.stages["recognise"]["inputs"]
    ledger.record("recognise", inputs, new_classes_sha256=sha256_file(path))
    assert cli(*alone[:-2], "--until", "write") == 0
    shutil.copytree(trained, tmp_path / "b")
    assert cli(*words_of(tmp_path / "b", "reproduce", "--until", "write")) == 0
    composed, again = (
        {row["key"]: row["pixel_sha256"] for row in made_rows(tmp_path / name)} for name in "ab"
    )
    assert composed == again and len(again) == 15


def test_a_class_that_forget_emptied_is_mixed_no_more(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny.make_images(tmp_path / "images", (*NAMES, "wide"))
    for path in sorted((tmp_path / "images" / "wide").iterdir())[1:]:
        path.unlink()
    words = words_of(tmp_path, "mixup-classes", "--until", "write", ingest__holdout=0.0)
    assert cli(*words) == 0
    run = tmp_path / "shards.run"
    last = next(row["key"] for row in rows_of(tmp_path) if row["class_id"] == 3)
    assert any(3 in one["classes"] for one in index_of(tmp_path)["new_classes"])
    capsys.readouterr()
    assert cli("forget", run, last, "--quiet") == 0
    printed = capsys.readouterr().out
    assert "recogniser/" in printed and "centres.npy" in printed and "--retrain" in printed
    assert cli("forget", run, "--retrain", "--quiet") == 0
    assert cli("verify", tmp_path / "shards") == 0
    assert all(3 not in one["classes"] for one in index_of(tmp_path)["new_classes"])
    # Its folder is taken out of the source: a corpus of three classes.
    shutil.rmtree(tmp_path / "images" / "wide")
    assert cli(*words) == 0 and cli("verify", tmp_path / "shards") == 0
    assert index_of(tmp_path)["classes"][:3] == list(NAMES)


def test_a_dry_run_counts_the_rounds_that_the_smallest_class_allows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny.make_images(tmp_path / "images", NAMES)
    for path in sorted((tmp_path / "images" / "thin").iterdir())[1:]:
        path.unlink()
    words = words_of(
        tmp_path, "reproduce", ingest__holdout=0.0, generate__images_per_class=12,
        write__shard_size=100,
    )  # fmt: skip
    assert cli(*words, "--dry-run") == 0
    assert "shards:        about 13, small ones" in (shown := capsys.readouterr().out)
    assert "makes 12 rounds of them" in shown


def test_a_weight_of_nothing_is_noted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tiny.make_images(tmp_path / "images", NAMES)
    weights: dict[str, object] = {"generate__weights": [1.0, 0.0]}
    assert cli(*words_of(tmp_path, "mixup-classes", "--dry-run", **weights)) == 0
    assert "a class with weight 0 is not mixed" in capsys.readouterr().out


def test_three_classes_are_composed_and_extrapolation_is_reported(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(trained, tmp_path / "a")
    three = words_of(
        tmp_path / "a", "compose", "--until", "write", generate__weights=[0.5, 0.25, 0.25]
    )
    assert cli(*three) == 0
    assert [len(one["classes"]) for one in index_of(tmp_path / "a")["new_classes"]] == [3]
    capsys.readouterr()
    assert cli("inspect", tmp_path / "a" / "shards", made_rows(tmp_path / "a")[0]["key"]) == 0
    shown = capsys.readouterr().out
    assert re.search(r"parent 1: \d{6}, weight 0.500", shown)
    assert re.search(r"parent 2: \d{6}, weight 0.250", shown)
    beyond: dict[str, object] = {"generate__weights": [3.0, -2.0]}
    assert cli(*words_of(tmp_path / "a", "compose", **beyond)) == 2
    assert "leave the range of the data" in capsys.readouterr().err
    allowed = words_of(tmp_path / "a", "compose", generate__allow_extrapolation=True, **beyond)
    assert cli(*[word for word in allowed if word != "--quiet"]) == 0
    shown = capsys.readouterr().err
    assert "outside 0 to 1 images leave the range" in shown and "were cut off" in shown
    assert cli("verify", tmp_path / "a" / "shards") == 0
    report = tmp_path / "a" / "shards.run" / "report"
    clipped = json.loads((report / "metrics.json").read_bytes())["clipped"]
    assert 0 < clipped["share"] <= clipped["worst"] <= 1 and clipped["rows"] == 12
    assert f"{100 * clipped['share']:.2f} % of the values" in (report / "index.html").read_text()


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"ingest__classes": "none"}, "which makes images of classes, and the images have none"),
        ({"generate__weights": [0.25] * 4}, "mixes 4 classes .generate.weights., and the corpus"),
        ({"generate__new_classes": 4}, "there are 3 different choices of 2"),
        ({"train__network": "refinenet"}, "needs classes in the network, and train.network is"),
        ({"train__labels": False}, "needs classes in the network, and train.labels is false"),
        ({"generate__pairing": "any"}, "generate.pairing is any"),
        ({"generate__images_per_class": 99_999}, "takes .* rounds; 999 is the most"),
    ],
)
def test_what_cannot_be_made_is_refused_before_training(
    changed: dict[str, object], why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny.make_images(tmp_path / "images", NAMES)
    values = {"generate__method": "compose"} | changed
    places = ["--data", tmp_path / "images", "--out", tmp_path / "shards", "--quiet"]
    assert cli("augment", *places, *tiny.options(**({"train__network": "unet"} | values))) == 2
    import re

    assert re.search(why, capsys.readouterr().err)
    assert not (tmp_path / "shards.run" / "score-net").exists()


def test_a_dry_run_counts_images_of_classes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny.make_images(tmp_path / "images", NAMES)
    assert cli(*words_of(tmp_path, "compose", "--dry-run")) == 0
    shown = capsys.readouterr().out
    assert "24 real + 15 augmented (3 new classes of 5)" in shown and "generate:" in shown


def test_a_recogniser_learns_real_and_new_classes_together(root: Path) -> None:
    run = root / "shards.run"
    small = [f"recognise.{text}" for text in ("epochs=2", "width=4", "embedding=4", "batch=8")]
    quick = [part for text in small for part in ("--set", text)]
    words = ("--arms", "own", "--seeds", "1", "--processes", "1", "--quiet")
    assert cli("recognition", run, *words, *quick) == 0
    labels = np.load(run / "recognition" / "arms" / "own" / "labels.npy")
    assert Counter(labels.tolist()) == Counter(row["class_id"] for row in rows_of(root))
    record = json.loads((run / "recognition" / "recognition.json").read_bytes())
    assert record["images"] == {"own": 24 + 3 * EACH}
    assert set(record["results"]["own"][0]["figures"]) == {"accuracy"}
