"""After `forget` a source that holds the same images keeps the corpus, whatever its times say."""

import os
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from in_process import cli
from PIL import Image

_PATCHES = ("--set", "ingest.patches={size: 8, per_image: 2}")
_HELD_OUT = ("--set", "ingest.holdout=0.25")


def build(data: Path, out: Path, *more: object) -> int:
    quick = ("--set", "generate.method=mixup", "--set", "ingest.resolution=8", "--quiet")
    places = ("--data", data, "--out", out, "--ratio", 1, "--until", "write")
    return cli("augment", *places, *quick, *more)


def pictures(folder: Path) -> Path:
    random = np.random.default_rng(1)
    for number in range(8):
        place = folder / ("left" if number < 4 else "right")
        place.mkdir(parents=True, exist_ok=True)
        pixels = random.integers(0, 255, (16, 16, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(place / f"{number}.png")
    (folder / "notes.txt").write_text("where they are from")
    return folder


def forgotten_from(data: Path, out: Path, *more: object) -> bytes:
    """Builds, forgets the first image, or the first that is held out; SHA256SUMS after that."""
    assert build(data, out, *more) == 0
    name = "left/0.png#0001" if more == _PATCHES else "left/0.png"
    if more == _HELD_OUT:
        rows = pq.read_table(f"{out}.run/corpus/sources.parquet").to_pylist()
        name = next(row["name"] for row in rows if row["status"] == "reference")
    assert cli("forget", f"{out}.run", name, "--quiet") == 0
    return (out / "SHA256SUMS").read_bytes()


@pytest.mark.parametrize("case", ["touched", "deleted", "moved", "notes", "patches", "held out"])
def test_the_same_images_but_for_the_forgotten_keep_the_corpus(case: str, tmp_path: Path) -> None:
    data, out = pictures(tmp_path / "in"), tmp_path / "out"
    more = {"patches": _PATCHES, "held out": _HELD_OUT}.get(case, ())
    before = forgotten_from(data, out, *more)
    if case == "deleted":
        (data / "left" / "0.png").unlink()
    elif case == "moved":
        data = data.rename(tmp_path / "there")
    elif case == "notes":
        (data / "notes.txt").unlink()
        (data / "readme.md").write_text("more")
    else:
        for path in data.rglob("*.*"):
            os.utime(path, (5, 5))
    for _ in range(2):
        assert build(data, out, *more) == 0
        assert (out / "SHA256SUMS").read_bytes() == before
    assert cli("verify", out) == 0


@pytest.mark.parametrize("case", ["edited", "added", "removed", "class"])
def test_other_images_are_read_again_without_the_forgotten(case: str, tmp_path: Path) -> None:
    data, out = pictures(tmp_path / "in"), tmp_path / "out"
    before = forgotten_from(data, out)
    if case == "edited":
        Image.new("RGB", (16, 16), "red").save(data / "left" / "1.png")
    if case == "added":
        Image.new("RGB", (16, 16), "red").save(data / "right" / "8.png")
    if case == "removed":
        (data / "left" / "2.png").unlink()
    if case == "class":
        shutil.move(data / "left", data / "lower")
    assert build(data, out, "--replace") == 0
    assert (out / "SHA256SUMS").read_bytes() != before
    assert cli("verify", out) == 0
