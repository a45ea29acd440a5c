"""A corpus of gray blobs, evaluated without a network: training images, plan, maker."""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from scoremix.manifests.plan.schema import PLAN
from scoremix.stages.common.progress import Silent
from scoremix.stages.evaluate.config import EvaluateConfig
from scoremix.stages.evaluate.evaluate import EvaluationInputs, evaluate
from scoremix.stages.evaluate.verdict import Verdict

Images = NDArray[np.uint8]
Make = Callable[[Images, pa.Table], Images]
COMMAND = "scoremix-pipeline run stages.yaml --set train.steps=2"


@dataclass(frozen=True)
class Batch:
    rows: pa.Table
    mixup: Images
    minimised: Images
    final: Images
    norms: NDArray[np.float32] | None
    clipped: NDArray[np.float32] | None = None


def blobs(count: int, seed: int) -> Images:
    """Gray 8-px images (count, 8, 8, 1): one bright blob; mixtures have two dim ones."""
    random = np.random.default_rng(seed)
    centres = random.uniform(1.0, 6.0, (count, 2, 1, 1))
    across, down = np.meshgrid(np.arange(8), np.arange(8))
    distance = (across - centres[:, 0]) ** 2 + (down - centres[:, 1]) ** 2
    return np.round(240 * np.exp(-distance / 4)).astype(np.uint8)[..., None]


def make_plan(images: int, rounds: int, method: str = "scoremix") -> pa.Table:
    """Real rows, then `rounds` rounds with lambda ~ Beta(0.2, 0.2)."""
    random = np.random.default_rng(3)
    rows = []
    for number in range(rounds + 1):
        for base in range(images):
            other = (base + int(random.integers(1, images))) % images if number else base
            rows.append(
                {
                    "key": f"{base:06d}-{number:03d}" if number else f"{base:06d}",
                    "kind": "augmented" if number else "real",
                    "round": number,
                    "shard": f"aug-{number:06d}" if number else "real-000000",
                    "position": base,
                    "row_1": base,
                    "row_2": other,
                    "source_1": f"{base:06d}",
                    "source_2": f"{other:06d}",
                    "lambda": float(random.beta(0.2, 0.2)) if number else 1.0,
                    "class_id": -1,
                    "method": method if number else "real",
                    "seed": number * images + base,
                }
            )
    return pa.Table.from_pylist(rows, schema=PLAN)


class Corpus:
    """Training and held-out blobs, a plan, and an `execute` whose final step is `make`."""

    def __init__(self, make: Make, *, held_out: int = 400, method: str = "scoremix") -> None:
        self.images, self.reference = blobs(150, seed=1), blobs(held_out, seed=2)
        self.plan = make_plan(150, rounds=8, method=method)
        self.make = make
        self.normed = method != "mixup"
        self.executed = 0

    def mixup(self, rows: pa.Table) -> Images:
        weight = rows["lambda"].to_numpy()[:, None, None, None]
        first, second = (self.images[rows[name].to_numpy()] for name in ("row_1", "row_2"))
        return np.round(weight * first + (1 - weight) * second).astype(np.uint8)

    def execute(self, rows: pa.Table) -> Iterator[Batch]:
        for start in range(0, rows.num_rows, 32):
            part = rows.slice(start, 32)
            self.executed += part.num_rows
            mixup = self.mixup(part)
            norms = np.tile(np.float32([0.30, 0.01, 0.29]), (len(mixup), 1))
            final = self.make(mixup, part)
            half = part["seed"].to_numpy()[:, None, None, None] % 2  # every other image is done
            minimised = np.where(half, mixup, final)
            yield Batch(part, mixup, minimised, final, norms if self.normed else None)

    def manifest(self) -> pa.Table:
        finals = self.make(self.mixup(self.plan), self.plan)
        hashes = [hashlib.sha256(image.tobytes()).hexdigest() for image in finals]
        return pa.table({"key": self.plan["key"], "pixel_sha256": hashes})

    def evaluate(self, out: Path, **changes: Any) -> tuple[Verdict, dict[str, Any]]:
        given: dict[str, Any] = {
            "plan": self.plan,
            "manifest": self.manifest(),
            "images": self.images,
            "reference": self.reference,
            "execute": self.execute,
            "reference_norms": np.full(50, 0.31, np.float32) if self.normed else None,
            "seed": 0,
            "train_more": COMMAND,
        }
        config = changes.pop("config", EvaluateConfig(rows=600))
        progress = changes.pop("progress", Silent())
        verdict = evaluate(config, EvaluationInputs(**(given | changes)), out, progress)
        return verdict, json.loads((out / "metrics.json").read_text())


def real_looking(mixup: Images, rows: pa.Table) -> Images:
    """As good as can be: blobs that nobody has seen."""
    return blobs(1000, seed=9)[rows["seed"].to_numpy() % 1000]


def noisy(mixup: Images, rows: pa.Table) -> Images:
    """Noise of the image's own; the mean stays."""
    seeds = rows["seed"].to_pylist()
    noise = [np.random.default_rng(seed).normal(0, 60, (8, 8, 1)) for seed in seeds]
    return np.clip(mixup + np.stack(noise), 0, 255).astype(np.uint8)


def swapped(mixup: Images, rows: pa.Table) -> Images:
    """Neither better nor worse: every image mirrored, which the distribution does not notice."""
    return np.ascontiguousarray(mixup[:, :, ::-1])


def same(mixup: Images, rows: pa.Table) -> Images:
    return mixup


@dataclass(frozen=True)
class Evaluated:
    """An evaluation that several tests look at, and change nothing of."""

    verdict: Verdict
    folder: Path  # what it wrote
    executed: int  # rows

    @property
    def metrics(self) -> dict[str, Any]:
        loaded: dict[str, Any] = json.loads((self.folder / "metrics.json").read_bytes())
        return loaded


@cache
def evaluated(make: Make, method: str = "scoremix", features: str = "auto") -> Evaluated:
    """Evaluates 600 rows of a corpus that `make` makes; once a process."""
    folder = TemporaryDirectory(prefix="evaluated-")
    _KEPT.append(folder)
    corpus = Corpus(make, method=method)
    config = EvaluateConfig(rows=600, features=features)
    verdict, _ = corpus.evaluate(Path(folder.name), config=config)
    return Evaluated(verdict, Path(folder.name), corpus.executed)


_KEPT: list[TemporaryDirectory[str]] = []  # removed at the process's end
