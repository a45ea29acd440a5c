"""Plan rows made again with their steps: what evaluate keeps of every image as it passes."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ..models.features import Extractor
from .contact_sheet import Shown
from .progress import Progress

STEPS = ("mixup", "minimised", "final")

Images = NDArray[np.uint8]
Floats = NDArray[np.float64]


class Traced(Protocol):
    """Some plan rows with their images, step by step: uint8 (B, H, W, C).

    norms: (B, 3), ||sigma_N S||^2 / D of the three steps; None without a score network.
    """

    @property
    def rows(self) -> pa.Table: ...
    @property
    def mixup(self) -> Images: ...
    @property
    def minimised(self) -> Images: ...
    @property
    def final(self) -> Images: ...
    @property
    def norms(self) -> NDArray[np.float32] | None: ...


@dataclass(frozen=True)
class Trace:
    """The chosen rows, made again: everything per row, in plan order."""

    rows: pa.Table
    folded: Floats  # (n,)
    features: dict[str, Floats]  # per step (n, D)
    norms: Floats | None  # (n, 3)
    reproduced: int  # rows with the pixels that the manifest promises
    shown: list[Shown]


def fold(lambdas: pa.ChunkedArray) -> Floats:
    """min(lambda, 1 - lambda): both parents' names may be swapped."""
    values = lambdas.to_numpy()
    folded: Floats = np.minimum(values, 1.0 - values)
    return folded


def trace_rows(
    batches: Iterator[Traced],
    total: int,
    manifest: pa.Table,
    extract: Extractor,
    shown: set[str],
    progress: Progress,
) -> Trace:
    """Features, norms and hashes batch by batch; images are kept for the sheet alone."""
    keys, hashes = (manifest[name].to_pylist() for name in ("key", "pixel_sha256"))
    promised = dict(zip(keys, hashes, strict=True))
    features = {step: _Gathered(total) for step in STEPS}
    tables: list[pa.Table] = []
    norms: list[NDArray[np.float32]] = []
    kept: list[Shown] = []
    reproduced = 0
    with progress.task("evaluate", total, "images") as advance:
        for batch in batches:
            for step, vectors in zip(STEPS, _step_features(batch, extract), strict=True):
                features[step].add(vectors)
            tables.append(batch.rows)
            norms += [] if batch.norms is None else [batch.norms]
            steps = (batch.mixup, batch.minimised, batch.final)
            for item in zip(batch.rows.to_pylist(), *steps, strict=True):
                key, final = item[0]["key"], item[3]
                reproduced += hashlib.sha256(final.tobytes()).hexdigest() == promised.get(key)
                kept += [item] if key in shown else []
            advance(batch.rows.num_rows)
    rows = pa.concat_tables(tables)
    return Trace(
        rows=rows,
        folded=fold(rows["lambda"]),
        features={step: gathered.whole() for step, gathered in features.items()},
        norms=np.concatenate(norms).astype(np.float64) if norms else None,
        reproduced=reproduced,
        shown=kept,
    )


class _Gathered:
    """Features of `total` images, laid down as they come: never in memory twice."""

    def __init__(self, total: int) -> None:
        self._vectors = np.zeros((total, 0))
        self._count = 0

    def add(self, vectors: Floats) -> None:
        if self._count == 0:
            self._vectors = np.empty((len(self._vectors), vectors.shape[1]))
        self._vectors[self._count : self._count + len(vectors)] = vectors
        self._count += len(vectors)

    def whole(self) -> Floats:
        assert self._count == len(self._vectors), "every chosen row is made again"
        return self._vectors


def _step_features(batch: Traced, extract: Extractor) -> tuple[Floats, Floats, Floats]:
    """Features of the three steps; equal images (method mixup) go through the network once."""
    mixup = extract(batch.mixup)
    minimised = mixup if np.array_equal(batch.minimised, batch.mixup) else extract(batch.minimised)
    same = np.array_equal(batch.final, batch.minimised)
    return mixup, minimised, minimised if same else extract(batch.final)
