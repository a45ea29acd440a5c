"""Plan rows made again with their steps: what evaluate keeps of every image as it passes."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ...models.features.extractors import Extractor
from ..common.progress import Progress
from .contact_sheet import Shown
from .row_sample import fold_lambda

STEPS = ("mixup", "minimised", "final")

Images = NDArray[np.uint8]
Floats = NDArray[np.float64]


class TracedBatch(Protocol):
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


def regenerate(
    batches: Iterator[TracedBatch],
    total: int,
    manifest: pa.Table,
    extract: Extractor,
    shown: set[str],
    progress: Progress,
) -> Trace:
    """Features, norms and hashes batch by batch; images are kept for the sheet alone."""
    keys, hashes = (manifest[name].to_pylist() for name in ("key", "pixel_sha256"))
    promised = dict(zip(keys, hashes, strict=True))
    features = _Gathered(total)
    tables: list[pa.Table] = []
    norms: list[NDArray[np.float32]] = []
    kept: list[Shown] = []
    reproduced = 0
    with progress.task("evaluate", total, "images") as advance:
        for batch in batches:
            features.add(_step_features(batch, extract))
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
        folded=fold_lambda(rows["lambda"]),
        features=dict(zip(STEPS, features.whole(), strict=True)),
        norms=np.concatenate(norms).astype(np.float64) if norms else None,
        reproduced=reproduced,
        shown=kept,
    )


class _Gathered:
    """Features of `total` images, laid down as they come: never in memory twice. Steps that
    changed nothing share one array."""

    def __init__(self, total: int) -> None:
        self._total, self._count = total, 0
        self._steps: list[Floats] = []

    def add(self, batch: Sequence[Floats]) -> None:
        """Of each step (b, D): the very array of the step before where nothing was changed."""
        if not self._steps:
            self._steps = [np.empty((self._total, batch[0].shape[1]))] * len(batch)
        for i, vectors in enumerate(batch):
            if i and self._steps[i] is self._steps[i - 1]:
                if vectors is batch[i - 1]:
                    continue
                self._part_from(i)
            self._steps[i][self._count : self._count + len(vectors)] = vectors
        self._count += len(batch[0])

    def _part_from(self, first: int) -> None:
        """Step `first`, and those after it that were like it, get an array of their own."""
        shared = self._steps[first]
        own = np.empty_like(shared)
        own[: self._count] = shared[: self._count]
        after = [own if each is shared else each for each in self._steps[first:]]
        self._steps[first:] = after

    def whole(self) -> list[Floats]:
        assert self._count == self._total, "every chosen row is made again"
        return self._steps


def _step_features(batch: TracedBatch, extract: Extractor) -> tuple[Floats, Floats, Floats]:
    """Features of the three steps; equal images (method mixup) go through the network once."""
    mixup = extract(batch.mixup)
    minimised = mixup if np.array_equal(batch.minimised, batch.mixup) else extract(batch.minimised)
    same = np.array_equal(batch.final, batch.minimised)
    return mixup, minimised, minimised if same else extract(batch.final)
