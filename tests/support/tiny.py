"""Tiny runs for tests: a folder of generated images and the options that make them quick."""

import hashlib
import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import forked
import numpy as np
import pytest
from PIL import Image

from scoremix.manifests.published.owner import OWNER

# Most of the pipeline's tests run over both networks: `make test-refinenet`.
NETWORK = os.environ.get("SCOREMIX_TINY_NETWORK", "unet")

QUICK = {
    "train.network": NETWORK,
    "ingest.resolution": 8,
    "ingest.holdout": 0.2,
    "train.width": 4,
    "train.steps": 6,
    "train.batch": 4,
    "train.checkpoint_every": 3,
    "generate.method": "scoremix",  # no pilot, which takes longer than all the rest
    "generate.steps": 2,
    "generate.denoise_steps": 3,
    "generate.batch": 8,
    "generate.ratio": 2,
    "write.shard_size": 6,
    "evaluate.rows": 12,
    "evaluate.sheet_rows": 4,
}


def mostly_in_faults(values: Sequence[Any], here: Sequence[Any]) -> list[Any]:
    """Parameters for all `values`: `here` are of the default run, the others of `make faults`."""
    marks = [pytest.mark.slow, pytest.mark.faults]
    assert set(here) <= set(values), f"{set(here) - set(values)} are no values"
    return [value if value in here else pytest.param(value, marks=marks) for value in values]


def make_images(folder: Path, classes: Sequence[str] = ("left", "right")) -> Path:
    """Small PNGs, a bright bar at a random place, ten per class in a sub-folder."""
    random = np.random.default_rng(7)
    for number, name in enumerate(classes):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for index in range(10):
            pixels = random.integers(0, 60, (10, 10, 3), dtype=np.uint8)
            place = int(random.integers(0, 8))
            pixels[:, place : place + 2] += np.uint8(150 - 40 * number)
            Image.fromarray(pixels).save(folder / name / f"{index:03d}.png")
    return folder


def make_bars(folder: Path, places: range, name: str = "row") -> Path:
    """Ten 8-px images of each class NAMEplace: a bright row at a place of its own, in noise."""
    random = np.random.default_rng(places.start)
    for place in places:
        (folder / f"{name}{place}").mkdir(parents=True)
        for index in range(10):
            pixels = random.integers(0, 80, (8, 8, 3), dtype=np.uint8)
            pixels[place] += np.uint8(150)
            Image.fromarray(pixels).save(folder / f"{name}{place}" / f"{index}.png")
    return folder


def options(**changed: object) -> list[str]:
    """--set arguments of a quick run; `changed` uses section__key names."""
    values = QUICK | {key.replace("__", "."): value for key, value in changed.items()}
    pairs = (f"{key}={json.dumps(value)}" for key, value in values.items())
    return [part for pair in pairs for part in ("--set", pair)]


def command(
    arguments: Sequence[str | Path], **environment: str
) -> subprocess.CompletedProcess[str]:
    """scoremix-pipeline in a process of its own; exit code and output are the test's to judge."""
    return forked.run([*map(str, arguments)], {**os.environ, **environment}, timeout=300)


def start(arguments: Sequence[str | Path], **environment: str) -> forked.Started:
    """As `command`, and while it runs: to be waited for, sent signals or killed."""
    return forked.Started([*map(str, arguments)], {**os.environ, **environment})


def digests(folder: Path) -> dict[str, str]:
    """sha256 of every file below `folder` but .scoremix-run.json, which differs between runs."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != OWNER
    }
