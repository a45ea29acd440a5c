"""EVALUATE: time and peak memory of evaluating many images against held-out ones.

    python benchmarks/evaluate.py --features mobilenetv2.pt --out benchmarks/results/evaluate

Evaluates a corpus of 1,100 real images (1,000 beside 1,000 held out ones) and ten rounds of mixup,
11,000 of its images with every record; and a folder of 11,000 images as a GAN's samples, first
without, then with cached features of the real images. --quick: a tenth of everything.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
from pathlib import Path
from typing import Any

from ingest import generate
from memory import watch


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--features", default="pixels", help="a TorchScript network, or pixels")
    parser.add_argument("--side", type=int, default=32, help="pixels")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--out", default="benchmarks/results/evaluate")
    options = parser.parse_args()
    images = 210 if options.quick else 2100
    judged = 1100 if options.quick else 11_000
    held_out = 100 if options.quick else 1000
    with tempfile.TemporaryDirectory() as folder:
        result = measure(Path(folder), images, judged, held_out, options)
    Path(f"{options.out}.json").write_text(json.dumps(result, indent=1) + "\n")
    Path(f"{options.out}.md").write_text(table(result))
    print(table(result))


def measure(
    root: Path, images: int, judged: int, held_out: int, options: argparse.Namespace
) -> dict[str, Any]:
    features = (
        options.features if options.features == "pixels" else str(Path(options.features).resolve())
    )
    generate(root / "images", images, options.side, "png")
    generate(root / "samples", judged, options.side, "png")
    command = [sys.executable, "-m", "scoremix.pipeline.cli"]
    settings = {
        "ingest.resolution": options.side,
        "ingest.holdout": held_out / images,
        "generate.method": "mixup",
        "generate.ratio": 10,
        "evaluate.rows": judged,
        "evaluate.features": features,
    }
    words = [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
    places = ["--data", str(root / "images"), "--out", str(root / "shards")]
    corpus = watch([*command, "augment", *places, *words, "--until", "write", "--quiet"])
    run = str(root / "shards.run")
    first = watch([*command, "evaluate", run, *words, "--quiet"])
    metrics = json.loads((root / "shards.run" / "report" / "metrics.json").read_text())
    asked = [*command, "evaluate", run, "--generated", str(root / "samples"), "--quiet"]
    samples = watch(asked)
    again = watch(asked)
    dimensions = metrics["features"]["dimensions"]
    return {
        "machine": {"processor": platform.processor(), "cores": os.cpu_count()},
        "features": metrics["features"]["name"],
        "dimensions": dimensions,
        "held_out": metrics["held_out"],
        "rows": metrics["rows"],
        "samples": judged,
        "megabytes_of_features": 8 * dimensions * judged / 1e6,
        "corpus": corpus,
        "evaluate": first,
        "generated": samples,
        "generated_again": again,
    }


def table(result: dict[str, Any]) -> str:
    lines = [
        f"{result['features']}, {result['dimensions']} dimensions, on {result['machine']['cores']}"
        f" cores; {result['held_out']:,} held-out images. The features of the judged images alone"
        f" are {result['megabytes_of_features']:.0f} MB.",
        "",
        "| what | images judged | seconds | peak memory, mapped files apart |",
        "|---|---|---|---|",
    ]
    for name, what, count in (
        ("evaluate", "`evaluate RUN`, mixup, every record", result["rows"]),
        ("generated", "`evaluate RUN --generated DIR`", result["samples"]),
        ("generated_again", "the same again: features of real images are kept", result["samples"]),
    ):
        found = result[name]
        lines.append(
            f"| {what} | {count:,} | {found['seconds']:.0f} |"
            f" {found['without_mapped_files'] / 1e9:.2f} GB |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
