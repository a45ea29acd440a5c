"""Real storage that is full: what was finished stays, exit 6, and the same command ends it."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import forked
import pytest
import tiny

SMALL = [*tiny.options(generate__ratio=1), "--until", "write"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.make_images(tmp_path_factory.mktemp("data") / "images")


@pytest.fixture(scope="module")
def whole(data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The shards that a disk with room gets: name -> sha256."""
    out = tmp_path_factory.mktemp("whole") / "shards"
    done = tiny.command(["augment", "--data", data, "--out", out, "--quiet", *SMALL])
    assert done.returncode == 0, done.stderr
    return tiny.digests(out)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, of 120 kB; `mount -o remount,size=` makes it larger."""
    place = tmp_path / "disk"
    place.mkdir()
    if shutil.which("mount") is None or os.geteuid() != 0:
        pytest.skip("only root may mount a small disk")
    told = mount("-t", "tmpfs", "-o", "size=120k", "scoremix-test", place)
    if told.returncode != 0:
        pytest.skip(f"no small disk can be mounted here: {told.stderr.strip()}")
    yield place
    subprocess.run(["umount", place], check=True)


def mount(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(["mount", *map(str, arguments)], capture_output=True, text=True)


def test_a_full_disk_under_the_shards(disk: Path, data: Path, whole: dict[str, str]) -> None:
    out = disk / "shards"
    command = ["augment", "--data", data, "--out", out, "--run", disk.parent / "run"]
    command += ["--quiet", *SMALL]
    full = tiny.command(command)
    assert full.returncode == 6 and "same command" in full.stderr, full.stderr
    made = set(tiny.digests(out).items())
    finished = {name for name in os.listdir(out) if name.endswith(".json")}
    assert 0 < len(finished) < sum(name.endswith(".json") for name in whole)
    assert made <= set(whole.items())  # nothing torn has a final name
    assert mount("-o", "remount,size=4m", disk).returncode == 0
    assert tiny.command(command).returncode == 0
    assert tiny.digests(out) == whole


def test_a_disk_too_small_from_the_start(disk: Path, data: Path) -> None:
    (disk / "ballast").write_bytes(bytes(90_000))
    command = ["augment", "--data", data, "--out", disk / "shards", "--run", disk.parent / "run"]
    refused = tiny.command([*command, "--quiet", *SMALL])
    assert refused.returncode == 6 and "Nothing was begun" in refused.stderr, refused.stderr
    assert not (disk / "shards").exists()


def test_a_file_that_may_not_grow(data: Path, tmp_path: Path, whole: dict[str, str]) -> None:
    out = tmp_path / "shards"
    command = ["augment", "--data", str(data), "--out", str(out), "--quiet", *SMALL]
    limited = forked.run(command, os.environ, 300, largest=9000)
    assert limited.returncode == 6 and "too large" in limited.stderr, limited.stderr
    assert tiny.command(command).returncode == 0
    assert tiny.digests(out) == whole
