"""inspect and --json: text for people, JSON for programs, files of the sources by name."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
from in_process import cli
from PIL import Image

Captured = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Builds by mixup on twenty images, four held out; one file more is none, one is a copy."""
    folder = tmp_path_factory.mktemp("inspect")
    data = tiny.make_images(folder / "images")
    (data / "left" / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"0" * 40)
    (data / "left" / "twin.png").write_bytes((data / "left" / "000.png").read_bytes())
    words = ["augment", "--data", data, "--out", folder / "shards", "--quiet", "--until", "write"]
    done = tiny.command([*words, *tiny.options(generate__method="mixup")])
    assert done.returncode == 0, done.stderr
    return folder / "shards"


def rows(shards: Path) -> list[dict[str, Any]]:
    from scoremix.manifests.files.atomic import read_parquet

    path = shards.with_name("shards.run") / "corpus" / "sources.parquet"
    found: list[dict[str, Any]] = read_parquet(path).to_pylist()
    return found


def result(capsys: Captured) -> Any:
    return json.loads(capsys.readouterr().out)


def test_a_corpus_in_words_and_as_json(shards: Path, capsys: Captured) -> None:
    assert cli("inspect", shards) == 0
    text = capsys.readouterr().out
    assert "48 images in 9 shards" in text and "real:     16" in text
    assert "made:     32, ratio 2, by mixup" in text and "2: left (" in text and "#" in text
    assert cli("inspect", shards, "--json") == 0
    assert result(capsys)["samples"] == 48


def test_an_image_names_the_files_it_was_made_of(shards: Path, capsys: Captured) -> None:
    names = {row["key"]: row["name"] for row in rows(shards) if row["key"]}
    assert cli("inspect", shards, "000003-002", "--json") == 0
    found = result(capsys)
    parents = [found["sample"]["source_1"], found["sample"]["source_2"]]
    assert parents[0] == "000003" and found["files"] == {key: names[key] for key in parents}
    assert cli("inspect", shards, "000003-002") == 0
    text = capsys.readouterr().out
    weight = found["sample"]["lambda"]
    assert f"parent 1: 000003, weight {weight:.3f}, {names['000003']}" in text
    assert f"parent 2: {parents[1]}, weight {1 - weight:.3f}, {names[parents[1]]}" in text


def test_an_image_is_found_by_its_file(shards: Path, tmp_path: Path, capsys: Captured) -> None:
    row = next(row for row in rows(shards) if row["key"] == "000003")
    absolute = shards.with_name("images") / row["name"]
    for named in (row["name"], f"./{row['name']}", absolute, "000_000003.png"):
        assert cli("inspect", shards, named, "--image", tmp_path / "one.png") == 0, named
        text = capsys.readouterr().out
        assert text.startswith("000003: a real image") and f"file:     {row['name']}" in text
    assert (tmp_path / "one.png").read_bytes().startswith(b"\x89PNG")
    assert cli("inspect", shards, "000003", "--json") == 0
    found = result(capsys)
    used = found["used_by"]
    assert cli("inspect", shards, "001_000003-001.png", "--json") == 0
    assert result(capsys)["sample"]["key"] == "000003-001"
    assert used >= 2  # it is parent 1 in both rounds


def test_what_became_of_a_file_that_is_not_there(shards: Path, capsys: Captured) -> None:
    held = next(row["name"] for row in rows(shards) if row["status"] == "reference")
    twin = next(row["name"] for row in rows(shards) if row["status"] == "duplicate")
    for name, fate in (
        (held, "held out"),
        (twin, "left out as a duplicate (same pixels as"),
        ("torn.png", "rejected ("),
    ):
        assert cli("inspect", shards, name) == 0
        assert fate in capsys.readouterr().out
    assert cli("inspect", shards, held, "--image", "x.png") == 2
    assert "no image of the corpus" in capsys.readouterr().err


def test_a_name_of_several_files_or_of_none(shards: Path, capsys: Captured) -> None:
    assert cli("inspect", shards, "001.png") == 2
    assert "left/001.png, right/001.png" in capsys.readouterr().err
    assert cli("inspect", shards, "dog.png") == 2
    assert "no file of its sources" in capsys.readouterr().err


def test_shards_alone_know_no_names(shards: Path, tmp_path: Path, capsys: Captured) -> None:
    import shutil

    alone = Path(shutil.copytree(shards, tmp_path / "alone"))
    assert cli("inspect", alone, "000003-002") == 0
    assert "the run folder alone has" in capsys.readouterr().out
    assert cli("inspect", alone, "left/001.png") == 2
    assert "name the run folder" in capsys.readouterr().err


def test_status_and_verify_as_json(shards: Path, tmp_path: Path, capsys: Captured) -> None:
    import shutil

    assert cli("status", shards, "--json") == 0
    found = result(capsys)
    states = {one["stage"]: one["state"] for one in found["stages"]}
    assert states == {
        "ingest": "done",
        "train": "skipped",
        "plan": "done",
        "write": "done",
        "evaluate": "missing",
    }
    assert cli("verify", shards, "--json") == 0
    assert result(capsys) == {"shards": str(shards), "whole": True, "problems": []}
    alone = Path(shutil.copytree(shards, tmp_path / "alone"))
    (alone / "aug-000000.tar").unlink()
    assert cli("verify", alone, "--json") == 3
    found = result(capsys)
    assert not found["whole"] and found["problems"][0]["file"] == "aug-000000.tar"


def test_evaluate_and_compare_as_json(tmp_path: Path, capsys: Captured) -> None:
    runs = []
    data = tiny.make_images(tmp_path / "images")
    for method in ("mixup", "cutmix"):
        words = ["augment", "--data", data, "--out", tmp_path / method, "--quiet"]
        chosen = {"generate__method": method, "ingest__holdout": 0.4}
        done = tiny.command([*words, *tiny.options(**chosen), "--until", "write"])
        assert done.returncode == 0, done.stderr
        runs.append(tmp_path / f"{method}.run")
        assert cli("evaluate", runs[-1], "--json", "--quiet") == 0
        assert result(capsys)["verdict"]["kind"] == "none"  # eight held-out images
    page = tmp_path / "both.html"
    assert cli("compare", *runs, "--out", page, "--json") == 0
    found = result(capsys)
    assert found["page"] == str(page) and page.exists()
    assert [one["run"] for one in found["runs"]] == [str(run) for run in runs]
    assert found["runs"][0]["metrics"]["verdict"]["kind"] == "none"
    for number in range(60):
        pixels = np.random.default_rng(number).integers(0, 256, (8, 8, 3), dtype=np.uint8)
        (tmp_path / "samples").mkdir(exist_ok=True)
        Image.fromarray(pixels).save(tmp_path / "samples" / f"{number}.png")
    words = ["evaluate", runs[0], "--generated", tmp_path / "samples", "--quiet", "--json"]
    assert cli(*words) == 0
    written = runs[0] / "report" / "generated" / "samples.json"
    assert result(capsys) == json.loads(written.read_text())
