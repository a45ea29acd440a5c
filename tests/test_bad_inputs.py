"""All the odd files at once: a row with the reason for each, exact pixels from the rest."""

import re
from pathlib import Path

import numpy as np
import pytest

from scoremix.stages.corpus import Corpus
from scoremix.stages.ingest import IngestConfig, ingest
from scoremix.stages.progress import Silent

from . import bad_inputs, tiny
from .bad_inputs import BACKGROUND, FILES, SIDE

BAD = {name: file for name, file in FILES.items() if file.reason is not None}
GOOD = {name: file for name, file in FILES.items() if file.reason is None}


def write(folder: Path, names: dict[str, bad_inputs.Expected]) -> Path:
    folder.mkdir(parents=True)
    for name, file in names.items():
        (folder / name).write_bytes(file.data)
    return folder


def take(source: Path, out: Path) -> Corpus:
    background = "#{:02x}{:02x}{:02x}".format(*BACKGROUND)
    config = IngestConfig(
        source=str(source), resolution=SIDE, holdout=0, background=background, classes="none"
    )
    return ingest(config, out, seed=0, progress=Silent(), workers=2)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    root = tmp_path_factory.mktemp("odd")
    return take(write(root / "in", FILES), root / "corpus")


def row(corpus: Corpus, name: str) -> dict[str, object]:
    (found,) = [row for row in corpus.sources.to_pylist() if row["name"] == name]
    return dict(found)


def test_there_are_enough_of_them() -> None:
    assert len(FILES) >= 40 and len(BAD) >= 30 and len(GOOD) >= 35


@pytest.mark.parametrize("name", BAD)
def test_a_bad_one_has_a_row_with_its_reason(corpus: Corpus, name: str) -> None:
    found = row(corpus, name)
    assert found["status"] == "rejected" and found["row"] is None
    assert re.search(BAD[name].reason or "", str(found["reason"]), re.I), found["reason"]
    assert "at 0x" not in str(found["reason"]), "addresses differ from run to run"


@pytest.mark.parametrize("name", GOOD)
def test_a_good_one_has_exactly_its_pixels(corpus: Corpus, name: str) -> None:
    found = row(corpus, name)
    assert found["status"] == "train", found["reason"]
    assert GOOD[name].note in str(found["note"] or "")
    expected = GOOD[name].pixels
    assert expected is not None
    pixels = corpus.images[int(str(found["row"]))].astype(float)
    # Whole numbers are met exactly; products of two bytes to the rounding of their last step.
    exact = expected.dtype == np.uint8
    assert np.abs(pixels - expected).max() <= (0 if exact else 1)


def test_the_bad_ones_change_nothing_of_the_others(corpus: Corpus, tmp_path: Path) -> None:
    alone = take(write(tmp_path / "in", GOOD), tmp_path / "corpus")
    assert (alone.images == corpus.images).all() and alone.digest == corpus.digest


def test_more_than_half_bad_exits_4_and_names_ten(tmp_path: Path) -> None:
    some = dict(list(BAD.items())[:23]) | dict(list(GOOD.items())[:20])
    source = write(tmp_path / "in", some)
    (tmp_path / "stages.yaml").write_text(f"run: run\ningest: {{source: {source}, holdout: 0}}\n")
    done = tiny.command(["run", tmp_path / "stages.yaml", "--until", "ingest", "--quiet"])
    assert done.returncode == 4
    assert "23 of 43 images read are bad, more than a part of 0.5" in done.stderr
    named = [line for line in done.stderr.splitlines() if line.startswith("  ") and ": " in line]
    assert len(named) == 10 and "  and 13 more" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_hundred_bad_in_a_row_exit_4(tmp_path: Path) -> None:
    good = next(iter(GOOD.values()))
    several = {f"a{i:03d}.png": good for i in range(300)}
    several |= {f"b{i:03d}.png": bad_inputs.Expected(b"no") for i in range(100)}
    source = write(tmp_path / "in", several)
    (tmp_path / "stages.yaml").write_text(f"run: run\ningest: {{source: {source}}}\n")
    done = tiny.command(["run", tmp_path / "stages.yaml", "--until", "ingest", "--quiet"])
    assert done.returncode == 4 and "100 in a row" in done.stderr
    assert not (tmp_path / "run" / "corpus" / "corpus.json").exists()
