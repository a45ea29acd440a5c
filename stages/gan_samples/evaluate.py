"""Evaluates samples of a trained GAN against the run's real images, and names the best snapshot.

Metrics, features and names are those that `evaluate` has for the corpus. Nothing but
report/generated/ is written, and no stage becomes stale.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ...manifests.errors import ConfigError
from ...manifests.files.atomic import write_json
from ...manifests.plan.random_streams import image_seed
from ...manifests.run_folder import RunFolder
from ...models.features.errors import FeaturesError
from ...models.features.extractors import Extractor, open_extractor
from ...models.metrics.copying import MIN_IMAGES
from ...models.metrics.distances import Reference, resampled_kernel
from ...models.metrics.prdc import K
from ..common.progress import Progress
from ..corpus.store import Corpus
from ..evaluate.config import EvaluateConfig
from ..evaluate.feature_cache import FeatureCache, Features
from ..evaluate.metric_records import MetricSuite, RealFeatures
from ..evaluate.number_format import round_floats
from ..evaluate.optional_metrics import OptionalMetrics, named_weights
from ..images.decode import decode, pillow_limits
from ..images.preparation import Preparation
from ..ingest.config import IngestConfig
from .best import choose_best_snapshot
from .copy_search import CopySearch
from .read import Samples, open_samples
from .sets import find_sets
from .sheet import draw_nearest_pairs
from .summary import describe_report
from .translation import Domains, evaluate_pairs

ALGORITHM = 4  # raised whenever equal inputs would give other figures

_PAIRS = 12  # nearest training images that are shown
_LISTED = 20  # files that a list of the report names; its count is of all

Images = NDArray[np.uint8]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class EvaluationRequest:
    """Which samples to evaluate."""

    path: Path  # folder, zip, .npz or .npy; or a folder of such, one for each snapshot
    name: str  # of the report
    snapshots: bool | None = None  # None: decided by the names in the folder
    most: int = 10_000  # images of a set that are evaluated: of more, a seeded choice
    target: Path | None = None  # the one image that all of them should look like


@dataclass
class _SetResult:
    """What is kept of one set once its pixels are gone."""

    facts: dict[str, Any]
    resampled: Floats | None  # (1 + R,) kernel distances; None for too few images
    pairs: list[tuple[Images, Images]] = field(default_factory=list)  # samples, nearest training


@dataclass(frozen=True)
class _Baseline:
    """The real images, features and metrics that every set is compared with."""

    corpus: Corpus
    extractor: Extractor
    suite: MetricSuite
    reference: Reference
    optional: OptionalMetrics
    training: dict[str, str]  # pixel sha256 -> key
    held_out: set[str]  # pixel sha256
    seed: int
    progress: Progress
    domains: Domains
    copies: CopySearch


def evaluate_samples(
    request: EvaluationRequest,
    config: EvaluateConfig,
    ingest: IngestConfig,
    corpus: Corpus,
    *,
    run: Path,
    seed: int,
    progress: Progress,
) -> dict[str, Any]:
    """Writes NAME.png and, last, NAME.json into run/report/generated; returns NAME.json's content.

    config: which features. ingest: how the corpus's images were prepared; samples are, too.

    Equal images, names and seed give the same bytes of NAME.json.

    Raises:
        ConfigError: no such path, features that cannot be had, too few real images.
        InputError: no images, damaged ones, or pictures of many samples.
        StorageError: a file cannot be written.
    """
    sets = find_sets(request.path, request.snapshots, tuple(corpus.classes))
    preparation = ingest.preparation(corpus.images.shape[1], gray=corpus.images.shape[3] == 1)
    results: list[_SetResult] = []
    try:
        target = _read_target(request.target, preparation)
        cache = FeatureCache(RunFolder(run).feature_cache)
        baseline = _open_baseline(config, corpus, target, cache, seed, progress)
        for sample_set in sets:
            with open_samples(
                sample_set,
                preparation,
                most=request.most,
                seed=seed,
                scratch=RunFolder(run).internal,
                progress=progress,
            ) as samples:
                results.append(_evaluate_set(samples, baseline))
        figures = _report(request, results, baseline)
    except FeaturesError as error:
        raise ConfigError(str(error)) from error
    out = RunFolder(run).generated
    best = (figures["best"] or {}).get("name", sets[0].name)
    shown = next(result for result in results if result.facts["name"] == best)
    draw_nearest_pairs(shown.pairs, out / f"{request.name}.png")
    report: dict[str, Any] = round_floats(figures)
    write_json(out / f"{request.name}.json", report)
    return report


def _read_target(path: Path | None, preparation: Preparation) -> Images | None:
    """The target image (H, W, C), prepared as the samples are; None where none was named."""
    if path is None:
        return None
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"--target {path} cannot be read ({error.strerror}).") from error
    with pillow_limits(preparation.max_pixels):
        decoded = decode(lambda: data, preparation)
    if decoded.pixels is None:
        raise ConfigError(f"--target {path} is no image that can be used: {decoded.reason}.")
    return decoded.pixels


def _open_baseline(
    config: EvaluateConfig,
    corpus: Corpus,
    target: Images | None,
    cache: FeatureCache,
    seed: int,
    progress: Progress,
) -> _Baseline:
    held_out = len(corpus.reference) > 0
    images = corpus.training_images
    against = corpus.reference if held_out else images
    if len(against) <= K:
        which = "held-out" if held_out else "training"
        raise ConfigError(
            f"{len(against)} {which} images are too few to compare with, {K + 1} are needed: hold"
            " more out (ingest.holdout, ingest.reference)."
        )
    extractor = open_extractor(config.features, config.inception_weights, against)
    total = len(images) + len(corpus.reference)
    with progress.task("features of real images", total, "images") as advance:
        training = cache.features(extractor, images, advance)
        reference = cache.features(extractor, against, advance) if held_out else training
    real = RealFeatures(extractor.describe(), reference, held_out, training, len(training))
    stage_seed = image_seed(seed, "generated")
    used = pc.is_in(corpus.sources["status"], pa.array(["train", "reference"]))
    hashes = corpus.sources.filter(used).select(["status", "pixel_sha256", "key"]).to_pylist()
    suite = MetricSuite(real, stage_seed)
    optional = OptionalMetrics(named_weights(config, target), stage_seed)
    ids = corpus.reference_ids if held_out else corpus.training_ids[corpus.training_rows]
    return _Baseline(
        corpus=corpus,
        extractor=extractor,
        suite=suite,
        reference=Reference(reference),
        optional=optional,
        training={row["pixel_sha256"]: row["key"] for row in hashes if row["status"] == "train"},
        held_out={row["pixel_sha256"] for row in hashes if row["status"] == "reference"},
        seed=stage_seed,
        progress=progress,
        domains=Domains(tuple(corpus.classes), ids, suite, optional.lpips, stage_seed),
        copies=CopySearch.of(extractor, suite, corpus),
    )


def _evaluate_set(samples: Samples, baseline: _Baseline) -> _SetResult:
    count, suite = len(samples.images), baseline.suite
    with baseline.progress.task(f"features {samples.name}", count, "images") as advance:
        features = FeatureCache(None).features(baseline.extractor, samples.images, advance)
    looked = baseline.copies.features(samples, baseline.extractor, features)
    records = [*baseline.copies.suite.records_of_copying(looked, samples.name)]
    resampled = translation = None
    if count >= MIN_IMAGES:
        records = [*suite.records(features, samples.name, copying=False), *records]
        resampled = resampled_kernel(baseline.reference, features, baseline.seed)
        translation = evaluate_pairs(samples, features, baseline.domains)
        if translation is not None and translation.resampled is not None:
            records, resampled = translation.replace_records(records), translation.resampled
        records += baseline.optional.records(samples.images, samples.name)
    verdict = baseline.copies.suite.copying_verdict(looked)
    nearest, pairs = _nearest_training(samples, looked, baseline)
    facts: dict[str, Any] = {
        "name": samples.name,
        "notes": list(samples.notes),
        "digest": samples.digest,
        "files": samples.files,
        "judged": count,
        "sizes": samples.sizes,
        "left_out": _count_and_first(
            [{"name": name, "reason": why} for name, why in samples.left_out]
        ),
        "alike": count - len(set(samples.pixel_sha256)),
        "copying": None if verdict is None else {"kind": verdict.kind, "text": verdict.text},
        "near_copies": _near_copies(looked, baseline.copies.suite),
        "exact_copies": _count_and_first(_exact_copies(samples, baseline)),
        "held_out_images": sum(digest in baseline.held_out for digest in samples.pixel_sha256),
        "records": [record.as_json() for record in records],
        "nearest": nearest,
        "kernel": None
        if resampled is None
        else {
            "value": float(resampled[0]),
            "standard_error": float(np.nanstd(resampled[1:], ddof=1)),
        },
    }
    if translation is not None:
        facts["translation"] = translation.facts
    return _SetResult(facts, resampled, pairs)


def _near_copies(features: Features, suite: MetricSuite) -> dict[str, Any] | None:
    found = suite.near_copies(features)
    if found is None:
        return None
    made, unseen = found
    return {"count": made.count, "held_out": unseen.count, "more": made.exceed(unseen)}


def _exact_copies(samples: Samples, baseline: _Baseline) -> list[dict[str, str]]:
    return [
        {"name": name, "training": baseline.training[digest]}
        for name, digest in zip(samples.names, samples.pixel_sha256, strict=True)
        if digest in baseline.training
    ]


def _count_and_first(rows: list[dict[str, str]]) -> dict[str, Any]:
    return {"count": len(rows), "first": rows[:_LISTED]}


def _nearest_training(
    samples: Samples, features: Features, baseline: _Baseline
) -> tuple[list[dict[str, Any]], list[tuple[Images, Images]]]:
    """The samples nearest to a training image, by features; and each with it as a picture."""
    copies = baseline.copies.suite.nearest_training(features)
    if copies is None:
        return [], []
    order = np.argsort(copies.ratios, kind="stable")[:_PAIRS].tolist()
    training, keys = baseline.corpus.training_images, baseline.corpus.training_keys
    rows = [
        {
            "name": samples.names[place],
            "training": keys[int(copies.rows[place])],
            "ratio": float(copies.ratios[place]),
            "distance": float(copies.distances[place]),
        }
        for place in order
    ]
    return rows, [
        (np.array(samples.images[place]), np.array(training[int(copies.rows[place])]))
        for place in order
    ]


def _report(
    request: EvaluationRequest, results: list[_SetResult], baseline: _Baseline
) -> dict[str, Any]:
    """The content of NAME.json."""
    suite, corpus = baseline.suite, baseline.corpus
    compared = [(one.facts, one.resampled) for one in results if one.resampled is not None]
    least = min((facts["judged"] for facts, _ in compared), default=MIN_IMAGES)
    real = list(suite.records_of_real_images(least, copying=False))
    real += baseline.copies.suite.records_of_unseen_copies()
    if suite.real.held_out:
        real += baseline.optional.records(corpus.reference, suite.reference_name)
    report = {
        "algorithm": ALGORITHM,
        "name": request.name,
        "seed": baseline.seed,
        "corpus": corpus.digest,
        "features": dict(suite.real.extractor),
        "kd": baseline.extractor.kd + suite.suffix,
        "fd": baseline.extractor.fd + suite.suffix,
        "held_out": len(corpus.reference),
        "training": len(corpus.training_rows),
        "sets": [result.facts for result in results],
        "real": [record.as_json() for record in real],
        "best": choose_best_snapshot(compared),
    }
    return report | {"text": describe_report(report)}
