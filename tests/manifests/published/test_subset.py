"""Trainers that stream: the shards of any ratio, and every sample once per epoch."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from made import make_corpus

from scoremix.manifests.errors import ConfigError
from scoremix.manifests.published.subset import Kind, shard_urls

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve images, three rounds, three shards a round. Tests must not change it."""
    return make_corpus(tmp_path_factory.mktemp("made"), images=12, ratio=3, shard_size=4)


def keys(shards: Path, ratio: int, kinds: tuple[str, ...] = ("real", "augmented")) -> list[str]:
    rows = pq.read_table(shards / "manifest.parquet").to_pylist()
    return sorted(r["key"] for r in rows if r["round"] <= ratio and r["kind"] in kinds)


@pytest.mark.parametrize(
    ("ratio", "kind", "shards_wanted", "samples"),
    [
        (None, "all", 12, 48),
        (3, "all", 12, 48),
        (1, "all", 6, 24),
        (0, "all", 3, 12),
        (2, "real", 3, 12),
        (2, "augmented", 6, 24),
    ],
)
def test_the_shards_of_a_ratio_hold_exactly_its_samples(
    ratio: int | None, kind: Kind, shards_wanted: int, samples: int, shards: Path
) -> None:
    import webdataset as wds

    subset = shard_urls(shards, ratio=ratio, kind=kind)
    assert (len(subset.urls), subset.samples) == (shards_wanted, samples)
    kinds = ("real", "augmented") if kind == "all" else (kind,)
    found = [s["__key__"] for s in wds.WebDataset(list(subset.urls), shardshuffle=False)]
    assert sorted(found) == keys(shards, 3 if ratio is None else ratio, kinds)


@pytest.mark.parametrize(
    ("ratio", "kind", "told"), [(4, "all", "0 to 3"), (-1, "all", "0 to 3"), (0, "augmented", "1")]
)
def test_a_ratio_that_is_not_there_is_refused(
    ratio: int, kind: Kind, told: str, shards: Path
) -> None:
    with pytest.raises(ConfigError, match=told):
        shard_urls(shards, ratio=ratio, kind=kind)


def test_a_folder_without_index_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=re.escape("index.json")):
        shard_urls(tmp_path)


def documented() -> str:
    """The Python block of docs/trainers.md that reads shards in a training loop."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs/trainers.md").read_text(), re.S)
    (block,) = (each for each in blocks if "nodes = 1" in each)
    assert isinstance(block, str)
    return block


def read_epochs(shards: Path, nodes: int, rank: int) -> list[list[str]]:
    """Keys of two epochs, read by the documented lines in a process of their own."""
    program = documented().replace('"SHARDS"', repr(str(shards)))
    program = program.replace("nodes = 1", f"nodes = {nodes}")
    program += "for epoch in range(2):\n    print(*(key for key, image in loader))\n"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "RANK": str(rank), "WORLD_SIZE": str(nodes)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return [line.split() for line in done.stdout.splitlines()]


def test_the_documented_lines_give_every_sample_once_per_epoch(shards: Path) -> None:
    first, second = read_epochs(shards, nodes=1, rank=0)
    assert sorted(first) == sorted(second) == keys(shards, 2)
    assert first != sorted(first), "shuffled"


def test_and_on_three_nodes_too(shards: Path) -> None:
    parts = [read_epochs(shards, nodes=3, rank=rank) for rank in range(3)]
    for epoch in range(2):
        assert sorted(sum((part[epoch] for part in parts), [])) == keys(shards, 2)
    assert all(len(part[0]) == 12 for part in parts)
