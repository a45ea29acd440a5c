"""Other images in the place of a run's own are other data, however the source is read or named."""

import json
import os
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest
from in_process import cli
from PIL import Image

_PATCHES = ("--set", "ingest.patches={size: 8, per_image: 2}")


def bitmaps(folder: Path, seed: int, first: int = 0) -> Path:
    """Eight images of equal names and sizes, of other content and times for another seed."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    for number in range(first, first + 8):
        pixels = random.integers(0, 255, (16, 16, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:02}.bmp")
        os.utime(folder / f"{number:02}.bmp", (seed, seed))
    return folder


def augment(data: object, out: Path, *more: object) -> int:
    quick = ("--set", "generate.method=mixup", "--set", "ingest.resolution=8", "--quiet")
    return cli(
        "augment", "--data", data, "--out", out, "--ratio", 1, "--until", "write", *quick, *more
    )


def sums(out: Path) -> bytes:
    return (out / "SHA256SUMS").read_bytes()


def packed(folder: Path) -> Path:
    archive = folder.with_suffix(".tar")
    with tarfile.open(archive, "w") as opened:
        opened.add(folder, ".")
    return archive


@pytest.mark.parametrize(
    "case", ["path", "captions", "patches", "patches of a tar", "forgotten", "no .scoremix"]
)
def test_bitmaps_of_the_same_names_that_hold_others_are_other_data(
    case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out = bitmaps(tmp_path / "in" / "train", 1), tmp_path / "out"
    source, more = folder, _PATCHES if case.startswith("patches") else ()
    if case == "path":
        source, more = folder.parent, ("--set", "ingest.path=train")
    if case == "captions":
        for number in range(8):
            (folder / f"{number:02}.txt").write_text("a picture of noise")
    if case == "patches of a tar":
        source = packed(folder)
    assert augment(source, out, *more) == 0
    count = 8
    if case == "forgotten":
        assert cli("forget", f"{out}.run", "00.bmp", "--quiet") == 0
        count = 7
    if case == "no .scoremix":
        shutil.rmtree(f"{out}.run/.scoremix")
        assert augment(source, out, *more) == 0
    before = sums(out)
    bitmaps(folder, 2)
    if case == "patches of a tar":
        packed(folder)
    capsys.readouterr()
    for last in ((), ("--dry-run",)):
        assert augment(source, out, *more, *last) == 2
        error = capsys.readouterr().err
        assert f"{count} images in {source}, and none of them is there as it was" in error
    assert sums(out) == before
    assert augment(source, out, *more, "--replace") == 0 and sums(out) != before


@pytest.mark.parametrize("case", ["a link", "moved along"])
def test_a_source_under_another_name_is_compared_with_what_was_read(
    case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = tmp_path / "here"
    source, out = bitmaps(home / "in", 1), home / "out"
    assert augment(source, out) == 0
    if case == "moved along":
        home = home.rename(tmp_path / "there")
        source, out = home / "in", home / "out"
    before, named = sums(out), str(source)
    if case == "a link":
        (tmp_path / "link").symlink_to(source)
        named = str(tmp_path / "link")
    for path in source.iterdir():
        os.utime(path, (5, 5))
    assert augment(named, out) == 0 and sums(out) == before  # touched
    bitmaps(source, 2)
    capsys.readouterr()
    assert augment(named, out) == 2 and sums(out) == before
    assert f"8 images in {named}, and none of them is" in capsys.readouterr().err


def test_sources_are_compared_with_their_own_images_in_whatever_order(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = bitmaps(tmp_path / "first", 1), bitmaps(tmp_path / "second", 2, first=100)

    def run(*sources: object) -> int:
        content = {
            "run": str(tmp_path / "run"),
            "ingest": {"source": list(map(str, sources)), "resolution": 8},
            "generate": {"method": "mixup", "ratio": 1},
        }
        (tmp_path / "stages.yaml").write_text(json.dumps(content))
        return cli("run", tmp_path / "stages.yaml", "--until", "write", "--quiet")

    assert run(first) == 0
    assert run(second, first) == 0  # one more, in front
    assert run(first, second) == 0
    bitmaps(second, 3, first=100)
    assert run(second, first) == 2
    assert f"8 images in {second}, and none of them is" in capsys.readouterr().err
    bitmaps(second, 2, first=100)
    for path in (*first.iterdir(), *second.iterdir()):
        os.utime(path, (5, 5))
    assert run(second, first) == 0


def test_two_folders_of_one_source_are_two_sources(tmp_path: Path) -> None:
    """Also where files outside of them have the names of those inside."""
    source, out = bitmaps(tmp_path / "in", 1), tmp_path / "out"
    for seed, name in ((2, "cats"), (3, "dogs")):
        bitmaps(source / name, seed)
    listed = f"[{{source: {source}, path: cats}}, {{source: {source}, path: dogs/}}]"
    more = ("--set", f"ingest.source={listed}")
    stages = tmp_path / "stages.yaml"
    stages.write_text(f"run: {out}.run\ningest: {{resolution: 8}}\ngenerate: {{method: mixup}}\n")
    run = ("run", stages, *more, "--until", "write", "--quiet")
    assert cli(*run) == 0
    shards = Path(f"{out}.run/shards")
    before = sums(shards)
    for path in source.rglob("*.bmp"):
        os.utime(path, (5, 5))
    assert cli(*run) == 0 and sums(shards) == before
    bitmaps(source, 4)  # no images of the run
    assert cli(*run) == 0 and sums(shards) == before
    bitmaps(source / "dogs", 4)
    assert cli(*run) == 2 and sums(shards) == before


def test_half_of_the_images_exchanged_is_the_same_source(tmp_path: Path) -> None:
    """Also where every second name is one of them, and more are there than are compared."""
    source, out = tmp_path / "in", tmp_path / "out"
    for begin in range(0, 404, 8):
        bitmaps(source, begin + 1, first=begin)
    assert augment(source, out) == 0
    random = np.random.default_rng(7)
    for path in sorted(source.iterdir())[::2]:
        pixels = random.integers(0, 255, (16, 16, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)
    assert augment(source, out) == 0


def test_without_the_corpus_files_are_compared_by_name_and_size(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out = bitmaps(tmp_path / "in", 1), tmp_path / "out"
    assert augment(source, out) == 0
    shutil.rmtree(f"{out}.run/corpus")
    before = sums(out)
    for path in source.iterdir():
        path.unlink()
    bitmaps(source, 2, first=50)
    capsys.readouterr()
    assert augment(source, out) == 2 and sums(out) == before
    assert f"8 images in {source}, and none of them is" in capsys.readouterr().err
