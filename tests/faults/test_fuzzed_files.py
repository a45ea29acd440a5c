"""Files with random damage, of every kind of source: none ends the process, hangs or fills memory.

The seed of a case is its number. A default run has a few of each kind, `make faults` all of them.
"""

from collections.abc import Callable
from pathlib import Path

import hostile
import lmdb
import numpy as np
import pytest
import source_kinds as kinds
from tiny import mostly_in_faults

CASES, PART = 200, 25  # files of a kind, and of those in one test
YAML = """run: runs/x
seed: 3
ingest:
  source: [photos, {source: cats.zip, path: train, label: cat}]
  resolution: 64
  max_bad: {consecutive: 10, fraction: 0.5}
train: &more {steps: 10, batch: 4}
generate: {method: mixup, ratio: 2}
"""


def as_lmdb(root: Path) -> str:
    with lmdb.open(str(root / "db"), map_size=1 << 20) as environment:
        with environment.begin(write=True) as writing:
            for index, data in enumerate(kinds.FILES * 20):
                writing.put(f"8-{index:05d}".encode(), data * (1 + 9 * (index % 3)))
    return str(root / "db")


def as_npz(root: Path) -> str:
    np.savez(root / "a.npz", images=kinds.PIXELS, labels=np.array(kinds.LABELS))
    return str(root / "a.npz")


def as_yaml(root: Path) -> str:
    (root / "stages.yaml").write_text(YAML)
    return str(root / "stages.yaml")


def as_arrow(root: Path) -> str:
    folder = Path(kinds.as_hugging_face_folder(root))
    return str(sorted(folder.glob("*.arrow"))[0])


KINDS: dict[str, Callable[[Path], str]] = {
    "lmdb": as_lmdb,
    "hdf5": kinds.as_hdf5("NHWC"),
    "tar": kinds.as_tar,
    "tar.gz": kinds.as_packed_tar("gz"),
    "zip": kinds.as_stylegan_zip,
    "parquet": kinds.as_parquet,
    "arrow": as_arrow,
    "npz": as_npz,
    "yaml": as_yaml,
}


def damaged(data: bytes, seed: int) -> bytes:
    """With bits flipped, numbers made large, parts lost, filled or repeated, or the end cut off."""
    random = np.random.default_rng(seed)
    found = bytearray(data)
    for _ in range(int(random.integers(1, 4))):
        if not found:
            break
        place = int(random.integers(len(found)))
        # Headers lie at the beginning or at the end, and are few among the bytes.
        if random.random() < 0.5:
            near = int(random.integers(min(len(found), 512)))
            place = near if random.random() < 0.5 else len(found) - 1 - near
        count = int(random.integers(1, 64))
        match int(random.integers(6)):
            case 0:
                found[place] ^= 1 << int(random.integers(8))
            case 1:
                large = (1 << int(random.integers(8, 63))) - int(random.integers(2))
                found[place : place + 8] = large.to_bytes(8, "little")
            case 2:
                del found[place : place + count]
            case 3:
                found[place : place + count] = bytes([int(random.integers(256))]) * count
            case 4:
                found[place:place] = found[place : place + count] * int(random.integers(1, 9))
            case _:
                del found[place:]
    return bytes(found)


@pytest.mark.parametrize("first", mostly_in_faults(range(0, CASES, PART), []))
@pytest.mark.parametrize("kind", KINDS)
def test_damage_is_reported_and_nothing_else(tmp_path: Path, kind: str, first: int) -> None:
    check(tmp_path, kind, range(first, first + PART))


@pytest.mark.parametrize("kind", KINDS)
def test_a_few_of_each_kind(tmp_path: Path, kind: str) -> None:
    check(tmp_path, kind, range(6))


CHECKED = ("lmdb", "hdf5", "zip")  # kinds that `check` reads


@pytest.mark.parametrize("first", mostly_in_faults(range(0, CASES, PART), []))
@pytest.mark.parametrize("kind", CHECKED)
def test_check_survives_damage(tmp_path: Path, kind: str, first: int) -> None:
    check(tmp_path, kind, range(first, first + PART), "check")


@pytest.mark.parametrize("kind", CHECKED)
def test_check_survives_a_few_of_each_kind(tmp_path: Path, kind: str) -> None:
    check(tmp_path, kind, range(12), "check")


def check(tmp_path: Path, kind: str, seeds: range, reader: str = "ingest") -> None:
    (tmp_path / "whole").mkdir()
    whole = Path(KINDS[kind](tmp_path / "whole"))
    data = (whole / "data.mdb" if kind == "lmdb" else whole).read_bytes()
    paths = []
    for seed in seeds:
        path = tmp_path / str(seed) / whole.name
        path.parent.mkdir()
        if kind == "lmdb":
            path.mkdir()
        (path / "data.mdb" if kind == "lmdb" else path).write_bytes(damaged(data, seed))
        paths.append(path)
    endings = hostile.read_all([whole, *paths], reader)
    assert endings[0].outcome == "read", endings[0]  # else nothing is tried
    assert not [ending for ending in endings if not ending.clean]
