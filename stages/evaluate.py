"""evaluate: distances to held-out real images, band by band of lambda, and a verdict.

Some plan rows are made again with their intermediate steps, so that mixup, minimisation and
denoising are judged on the same rows. Folded lambda = min(lambda, 1 - lambda) throughout.
"""

import hashlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from ..manifests.atomic import write_bytes, write_json
from ..manifests.errors import ConfigError
from ..manifests.streams import image_seed, stream
from ..models.distances import Comparison, Reference, compare, is_biased
from ..models.features import Extractor, FeaturesError, open_extractor
from .contact_sheet import Shown, choose_shown, draw_shown
from .progress import Advance, Progress
from .verdict import Findings, Verdict, as_metrics, judge, norm_quantiles

ALGORITHM = 1  # raised whenever equal inputs would give other metrics

STEPS = ("mixup", "minimised", "final")
BANDS = (("< .01", 0.0, 0.01), (".01-.1", 0.01, 0.1), (".1-.3", 0.1, 0.3), (".3-.5", 0.3, 0.51))
HEAVY = 0.1  # folded lambda from which an image is a mixture to the eye; the verdict is on these

_CHUNK = 256  # images between two signs of progress

Images = NDArray[np.uint8]
Floats = NDArray[np.float64]


class EvaluateConfig(BaseModel, frozen=True, extra="forbid"):
    """Section `evaluate`."""

    features: str = "auto"  # auto | pixels | inception | the path of a TorchScript file
    inception_weights: str | None = None  # path of inception-2015-12-05.pt; never downloaded
    rows: int = Field(default=1200, ge=1)  # plan rows that are made again with their steps
    sheet_rows: int = Field(default=24, ge=1)  # of the contact sheet


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
class _Real:
    """The real images that distances are taken to, and what the distances are called."""

    extract: Extractor
    held_out: int  # 0: these are training images
    reference: Reference
    kd: str
    fd: str

    def distances(self, x: Floats) -> dict[str, Any]:
        """Both distances of one set, None for fewer than two images."""
        if len(x) < 2:
            return {self.kd: None, self.fd: None, "fd_biased": True}
        return {
            self.kd: self.reference.kernel(x),
            self.fd: self.reference.frechet(x),
            "fd_biased": is_biased(len(x), *self.reference.vectors.shape),
        }


@dataclass(frozen=True)
class _Trace:
    """The chosen rows, made again: everything per row, in plan order."""

    rows: pa.Table
    folded: Floats  # (n,)
    features: dict[str, Floats]  # per step (n, D)
    norms: Floats | None  # (n, 3)
    reproduced: int  # rows with the pixels that the manifest promises
    shown: list[Shown]


def evaluate(
    config: EvaluateConfig,
    *,
    plan: pa.Table,
    manifest: pa.Table,
    images: Images,
    reference: Images,
    execute: Callable[[pa.Table], Iterator[Traced]],
    reference_norms: NDArray[np.float32] | None,
    out: Path,
    seed: int,
    progress: Progress,
    train_more: str,
) -> Verdict:
    """Writes contact-sheet.png, verdict.txt and, last of all, metrics.json into `out`.

    images: training images (N, H, W, C); reference: held-out ones (M, H, W, C), M may be 0: then
        distances are to the training images, named *_vs_train, and there is no verdict.
    execute: plan rows -> micro-batches with their steps, the images that the shards hold.
    reference_norms: ||sigma_N S||^2 / D of held-out images; None without a score network.
    train_more: the command line that would train longer, for the verdict to quote.

    Equal arguments give the same bytes of metrics.json.

    Raises:
        ConfigError: no augmented rows, or features that cannot be had.
        StorageError: a file cannot be written.
    """
    rows = choose_rows(plan, config.rows, seed)
    try:
        real, floor = _real_images(config, images, reference, seed, progress)
        order = stream(image_seed(seed, "evaluate"), "sheet").permutation(rows.num_rows)
        places = choose_shown(fold(rows["lambda"]), config.sheet_rows, order)
        shown = set(rows["key"].take(places).to_pylist())
        trace = _trace(execute(rows), rows.num_rows, manifest, real.extract, shown, progress)
    except FeaturesError as error:
        raise ConfigError(str(error)) from error
    findings = _findings(trace, real, floor, plan, reference_norms, seed, train_more)
    verdict = judge(findings)
    metrics = {"algorithm": ALGORITHM, "seed": seed} | as_metrics(findings, verdict)
    draw_shown(trace.shown, images, out / "contact-sheet.png", findings.method)
    write_bytes(out / "verdict.txt", (verdict.text + "\n").encode())
    write_json(out / "metrics.json", metrics)
    return verdict


def fold(lambdas: pa.ChunkedArray) -> Floats:
    """min(lambda, 1 - lambda): both parents' names may be swapped."""
    values = lambdas.to_numpy()
    folded: Floats = np.minimum(values, 1.0 - values)
    return folded


def choose_rows(plan: pa.Table, count: int, seed: int) -> pa.Table:
    """`count` augmented rows in plan order, seeded; two thirds with lambda >= .1 if there are.

    Raises:
        ConfigError: the plan has no augmented rows.
    """
    augmented = plan.filter(pc.equal(plan["kind"], "augmented"))
    total = augmented.num_rows
    if total == 0:
        raise ConfigError("There are no augmented images to evaluate: the plan has real ones only.")
    order = stream(image_seed(seed, "evaluate"), "rows").permutation(total)
    is_heavy = fold(augmented["lambda"])[order] >= HEAVY
    heavy, light = order[is_heavy], order[~is_heavy]
    count = min(count, total)
    wanted = max(round(count * len(heavy) / total), math.ceil(2 * count / 3), count - len(light))
    wanted = min(wanted, len(heavy))
    chosen = np.concatenate([heavy[:wanted], light[: count - wanted]])
    return augmented.take(np.sort(chosen))


def _real_images(
    config: EvaluateConfig, images: Images, reference: Images, seed: int, progress: Progress
) -> tuple[_Real, dict[str, Any] | None]:
    """What distances are taken to, and how far training images are from it: the floor."""
    order = stream(image_seed(seed, "evaluate"), "training").permutation(len(images))
    training = np.asarray(images[np.sort(order[: config.rows])])
    held_out = len(reference)
    against = reference if held_out else training
    if len(against) < 2:
        raise FeaturesError(f"{len(against)} real image is not enough to compare with.")
    extract = open_extractor(config.features, config.inception_weights, against)
    suffix = "" if held_out else "_vs_train"
    with progress.task("features", len(training) + held_out, "images") as advance:
        target = Reference(_features(extract, against, advance))
        real = _Real(extract, held_out, target, extract.kd + suffix, extract.fd + suffix)
        floor = real.distances(_features(extract, training, advance)) if held_out else None
    return real, floor


def _features(extract: Extractor, images: Images, advance: Advance) -> Floats:
    parts = []
    for start in range(0, len(images), _CHUNK):
        chunk = images[start : start + _CHUNK]
        parts.append(extract(chunk))
        advance(len(chunk))
    return np.concatenate(parts)


def _trace(
    batches: Iterator[Traced],
    total: int,
    manifest: pa.Table,
    extract: Extractor,
    shown: set[str],
    progress: Progress,
) -> _Trace:
    """Features, norms and hashes batch by batch; images are kept for the sheet alone."""
    keys, hashes = (manifest[name].to_pylist() for name in ("key", "pixel_sha256"))
    promised = dict(zip(keys, hashes, strict=True))
    features: dict[str, list[Floats]] = {step: [] for step in STEPS}
    tables: list[pa.Table] = []
    norms: list[NDArray[np.float32]] = []
    kept: list[Shown] = []
    reproduced = 0
    with progress.task("evaluate", total, "images") as advance:
        for batch in batches:
            for step, vectors in zip(STEPS, _step_features(batch, extract), strict=True):
                features[step].append(vectors)
            tables.append(batch.rows)
            norms += [] if batch.norms is None else [batch.norms]
            steps = (batch.mixup, batch.minimised, batch.final)
            for item in zip(batch.rows.to_pylist(), *steps, strict=True):
                key, final = item[0]["key"], item[3]
                reproduced += hashlib.sha256(final.tobytes()).hexdigest() == promised.get(key)
                kept += [item] if key in shown else []
            advance(batch.rows.num_rows)
    rows = pa.concat_tables(tables)
    return _Trace(
        rows=rows,
        folded=fold(rows["lambda"]),
        features={step: np.concatenate(parts) for step, parts in features.items()},
        norms=np.concatenate(norms).astype(np.float64) if norms else None,
        reproduced=reproduced,
        shown=kept,
    )


def _step_features(batch: Traced, extract: Extractor) -> tuple[Floats, Floats, Floats]:
    """Features of the three steps; equal images (method mixup) go through the network once."""
    mixup = extract(batch.mixup)
    minimised = mixup if np.array_equal(batch.minimised, batch.mixup) else extract(batch.minimised)
    same = np.array_equal(batch.final, batch.minimised)
    return mixup, minimised, minimised if same else extract(batch.final)


def _findings(
    trace: _Trace,
    real: _Real,
    floor: dict[str, Any] | None,
    plan: pa.Table,
    reference_norms: NDArray[np.float32] | None,
    seed: int,
    train_more: str,
) -> Findings:
    compared = _comparisons(trace, real, image_seed(seed, "evaluate"))
    norms = {"held_out": norm_quantiles(reference_norms)}
    if trace.norms is not None:
        heavy = trace.norms[trace.folded >= HEAVY]
        norms |= {step: norm_quantiles(heavy[:, i]) for i, step in enumerate(STEPS)}
    return Findings(
        method="+".join(sorted(set(trace.rows["method"].to_pylist()))),
        kd=real.kd,
        fd=real.fd,
        features=real.extract.describe() | {"dimensions": real.reference.vectors.shape[1]},
        held_out=real.held_out,
        reproduced=(trace.reproduced, trace.rows.num_rows),
        bands=[_band(trace, real, plan, *band) for band in BANDS],
        heavy=_band(trace, real, plan, ">= .1", HEAVY, BANDS[-1][2]),
        minimised=compared.get("minimised"),
        final=compared.get("final"),
        floor=floor,
        norms=norms,
        train_more=train_more,
    )


def _comparisons(trace: _Trace, real: _Real, seed: int) -> dict[str, Comparison]:
    heavy = trace.folded >= HEAVY
    if heavy.sum() < 2:
        return {}
    mixup = trace.features["mixup"][heavy]
    return {
        step: compare(real.reference, mixup, trace.features[step][heavy], seed)
        for step in STEPS[1:]
    }


def _band(
    trace: _Trace, real: _Real, plan: pa.Table, name: str, low: float, high: float
) -> dict[str, Any]:
    """Rows with low <= folded lambda < high: how many, their share of the corpus, distances."""
    every = fold(plan.filter(pc.equal(plan["kind"], "augmented"))["lambda"])
    inside = (trace.folded >= low) & (trace.folded < high)
    share = float(np.mean((every >= low) & (every < high)))
    steps = {step: real.distances(trace.features[step][inside]) for step in STEPS}
    return {"lambda": name, "n": int(inside.sum()), "share_of_corpus": share} | steps
