"""A run folder whose own files are damaged: made again, or named with what to do. No traceback."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import damaging
import pyarrow.parquet as pq
import pytest
import tiny
from earlier import ledger_content
from in_process import cli

from scoremix.manifests.plan.plan import rows_digest

LEDGER, TWIN = "stages.lock.json", ".scoremix/stages.lock.json"
PLAN = ".scoremix/plan.parquet"
METRICS = "report/metrics.json"
# What `run` mends by itself, to what it was.
MENDED = (
    PLAN,  # equal rows: not every byte of a Parquet file is content
    "corpus/sources.parquet",
    "corpus/classes.json",
    "corpus/corpus.json",
    LEDGER,
    TWIN,
    METRICS,
)
# What it names: a network is not trained again unasked.
NAMED = ("score-net/model.json", "score-net/model.safetensors")


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def garbage(path: Path) -> None:
    path.write_bytes(bytes(range(255, -1, -1)) * (1 + path.stat().st_size // 256))


def flipped_at(share: float) -> Callable[[Path], None]:
    return lambda path: damaging.flip(path, int(share * path.stat().st_size), 2)


def deep(path: Path) -> None:
    path.write_text("[" * 200_000 + "]" * 200_000)


HARM = {
    "cut": cut,
    "deep": deep,
    "emptied": emptied,
    "garbage": garbage,
    "gone": Path.unlink,
    "flipped": flipped_at(0.45),
}


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("done")
    tiny.make_images(root / "images")
    places = ["--data", root / "images", "--out", root / "shards", "--quiet"]
    # stages.yaml then names the images by a path that holds for every copy of the folder.
    assert cli("augment", *places, *tiny.options()) == 0
    return root


@pytest.fixture
def root(done: Path, tmp_path: Path) -> Path:
    for part in ("shards", "shards.run"):
        shutil.copytree(done / part, tmp_path / part)
    return tmp_path


def again(root: Path) -> int:
    return cli("run", root / "shards.run" / "stages.yaml")


def assert_as_before(root: Path, done: Path) -> None:
    assert tiny.digests(root / "shards") == tiny.digests(done / "shards")
    plans = [rows_digest(pq.read_table(part / "shards.run" / PLAN)) for part in (root, done)]
    assert plans[0] == plans[1]
    for name in (*MENDED[1:], *NAMED):
        found, before = (part / "shards.run" / name for part in (root, done))
        if name in (LEDGER, TWIN):  # a copy is a run of its own
            assert ledger_content(found) == ledger_content(before), name
        else:
            assert found.read_bytes() == before.read_bytes(), name
    ledgers = [(root / "shards.run" / name).read_bytes() for name in (LEDGER, TWIN)]
    assert ledgers[0] == ledgers[1]


@pytest.mark.parametrize("harm", HARM)
@pytest.mark.parametrize("name", MENDED)
def test_what_can_be_made_again_is(name: str, harm: str, root: Path, done: Path) -> None:
    HARM[harm](root / "shards.run" / name)
    assert cli("status", root / "shards.run") == 0
    assert again(root) == 0
    assert_as_before(root, done)


@pytest.mark.parametrize("harm", [name for name in HARM if name != "gone"])
@pytest.mark.parametrize("name", NAMED)
def test_the_rest_is_named_with_what_to_do(
    name: str, harm: str, root: Path, done: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = root / "shards.run" / name
    HARM[harm](path)
    code = again(root)
    told = capsys.readouterr().err
    assert code in (1, 3) and name in told, told
    assert "restore" in told.lower() or "delete" in told.lower(), told
    shutil.copy(done / "shards.run" / name, path)  # a backup
    assert again(root) == 0
    assert_as_before(root, done)


def test_a_ledger_without_a_sound_twin_is_named(
    root: Path, done: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = root / "shards.run"
    garbage(run / LEDGER)
    cut(run / TWIN)
    for command in (("run", run / "stages.yaml"), ("status", run), ("repair", run)):
        assert cli(*command) == 1
        told = capsys.readouterr().err
        assert str(run / LEDGER) in told and "from a backup" in told
    assert tiny.digests(root / "shards") == tiny.digests(done / "shards")
    shutil.copy(done / "shards.run" / TWIN, run / TWIN)
    assert again(root) == 0
    assert_as_before(root, done)


def test_a_report_on_damaged_metrics_names_them(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    garbage(root / "shards.run" / METRICS)
    assert cli("report", root / "shards.run") == 3
    told = capsys.readouterr().err
    assert METRICS in told and "scoremix-pipeline evaluate" in told


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", tiny.mostly_in_faults(MENDED, [LEDGER, TWIN, "corpus/corpus.json"])
)
def test_a_flipped_bit_anywhere_is_mended(name: str, root: Path, done: Path) -> None:
    path = root / "shards.run" / name
    for place in range(1, 16):
        flipped_at(place / 16)(path)
        assert again(root) == 0
        assert_as_before(root, done)


def test_what_a_killed_launch_left_half_written_goes(root: Path, done: Path) -> None:
    run, gone = root / "shards.run", 2**22 + 17  # more than a Linux process can be called
    left = [
        run / "score-net/last" / f".state.safetensors.{gone}.tmp",
        run / "report" / f".metrics.json.{gone}.tmp",
        run / f".stages.lock.json.{gone}.tmp",
    ]
    kept = [run / "report" / f".index.html.{os.getpid()}.tmp", run / "report/.notes.tmp"]
    for path in left + kept:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"half")
    assert again(root) == 0
    assert [path.exists() for path in left + kept] == [False] * 3 + [True] * 2
    assert_as_before(root, done)
