"""All the odd files at once: a row with the reason for each, exact pixels of the others."""

import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bad_inputs import BAD
from in_process import cli
from odd_files import BACKGROUND, MAX_PIXELS, SIDE, Odd
from odd_images import GOOD

from scoremix.stages.common.progress import Silent
from scoremix.stages.corpus.store import Corpus
from scoremix.stages.ingest.ingest import IngestConfig, ingest

COLOUR = "#{:02x}{:02x}{:02x}".format(*BACKGROUND)


def write_files(root: Path, files: list[Odd]) -> Path:
    for file in files:
        path = root / file.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.data)
    return root


def take(source: Path, out: Path, **options: Any) -> Corpus:
    config = IngestConfig(
        source=str(source),
        resolution=SIDE,
        holdout=0,
        background=COLOUR,
        max_pixels=MAX_PIXELS,
        **options,
    )
    return ingest(config, out, seed=0, progress=Silent(), workers=2)


def stored(name: str) -> str:
    """A name as the manifest has it: bytes that are no Unicode are spelled out."""
    return name.encode("utf-8", "backslashreplace").decode()


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """Of all the files, with the default of ingest.max_bad."""
    root = tmp_path_factory.mktemp("odd")
    return take(write_files(root / "in", BAD + GOOD), root / "corpus")


@pytest.fixture(scope="module")
def rows(corpus: Corpus) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in corpus.sources.to_pylist()}


def test_there_is_a_row_for_every_file_and_no_other(rows: dict[str, dict[str, Any]]) -> None:
    files = BAD + GOOD
    assert sorted(rows) == sorted(stored(file.name) for file in files)
    assert len(files) >= 60 and len({file.kind for file in files}) >= 35
    assert len(BAD) >= 40 and len({file.kind for file in BAD}) >= 25


@pytest.mark.parametrize("file", BAD, ids=lambda file: ascii(file.name))
def test_a_bad_one_says_why(rows: dict[str, dict[str, Any]], file: Odd) -> None:
    row = rows[stored(file.name)]
    assert row["status"] == "rejected" and row["key"] is None and row["row"] is None
    assert re.search(file.reason or "", row["reason"]), row["reason"]
    assert row["format"] == file.format
    assert len(row["reason"]) <= 300 and row["reason"].isprintable()
    assert "0x" not in row["reason"], "addresses differ from run to run"
    if row["reason"] not in ("hidden file", "not an image"):  # those were not read whole
        assert row["sha256"] == hashlib.sha256(file.data).hexdigest()


@pytest.mark.parametrize("file", GOOD, ids=lambda file: ascii(file.name))
def test_a_good_one_has_its_pixels(
    corpus: Corpus, rows: dict[str, dict[str, Any]], file: Odd
) -> None:
    row = rows[stored(file.name)]
    assert (row["status"], row["reason"]) == ("train", None)
    assert (row["note"], row["format"]) == (file.note, file.format)
    assert (row["bytes"], row["sha256"]) == (
        len(file.data),
        hashlib.sha256(file.data).hexdigest(),
    )
    assert file.pixels is not None and file.pixels.dtype == np.uint8
    pixels = corpus.images[row["row"]]
    assert row["pixel_sha256"] == hashlib.sha256(pixels.tobytes()).hexdigest()
    assert np.abs(pixels.astype(int) - file.pixels).max() <= file.within


def test_keys_have_nothing_of_the_names(rows: dict[str, dict[str, Any]]) -> None:
    keys = [row["key"] for row in rows.values() if row["key"] is not None]
    assert sorted(keys) == [f"{place:06d}" for place in range(len(GOOD))]


def test_the_bad_ones_change_nothing_of_the_others(corpus: Corpus, tmp_path: Path) -> None:
    alone = take(write_files(tmp_path / "in", GOOD), tmp_path / "corpus")
    for name in ("images.npy", "reference.npy", "classes.json"):
        assert (alone.folder / name).read_bytes() == (corpus.folder / name).read_bytes(), name
    assert alone.digest == corpus.digest


def test_twice_gives_the_same_reasons(corpus: Corpus, tmp_path: Path) -> None:
    again = take(write_files(tmp_path / "in", BAD + GOOD), tmp_path / "corpus")
    assert again.sources.equals(corpus.sources)


# --- when it is enough


Run = Callable[[list[Odd]], tuple[int, str]]


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """The command over these files: its exit code and what it says."""

    def started(files: list[Odd]) -> tuple[int, str]:
        source = write_files(tmp_path / "in", files)
        config = f"run: run\ningest: {{source: {source}, resolution: 16, holdout: 0}}\n"
        (tmp_path / "stages.yaml").write_text(config)
        words = ["run", str(tmp_path / "stages.yaml"), "--until", "ingest", "--quiet"]
        code = cli(*words)
        assert (code == 0) == (tmp_path / "run" / "corpus" / "corpus.json").is_file()
        output = capsys.readouterr()
        assert "Traceback" not in output.err + output.out
        return code, output.err

    return started


def named(message: str) -> list[str]:
    """The files that an error lists, a line each."""
    return re.findall(r"^  (\S.*?): ", message, re.MULTILINE)


def broken(count: int, prefix: str) -> list[Odd]:
    return [Odd("text", f"{prefix}{place:03d}.png", b"no image") for place in range(count)]


def images(count: int, prefix: str) -> list[Odd]:
    usual = [file for file in GOOD if file.kind == "EXIF orientation"]
    return [
        Odd("image", f"{prefix}{place:03d}.png", usual[place % len(usual)].data)
        for place in range(count)
    ]


def test_more_than_half_bad_exits_4_and_names_the_first_ten(run: Run) -> None:
    code, message = run(broken(21, "m") + images(20, "k"))
    assert code == 4
    assert "21 of 41 images read are bad, more than a part of 0.5" in message
    assert named(message) == [f"m{place:03d}.png" for place in range(10)]
    assert "  and 11 more\n" in message and "ingest.max_bad.fraction" in message


def test_exactly_half_bad_is_not_more_than_half(run: Run) -> None:
    code, message = run(broken(20, "m") + images(20, "k"))
    assert code == 0, message


def test_a_hundred_in_a_row_exit_4_although_most_are_good(run: Run) -> None:
    code, message = run(images(110, "a") + broken(100, "b") + images(10, "c"))
    assert code == 4 and "100 of 210 images read are bad, 100 in a row" in message
    assert named(message) == [f"b{place:03d}.png" for place in range(10)]
    assert "  and 90 more\n" in message and "ingest.max_bad.consecutive" in message


def test_99_in_a_row_do_not_stop_a_run(run: Run) -> None:
    code, message = run(images(60, "a") + broken(99, "b") + images(60, "c"))
    assert code == 0, message
