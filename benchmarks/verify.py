"""VERIFY: time to verify a corpus, against reading and hashing the same files one by one.

    python benchmarks/verify.py --out benchmarks/results/verify

Corpora of real images and their mixtures at 64 px, verified, verified with every image decoded
(`--deep`), and hashed by a plain loop of hashlib; in turn, the median of each.
"""

import argparse
import hashlib
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from material import smooth_images
from PIL import Image

from scoremix.manifests.published.verify import verify
from scoremix.pipeline.cli import commands

SIDE = 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", default="500,5000", help="real ones; as many are mixed")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", default="benchmarks/results/verify")
    options = parser.parse_args()
    result: dict[str, Any] = {"cores": os.cpu_count(), "repeats": options.repeats, "corpora": []}
    for count in map(int, options.images.split(",")):
        with tempfile.TemporaryDirectory() as folder:
            result["corpora"].append(measure(Path(folder), count, options.repeats))
        Path(f"{options.out}.json").write_text(json.dumps(result, indent=1) + "\n")
        Path(f"{options.out}.md").write_text(table(result))
    print(table(result))


def measure(folder: Path, count: int, repeats: int) -> dict[str, Any]:
    shards = built(folder, count)
    size = sum(path.stat().st_size for path in shards.iterdir())
    ways: dict[str, Callable[[], object]] = {
        "verify": lambda: verify(shards),
        "deep": lambda: verify(shards, deep=True),
        "plain": lambda: hashed(shards),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeats + 1):
        for name, work in ways.items():
            begin = time.perf_counter()
            found = work()
            assert name == "plain" or not found, found
            seconds[name].append(time.perf_counter() - begin)
    middle = {name: statistics.median(each[1:]) for name, each in seconds.items()}
    return {"images": 2 * count, "mb": size / 1e6, "seconds": middle}


def built(folder: Path, count: int) -> Path:
    """Writes shards of `count` images and as many mixtures."""
    (folder / "images").mkdir()
    for number, pixels in enumerate(smooth_images(count, SIDE, 3)):
        Image.fromarray(pixels).save(folder / "images" / f"{number:06d}.png")
    words = ["augment", "--data", folder / "images", "--out", folder / "shards", "--ratio", "1"]
    words += ["--set", "generate.method=mixup", "--until", "write", "--quiet"]
    commands.main([str(word) for word in words], standalone_mode=False)
    return folder / "shards"


def hashed(folder: Path) -> None:
    for path in folder.iterdir():
        with path.open("rb") as file:
            hashlib.file_digest(file, "sha256")


def table(result: dict[str, Any]) -> str:
    lines = [
        f"On {result['cores']} cores, medians of {result['repeats']}; the files are in memory.",
        "",
        "| images of 64 px | MB | verify | every image decoded, too | a plain loop of hashes |",
        "|---|---|---|---|---|",
    ]
    for row in result["corpora"]:
        cells = " | ".join(
            f"{seconds:.2f} s ({row['images'] / seconds:,.0f} images/s)"
            for seconds in row["seconds"].values()
        )
        lines.append(f"| {row['images']:,} | {row['mb']:.0f} | {cells} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
