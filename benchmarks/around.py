"""AROUND: the work beside the network - shards, sigma_1, the growth of the cost, the start-up time.

    python benchmarks/around.py --out benchmarks/results/around

* shards: images encoded and committed as shards (hashed, synced, with Parquet and marker), by both
  encoders, against webdataset.ShardWriter with Pillow's PNG, one thread, no manifest and no sync;
  in turn, the median of the pairs' ratios.
* sigma_1: exact, at 1,000, 10,000 and 70,000 images; and by brute force where that is feasible.
* growth: processor-seconds per image of 100, 1,000 and 10,000 images at 8 px and 10 steps, and the
  peak memory, each in its own process.
* start: `scoremix-pipeline --help`.
"""

import argparse
import io
import json
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
import webdataset
from material import plan_rows, smooth_images
from PIL import Image

from scoremix.manifests.plan.plan import rows_digest
from scoremix.manifests.plan.schema import PLAN
from scoremix.models.method.diameter import diameter
from scoremix.models.method.ladder import noise_ladder
from scoremix.models.network.architecture import Architecture
from scoremix.models.network.checkpoint import TrainedNet, build
from scoremix.stages.common.presets import balanced_batch, micro_batch
from scoremix.stages.generate.config import GenerateConfig
from scoremix.stages.generate.generate import GeneratedBatch, generate
from scoremix.stages.generate.recipe import Recipe
from scoremix.stages.images.png import select_encoder
from scoremix.stages.write.tasks import ShardTask
from scoremix.stages.write.write import SampleSources, describe_environment, write

_BATCH = 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", default="benchmarks/results/around")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--images", type=int, default=1000, help="of the shards")
    parser.add_argument("--parts", default="start,shards,sigma_1,growth")
    parser.add_argument("--grow", type=int, help="(one measurement of growth, in its own process)")
    options = parser.parse_args()
    if options.grow:
        print(json.dumps(grown(options.grow)))
        return
    result: dict[str, Any] = {"machine": machine(), "repeats": options.repeats}
    parts = {"start": start, "shards": shards, "sigma_1": sigma_1, "growth": growth}
    for part in options.parts.split(","):
        result[part] = parts[part](options)
        print(json.dumps({part: result[part]}), flush=True)
        Path(f"{options.out}.json").write_text(json.dumps(result, indent=1) + "\n")
        Path(f"{options.out}.md").write_text(table(result))
    print(table(result))


def machine() -> dict[str, Any]:
    return {
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "webdataset": webdataset.__version__,
        "load_before": os.getloadavg()[0],
    }


def start(options: argparse.Namespace) -> dict[str, Any]:
    command = [sys.executable, "-m", "scoremix.pipeline.cli", "--help"]
    installed = shutil.which("scoremix-pipeline", path=str(Path(sys.executable).parent))
    if installed:
        command = [installed, "--help"]
    seconds = []
    for _ in range(options.repeats + 1):
        begin = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        seconds.append(time.perf_counter() - begin)
    return {"seconds": statistics.median(seconds[1:])}


def shards(options: argparse.Namespace) -> list[dict[str, Any]]:
    found = []
    for side in (64, 256):
        images = smooth_images(options.images if side == 64 else options.images // 4, side, 3)
        pixels = images.nbytes / 1e6
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder)
            plain = _timed(partial(by_shard_writer, images, place / "plain"))
            entry: dict[str, Any] = {"side": side, "images": len(images), "pixels_mb": pixels}
            rows = _rows(len(images))
            work = ShardTask("aug-000000", rows, rows_digest(rows), "0" * 64)
            for name in ("pillow", "isal"):
                ours = _timed(partial(by_ours, images, work, place / name, name))
                plain(), ours()
                pairs = [(ours(), plain()) for _ in range(options.repeats)]
                entry[name] = {
                    "mb_per_s": pixels / statistics.median(a for a, _ in pairs),
                    "shard_writer_mb_per_s": pixels / statistics.median(b for _, b in pairs),
                    "ratio": statistics.median(b / a for a, b in pairs),
                    "ratios": sorted(b / a for a, b in pairs),
                    "bytes": sum(path.stat().st_size for path in (place / name).glob("*.tar")),
                }
            entry["shard_writer_bytes"] = sum(
                path.stat().st_size for path in (place / "plain").glob("*.tar")
            )
        found.append(entry)
    return found


def _timed(work: Callable[[], None]) -> Callable[[], float]:
    def seconds() -> float:
        begin = time.perf_counter()
        work()
        return time.perf_counter() - begin

    return seconds


def by_shard_writer(images: np.ndarray[Any, Any], folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    with webdataset.ShardWriter(
        str(folder / "%06d.tar"), maxcount=1000, verbose=0
    ) as writer:  # its own PNG handler is Pillow's too; this one spares its float conversion
        for number, pixels in enumerate(images):
            buffer = io.BytesIO()
            Image.fromarray(pixels).save(buffer, "PNG")
            sample = {"__key__": f"{number:06d}", "png": buffer.getvalue()}
            writer.write(sample | {"cls": 0, "json": {"row_1": number, "lambda": 0.5}})


def by_ours(images: np.ndarray[Any, Any], work: ShardTask, folder: Path, encoder: str) -> None:
    """Writes shards as the build does, from images that are already made."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    sources = SampleSources(["0" * 64] * len(images), [None] * len(images), [0] * len(images), 0)
    write(
        work,
        _batches(work.rows, images),
        sources,
        folder,
        folder / ".tmp",
        lambda count: None,
        describe_environment(torch.device("cpu")),
        select_encoder(encoder),
    )


def _rows(count: int) -> pa.Table:
    table = plan_rows(count, count)
    columns = {name: table[name].to_pylist() for name in table.column_names} | {
        "round": [1] * count,
        "shard": ["aug-000000"] * count,
        "position": list(range(count)),
        "source_1": [f"{row:06d}.png" for row in table["row_1"].to_pylist()],
        "source_2": [f"{row:06d}.png" for row in table["row_2"].to_pylist()],
        "class_id": [-1] * count,
        "method": ["scoremix"] * count,
    }
    return pa.table({name: columns[name] for name in PLAN.names}, schema=PLAN)


def _batches(rows: pa.Table, images: np.ndarray[Any, Any]) -> Iterator[GeneratedBatch]:
    for begin in range(0, len(images), _BATCH):
        some = images[begin : begin + _BATCH]
        norms = np.full((len(some), 3), 0.25, np.float32)
        yield GeneratedBatch(rows.slice(begin, _BATCH), some, some, some, norms)


def sigma_1(options: argparse.Namespace) -> list[dict[str, Any]]:
    found = []
    for side in (32, 64):
        for count in (1000, 10_000, 70_000):
            images = _many(count, side)
            begin = time.perf_counter()
            squared = diameter(images).squared
            seconds = time.perf_counter() - begin
            entry = {"side": side, "images": count, "seconds": seconds}
            if count <= 10_000:
                begin = time.perf_counter()
                assert brute_force(images) == squared
                entry["brute_force_seconds"] = time.perf_counter() - begin
            found.append(entry)
    return found


def _many(count: int, side: int) -> np.ndarray[Any, Any]:
    """`count` different images: 2,000 natural-looking ones, shifted and scaled."""
    base = smooth_images(2000, side, 3)
    random = np.random.default_rng(3)
    images = np.empty((count, side, side, 3), np.uint8)
    for number in range(count):
        image = np.roll(base[number % len(base)], random.integers(0, side, 2), (0, 1))
        gain, offset = random.uniform(0.5, 1.2), random.uniform(-60, 60)
        images[number] = ((image - 128.0) * gain + 128.0 + offset).clip(0, 255)
    return images


def brute_force(images: np.ndarray[Any, Any]) -> int:
    """sigma_1 over all pairs, by blocks of products; exact in float64."""
    flat = images.reshape(len(images), -1).astype(np.float64)
    squares = (flat**2).sum(axis=1)
    return int(
        max(
            (squares[i : i + 1000, None] + squares - 2 * flat[i : i + 1000] @ flat.T).max()
            for i in range(0, len(flat), 1000)
        )
    )


def growth(options: argparse.Namespace) -> list[dict[str, Any]]:
    found = []
    for count in (100, 1000, 10_000):
        runs = []
        for _ in range(options.repeats):
            done = subprocess.run(
                [sys.executable, __file__, "--grow", str(count)],
                check=True,
                capture_output=True,
                text=True,
            )
            runs.append(json.loads(done.stdout.splitlines()[-1]))
        middle = sorted(runs, key=lambda run: run["cpu_seconds_per_image"])[len(runs) // 2]
        found.append(middle)
    return found


def grown(count: int) -> dict[str, Any]:
    """Generates images of 8 px with 10 steps; returns this process's seconds and memory."""
    images = smooth_images(512, 8, 1)
    torch.manual_seed(0)
    net = build(Architecture(1, 8, 16), noise_ladder(3.0)).requires_grad_(False).eval()
    facts = {"weights_sha256": "", "ladder": {"sigma_1": 3.0, "sigma_N": 0.01}}
    trained = TrainedNet(net, 3.0, 0.01, facts)
    batch = balanced_batch(micro_batch("cpu", 8, 16), 1000, count)
    config = GenerateConfig(
        method="scoremix", steps=10, lr=0.002, t0=0.25, denoise_steps=25, noise_rule="ancestral",
        batch=batch, precision="float32",
    )  # fmt: skip
    wanted = Recipe.from_config(config, trained.facts, "")
    warm = plan_rows(300, len(images))
    rows = plan_rows(count, len(images))
    device = torch.device("cpu")
    list(generate(warm, images, wanted, trained, device=device))
    before, begin = time.process_time(), time.perf_counter()
    made = sum(len(each.final) for each in generate(rows, images, wanted, trained, device=device))
    assert made == count
    return {
        "images": count,
        "micro_batch": batch,
        "cpu_seconds_per_image": (time.process_time() - before) / count,
        "images_per_second": count / (time.perf_counter() - begin),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3,
    }


def table(result: dict[str, Any]) -> str:
    lines = [f"{result['machine']}, medians of {result['repeats']} where not said otherwise."]
    if "start" in result:
        lines += ["", f"`scoremix-pipeline --help`: {result['start']['seconds']:.2f} s."]
    if "shards" in result:
        lines += [
            "",
            f"Shards, medians of {len(result['shards'][0]['isal']['ratios'])} pairs:",
            "",
            "| images | encoder | MB of pixels a second | ShardWriter + Pillow | ratio (range) |"
            " tar, of ShardWriter's |",
            "|---|---|---|---|---|---|",
        ]
        for row in result["shards"]:
            for name in ("pillow", "isal"):
                one = row[name]
                lines.append(
                    f"| {row['images']:,} of {row['side']} px | {name} | {one['mb_per_s']:.1f} |"
                    f" {one['shard_writer_mb_per_s']:.1f} | {one['ratio']:.2f}"
                    f" ({one['ratios'][0]:.2f}-{one['ratios'][-1]:.2f}) |"
                    f" {one['bytes'] / row['shard_writer_bytes']:.3f} |"
                )
    if "sigma_1" in result:
        lines += ["", "| sigma_1 of | seconds | all pairs, seconds |", "|---|---|---|"]
        for row in result["sigma_1"]:
            brute = row.get("brute_force_seconds")
            shown = "" if brute is None else f"{brute:.2f}"
            lines.append(
                f"| {row['images']:,} of {row['side']} px | {row['seconds']:.2f} | {shown} |"
            )
    if "growth" in result:
        lines += [
            "",
            "| generated, 8 px, 10 steps | processor-ms an image | images/s | peak MB |",
            "|---|---|---|---|",
        ]
        lines += [
            f"| {row['images']:,} | {1000 * row['cpu_seconds_per_image']:.2f} |"
            f" {row['images_per_second']:.0f} | {row['peak_mb']:.0f} |"
            for row in result["growth"]
        ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
