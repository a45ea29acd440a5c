"""Single bits and truncations, by the thousand: each is found, named, and brought back."""

import shutil
from pathlib import Path

import damaging
import pytest
import tiny
from in_process import cli

from scoremix.manifests.published.verify import verify

pytestmark = [pytest.mark.slow, pytest.mark.faults]


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    """2 real and 2 augmented shards with their run."""
    data = tiny.make_images(tmp_path / "images")
    small = tiny.options(generate__ratio=1, write__shard_size=8)
    assert cli("augment", "--data", data, "--out", tmp_path / "shards", "--quiet", *small) == 0
    return tmp_path / "shards"


def named(shards: Path) -> set[str]:
    return {problem.file for problem in verify(shards)}


def test_a_thousand_random_bits(shards: Path, tmp_path: Path) -> None:
    whole = tiny.digests(shards)
    kept = shutil.copytree(shards, tmp_path / "kept")
    for name, place, bit in damaging.random_flips(shards, 1000, seed=11):
        damaging.flip(shards / name, place, bit)
        found = named(shards)
        # A damaged name in SHA256SUMS also names a file that is not there.
        assert found == {name} or (name == "SHA256SUMS" and name in found), (name, place, bit)
        assert cli("repair", shards, "--quiet") == 0, (name, place, bit)
        assert tiny.digests(shards) == whole, (name, place, bit)
    assert tiny.digests(kept) == whole


@pytest.mark.parametrize("extension", ["tar", "parquet"])
def test_truncation_at_every_block(extension: str, shards: Path) -> None:
    whole = tiny.digests(shards)
    path = shards / f"aug-000000.{extension}"
    data = path.read_bytes()
    for size in range(0, len(data), 512):
        path.write_bytes(data[:size])
        assert named(shards) == {path.name}, size
        assert cli("repair", shards, "--quiet") == 0, size
        assert tiny.digests(shards) == whole, size


def test_several_bits_at_once(shards: Path) -> None:
    """Three files at a time: whatever pair of recorded hashes is hit with a shard."""
    whole = tiny.digests(shards)
    flips = damaging.random_flips(shards, 300, seed=12)
    for start in range(0, 300, 3):
        for name, place, bit in flips[start : start + 3]:
            damaging.flip(shards / name, place, bit)
        assert {name for name, *_ in flips[start : start + 3]} <= named(shards)
        code = cli("repair", shards, "--quiet")
        if code:  # refused: the last recorded hash was hit too; nothing wrong was written
            assert code == 3
            code = cli("repair", shards, "--quiet", "--accept-new")
        assert code == 0 and tiny.digests(shards) == whole, flips[start : start + 3]
