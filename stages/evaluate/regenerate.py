"""Regenerates plan rows with their intermediate steps, and keeps features, norms and hashes."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ...models.features.extractors import Extractor
from ..common.progress import Progress
from .appearance import Look, TracedLooks
from .contact_sheet import SheetRow
from .row_sample import fold_lambda

STEPS = ("mixup", "minimised", "final")

Images = NDArray[np.uint8]
Floats = NDArray[np.float64]


class TracedBatch(Protocol):
    """Some plan rows with their images, step by step: uint8 (B, H, W, C).

    norms: (B, 3), ||sigma_N S||^2 / D of the three steps; None without a score network.
    clipped: (B,), the share of an image's values that was cut off; None for real images.
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
    @property
    def clipped(self) -> NDArray[np.float32] | None: ...


@dataclass(frozen=True)
class Trace:
    """What is kept of the rows that were made again, in plan order."""

    rows: pa.Table
    folded: Floats  # (n,) min(lambda, 1 - lambda)
    features: dict[str, Floats]  # per step (n, D)
    norms: Floats | None  # (n, 3)
    reproduced: int  # rows with the pixels that the manifest records
    kept: list[SheetRow]  # images of the rows that were asked for
    looks: TracedLooks
    clipped: Floats | None = None  # (n,) the share of each image's values that was cut off


def regenerate(
    batches: Iterator[TracedBatch],
    total: int,
    manifest: pa.Table,
    extractor: Extractor,
    keep: set[str],
    progress: Progress,
) -> Trace:
    """Features, norms and hashes of `total` rows, batch by batch.

    manifest: with `key` and `pixel_sha256`, to which pixels are compared.
    keep: keys of rows whose images are kept; of all others only what `Trace` has.
    """
    keys, hashes = (manifest[name].to_pylist() for name in ("key", "pixel_sha256"))
    recorded = dict(zip(keys, hashes, strict=True))
    features = _StepFeatures(total)
    tables: list[pa.Table] = []
    norms: list[NDArray[np.float32]] = []
    clipped: list[NDArray[np.float32]] = []
    kept: list[SheetRow] = []
    reproduced = 0
    looks: tuple[list[Look], list[Look]] = [], []
    with progress.task("evaluate", total, "images") as advance:
        for batch in batches:
            features.add(_extract_steps(batch, extractor))
            tables.append(batch.rows)
            for some, images in zip(looks, (batch.mixup, batch.final), strict=True):
                some.append(Look.of(images))
            norms += [] if batch.norms is None else [batch.norms]
            clipped += [] if batch.clipped is None else [batch.clipped]
            steps = (batch.mixup, batch.minimised, batch.final)
            for item in zip(batch.rows.to_pylist(), *steps, strict=True):
                key, final = item[0]["key"], item[3]
                reproduced += hashlib.sha256(final.tobytes()).hexdigest() == recorded.get(key)
                kept += [item] if key in keep else []
            advance(batch.rows.num_rows)
    rows = pa.concat_tables(tables)
    return Trace(
        rows=rows,
        folded=fold_lambda(rows),
        features=dict(zip(STEPS, features.finish(), strict=True)),
        norms=np.concatenate(norms).astype(np.float64) if norms else None,
        reproduced=reproduced,
        kept=kept,
        looks=TracedLooks(*map(Look.joined, looks)),
        clipped=np.concatenate(clipped).astype(np.float64) if clipped else None,
    )


class _StepFeatures:
    """Features (total, D) of each step, filled batch by batch: never in memory twice.

    Steps that changed nothing share one array.
    """

    def __init__(self, total: int) -> None:
        self._total, self._count = total, 0
        self._steps: list[Floats] = []

    def add(self, batch: Sequence[Floats]) -> None:
        """Adds (b, D) of each step: the same array object as the step before if nothing changed."""
        if not self._steps:
            self._steps = [np.empty((self._total, batch[0].shape[1]))] * len(batch)
        for i, vectors in enumerate(batch):
            if i and self._steps[i] is self._steps[i - 1]:
                if vectors is batch[i - 1]:
                    continue
                self._separate(i)
            self._steps[i][self._count : self._count + len(vectors)] = vectors
        self._count += len(batch[0])

    def _separate(self, first: int) -> None:
        """Gives step `first`, and those after it that share its array, an array of their own."""
        shared = self._steps[first]
        own = np.empty_like(shared)
        own[: self._count] = shared[: self._count]
        after = [own if each is shared else each for each in self._steps[first:]]
        self._steps[first:] = after

    def finish(self) -> list[Floats]:
        """The arrays of all steps, once every image was added."""
        assert self._count == self._total, "every chosen row is made again"
        return self._steps


def _extract_steps(batch: TracedBatch, extractor: Extractor) -> tuple[Floats, Floats, Floats]:
    """Features of the three steps; equal images (method mixup) go through the network once."""
    mixup = minimised = extractor(batch.mixup)
    if not np.array_equal(batch.minimised, batch.mixup):
        minimised = extractor(batch.minimised)
    same = np.array_equal(batch.final, batch.minimised)
    return mixup, minimised, minimised if same else extractor(batch.final)
