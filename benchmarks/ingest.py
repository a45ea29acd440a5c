"""INGEST: rate of ingesting a folder, against a plain single-threaded loop over the same files.

    python benchmarks/ingest.py --images 20000 --side 256 --out benchmarks/results/ingest

The loop does what a training script's preparation does: open, convert, crop, resize, to numpy.
ingest does that and hashes files and pixels, finds duplicates, checks for damage and writes the
corpus with a row for every file. Both are run in turn, in one process; the ratio is the result.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from scoremix.stages.common.progress import Silent
from scoremix.stages.ingest.ingest import IngestConfig, ingest


def generate(folder: Path, count: int, side: int, suffix: str) -> None:
    """Writes smooth random images with some detail, all different."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    coarse = random.integers(0, 256, (64, 12, 12, 3), dtype=np.uint8)
    for number in range(count):
        rolled = np.roll(coarse[number % 64], number // 64, axis=0)
        pixels = np.array(Image.fromarray(rolled).resize((side, side), Image.Resampling.BICUBIC))
        place = number % side, number // side % side
        pixels[place[0], :], pixels[:, place[1]] = number % 256, number // 256 % 256
        options = {"quality": 90} if suffix == "jpg" else {"compress_level": 1}
        Image.fromarray(pixels).save(folder / f"{number:06d}.{suffix}", **options)


def plain_loop(folder: Path, side: int) -> np.ndarray:
    """The usual training script's loop: one file after the other."""
    images = []
    for name in sorted(os.listdir(folder)):
        with Image.open(folder / name) as opened:
            image = opened.convert("RGB")
        short = min(image.size)
        left, top = (image.width - short) // 2, (image.height - short) // 2
        image = image.crop((left, top, left + short, top + short))
        images.append(np.asarray(image.resize((side, side), Image.Resampling.LANCZOS)))
    return np.stack(images)


def timed(work: object) -> float:
    begin = time.perf_counter()
    work()  # type: ignore[operator]
    return time.perf_counter() - begin


def measure(folder: Path, resolution: int, workers: int, rounds: int) -> dict[str, object]:
    count = len(os.listdir(folder))
    config = IngestConfig(source=str(folder), resolution=resolution, holdout=0)
    corpus = folder.with_name("corpus")
    times: dict[str, list[float]] = {"loop": [], "ingest": []}
    plain_loop(folder, resolution)  # the files are in memory from here on
    for _ in range(rounds):
        times["loop"].append(timed(lambda: plain_loop(folder, resolution)))
        shutil.rmtree(corpus, ignore_errors=True)
        run = lambda: ingest(config, corpus, seed=0, progress=Silent(), workers=workers)  # noqa: E731
        times["ingest"].append(timed(run))
    loop, ours = (statistics.median(times[name]) for name in ("loop", "ingest"))
    return {
        "images": count,
        "resolution": resolution,
        "workers": workers,
        "loop_seconds": times["loop"],
        "ingest_seconds": times["ingest"],
        "loop_images_per_second": count / loop,
        "ingest_images_per_second": count / ours,
        "ratio": loop / ours,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=20000)
    parser.add_argument("--side", type=int, default=256, help="pixels of the generated files")
    parser.add_argument("--suffix", choices=["jpg", "png"], default="jpg")
    parser.add_argument("--resolution", type=int, default=64)
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, help="PATH.json gets another entry")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "images"
        generate(folder, asked.images, asked.side, asked.suffix)
        facts = measure(folder, asked.resolution, asked.workers, asked.rounds)
    facts = {"files": f"{asked.side} px {asked.suffix}", "machine": platform.machine(), **facts}
    print(json.dumps(facts, indent=1))
    if asked.out:
        path = asked.out.with_suffix(".json")
        earlier = json.loads(path.read_text()) if path.exists() else []
        path.write_text(json.dumps([*earlier, facts], indent=1) + "\n")


if __name__ == "__main__":
    main()
