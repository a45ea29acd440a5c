"""MOUNT: rate of listing and reading a mounted corpus, against the exported one.

    python benchmarks/mount.py --out benchmarks/results/mount

Makes a corpus of 11,000 images at 64 px (1,000 real, ten rounds), exports it as an imagefolder, and
mounts it anew for each repeat: the tree is listed (names; then with every file's attributes), every
file compared with the exported one, and both are read by a torch DataLoader (2 processes, decoding
included, shuffled), in turn. The first listing and reading of a mount are reported separately: the
kernel has cached nothing yet. Needs FUSE and the extra `mount`.
"""

import argparse
import filecmp
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mfusepy
import numpy as np
import torch
from export import generated, machine
from PIL import Image

COMMAND = [sys.executable, "-m", "scoremix.pipeline.cli"]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=1000, help="real images")
    parser.add_argument("--ratio", type=int, default=10)
    parser.add_argument("--resolution", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--work", help="folder for the data; default: a temporary one")
    parser.add_argument("--out", default="benchmarks/results/mount")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.work) as folder:
        result = measure(Path(folder), options)
    Path(f"{options.out}.json").write_text(json.dumps(result, indent=2) + "\n")
    Path(f"{options.out}.md").write_text(table(result))
    print(table(result))


def measure(work: Path, options: argparse.Namespace) -> dict[str, Any]:
    shards = generated(work, options)
    out = work / "exported"
    subprocess.run(
        [*COMMAND, "export", shards, "--to", "imagefolder", "--out", out, "--quiet"],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    rate(out, options.workers)  # warm
    runs = [
        one(shards, out, work / "mounted", options.workers, export_first=index % 2 == 0)
        for index in range(options.repeats)
    ]
    return {
        "images": options.images * (options.ratio + 1),
        "resolution": options.resolution,
        "repeats": options.repeats,
        "workers": options.workers,
        "libfuse": f"{mfusepy.fuse_version_major}.{mfusepy.fuse_version_minor}",
        "torch": torch.__version__,
        "machine": machine(),
        "medians": {name: statistics.median(run[name] for run in runs) for name in runs[0]},
        "lowest_ratio": min(run["ratio"] for run in runs),
        "runs": runs,
    }


def one(
    shards: Path, out: Path, place: Path, workers: int, *, export_first: bool
) -> dict[str, float]:
    """Lists and reads a new mount; then reads mount and export, one after the other.

    Seconds, and images per second.
    """
    found: dict[str, float] = {}
    begin = time.perf_counter()
    with mounted(shards, place):
        found["start"] = time.perf_counter() - begin
        found["names"] = seconds(lambda: names(place))
        found["attributes"] = seconds(lambda: attributes(place))
        found["attributes_again"] = seconds(lambda: attributes(place))
        found["first"] = rate(place, workers)
        compare(out, place)
        pair = {"exported": out, "mounted": place}
        for name in pair if export_first else reversed(pair):
            found[name] = rate(pair[name], workers)
        found["ratio"] = found["mounted"] / found["exported"]
    return found


@contextmanager
def mounted(shards: Path, place: Path) -> Iterator[None]:
    process = subprocess.Popen(
        [*COMMAND, "mount", shards, place, "--to", "imagefolder"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None and process.stderr is not None
        lines = iter(process.stdout.readline, "")
        if not any(line.startswith("Serving") for line in lines):
            raise SystemExit(process.stderr.read())
        yield
    finally:
        process.terminate()
        process.communicate()


def names(folder: Path) -> int:
    return sum(len(files) for _, _, files in os.walk(folder))


def attributes(folder: Path) -> int:
    """Reads every file's attributes, as `ls -lR` does."""
    return sum(
        os.stat(os.path.join(above, name)).st_size
        for above, _, files in os.walk(folder)
        for name in files
    )


def seconds(act: Callable[[], object]) -> float:
    begin = time.perf_counter()
    act()
    return time.perf_counter() - begin


class Images(torch.utils.data.Dataset[torch.Tensor]):
    """Every image below a folder, decoded, (side, side, 3)."""

    def __init__(self, folder: Path) -> None:
        self.files = sorted(str(path) for path in folder.rglob("*.png"))

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> torch.Tensor:
        with Image.open(self.files[index]) as image:
            return torch.from_numpy(np.array(image.convert("RGB")))


def rate(folder: Path, workers: int) -> float:
    """Images per second of one epoch, including the start of the loader's processes."""
    order = torch.Generator().manual_seed(0)
    loader = torch.utils.data.DataLoader(
        Images(folder), batch_size=64, shuffle=True, num_workers=workers, generator=order
    )
    begin = time.perf_counter()
    count = sum(len(batch) for batch in loader)
    return count / (time.perf_counter() - begin)


def compare(out: Path, place: Path) -> None:
    paths = sorted(path.relative_to(out) for path in out.rglob("*") if path.is_file())
    if paths != sorted(path.relative_to(place) for path in place.rglob("*") if path.is_file()):
        raise SystemExit("The mount has other files than the export.")
    for path in paths:
        if not filecmp.cmp(out / path, place / path, shallow=False):
            raise SystemExit(f"{path} differs.")


def table(result: dict[str, Any]) -> str:
    machine, found = result["machine"], result["medians"]
    count = f"{result['images']:,}"
    return "\n".join(
        [
            f"# A mount of {count} images at {result['resolution']} px\n",
            f"Medians of {result['repeats']} mounts; {machine['processor']}, {machine['cores']} "
            f"cores, Python {machine['python']}, libfuse {result['libfuse']}. A torch DataLoader "
            f"with {result['workers']} processes reads every image once, shuffled, decoding "
            "included; the mount and the export in turn, and every file compared in each repeat: "
            "they are equal. The process that serves shares the cores with the loader's.\n",
            "| | exported | mounted | mounted against exported |",
            "|---|---|---|---|",
            f"| read, warm, images/s | {found['exported']:,.0f} | {found['mounted']:,.0f} | "
            f"{found['ratio']:.2f} (lowest of a pair: {result['lowest_ratio']:.2f}) |",
            f"| the first read of a mount, images/s | | {found['first']:,.0f} | |\n",
            f"| listing {count} files | seconds |",
            "|---|---|",
            f"| names, first | {found['names']:.3f} |",
            f"| names and attributes, first | {found['attributes']:.3f} |",
            f"| names and attributes, again | {found['attributes_again']:.3f} |",
            f"| from the command to a mount that can be read | {found['start']:.2f} |\n",
        ]
    )


if __name__ == "__main__":
    main()
