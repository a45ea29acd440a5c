"""generated: a trained GAN's images against the run's real ones, and which snapshot is best.

The same measures, features and names as `evaluate` has for the corpus. Nothing but
report/generated/ is written, and no stage becomes stale.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ...manifests.errors import ConfigError, InputError
from ...manifests.files.atomic import write_json
from ...manifests.plan.random_streams import image_seed
from ...models.features.extractors import Extractor, FeaturesError, open_extractor
from ...models.metrics.copying import NEEDED
from ...models.metrics.distances import Reference, resampled_kernel
from ...models.metrics.prdc import K
from ..common.progress import Progress
from ..corpus.store import Corpus
from ..evaluate.evaluate import EvaluateConfig
from ..evaluate.feature_cache import FeatureCache
from ..evaluate.metric_records import MetricSuite, RealFeatures
from ..evaluate.number_format import rounded
from ..evaluate.optional_metrics import MetricWeights, OptionalMetrics
from ..images.decode import Preparation, decode, pillow_limits
from ..ingest.config import IngestConfig
from .best import choose_best
from .read import Samples, open_samples
from .sets import find_sets
from .sheet import draw_pairs
from .summary import summary

ALGORITHM = 1  # raised whenever equal inputs would give other figures

_PAIRS = 12  # nearest training images that are shown
_NAMED = 20  # files that a list names; its count is of all

Images = NDArray[np.uint8]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class JudgeRequest:
    """What is asked of one call."""

    path: Path  # folder, zip, .npz or .npy; or a folder of such, one for each snapshot
    name: str  # of the report
    snapshots: bool | None = None  # None: as the folder looks
    most: int = 10_000  # images of a set that are judged: of more, a seeded choice
    target: Path | None = None  # the one image that all of them should look like


@dataclass
class _Set:
    """What is kept of one set once its pixels are gone."""

    facts: dict[str, Any]
    resampled: Floats  # (1 + R,) kernel distances
    pairs: list[tuple[Images, Images]] = field(default_factory=list)


@dataclass(frozen=True)
class _Bench:
    """What every set is held against."""

    corpus: Corpus
    extract: Extractor
    suite: MetricSuite
    reference: Reference
    extras: OptionalMetrics
    training: dict[str, str]  # pixel sha256 -> key
    held_out: set[str]  # pixel sha256
    seed: int
    progress: Progress


def evaluate_samples(
    asked: JudgeRequest,
    config: EvaluateConfig,
    ingest: IngestConfig,
    corpus: Corpus,
    *,
    run: Path,
    seed: int,
    progress: Progress,
) -> dict[str, Any]:
    """Writes NAME.png and, last, NAME.json into run/report/generated, and gives its content.

    config: which features; ingest: how images were prepared, so that these are, too.

    Equal images, names and seed give the same bytes of NAME.json.

    Raises:
        ConfigError: nothing there, features that cannot be had, too few real images.
        InputError: too few images, damaged ones, or pictures of many samples.
        StorageError: no room.
    """
    sets = find_sets(asked.path, asked.snapshots, tuple(corpus.classes))
    try:
        target = _target(asked.target, _preparation(ingest, corpus))
        kept = run / ".scoremix" / "features"
        bench = _bench(asked, config, corpus, target, kept, seed, progress)
        found: list[_Set] = []
        for asking in sets:
            with open_samples(
                asking,
                _preparation(ingest, corpus),
                most=asked.most,
                seed=seed,
                scratch=run / ".scoremix",
                progress=progress,
            ) as samples:
                found.append(_judge_set(samples, bench))
        figures = _report(asked, found, bench)
    except FeaturesError as error:
        raise ConfigError(str(error)) from error
    out = run / "report" / "generated"
    best = (figures["best"] or {}).get("name", sets[0].name)
    shown = next(one for one in found if one.facts["name"] == best)
    draw_pairs(shown.pairs, out / f"{asked.name}.png")
    report: dict[str, Any] = rounded(figures)
    write_json(out / f"{asked.name}.json", report)
    return report


def _preparation(ingest: IngestConfig, corpus: Corpus) -> Preparation:
    red, green, blue = bytes.fromhex(ingest.background[1:])
    return Preparation(
        resolution=corpus.images.shape[1],
        fit=ingest.fit,
        gray=corpus.images.shape[3] == 1,
        background=(red, green, blue),
        max_pixels=ingest.max_pixels,
    )


def _weights(config: EvaluateConfig, target: Images | None) -> MetricWeights:
    """Inception's where its features are looked at, too."""
    inception = config.inception_weights if config.features in ("auto", "inception") else None
    return MetricWeights(config.lpips, config.classifier, config.maps, inception, target)


def _target(path: Path | None, how: Preparation) -> Images | None:
    """The target, prepared as the samples are."""
    if path is None:
        return None
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"--target {path} cannot be read ({error.strerror}).") from error
    with pillow_limits(how.max_pixels):
        found = decode(lambda: data, how)
    if found.pixels is None:
        raise ConfigError(f"--target {path} is no image that can be used: {found.reason}.")
    return found.pixels


def _bench(
    asked: JudgeRequest,
    config: EvaluateConfig,
    corpus: Corpus,
    target: Images | None,
    features: Path,
    seed: int,
    progress: Progress,
) -> _Bench:
    held_out = len(corpus.reference) > 0
    against = corpus.reference if held_out else corpus.images
    if len(against) <= K:
        which = "held-out" if held_out else "training"
        raise ConfigError(
            f"{len(against)} {which} images are too few to compare with, {K + 1} are needed: hold"
            " more out (ingest.holdout, ingest.reference)."
        )
    extract = open_extractor(config.features, config.inception_weights, against)
    cache = FeatureCache(features)
    total = len(corpus.images) + len(corpus.reference)
    with progress.task("features of real images", total, "images") as advance:
        training = cache.features(extract, corpus.images, advance)
        reference = cache.features(extract, against, advance) if held_out else training
    looked = RealFeatures(extract.describe(), reference, held_out, training, len(training))
    stage_seed = image_seed(seed, "generated")
    used = pc.is_in(corpus.sources["status"], pa.array(["train", "reference"]))
    hashes = corpus.sources.filter(used).select(["status", "pixel_sha256", "key"]).to_pylist()
    return _Bench(
        corpus=corpus,
        extract=extract,
        suite=MetricSuite(looked, stage_seed),
        reference=Reference(reference),
        extras=OptionalMetrics(_weights(config, target), stage_seed),
        training={row["pixel_sha256"]: row["key"] for row in hashes if row["status"] == "train"},
        held_out={row["pixel_sha256"] for row in hashes if row["status"] == "reference"},
        seed=stage_seed,
        progress=progress,
    )


def _judge_set(samples: Samples, bench: _Bench) -> _Set:
    count = len(samples.images)
    if count < NEEDED:
        raise InputError(
            f"{samples.name} has {count} images that can be read, and {NEEDED} are needed to judge"
            " it. Have the trainer draw more: some thousands tell snapshots apart."
        )
    with bench.progress.task(f"features {samples.name}", count, "images") as advance:
        features = FeatureCache(None).features(bench.extract, samples.images, advance)
    records = [*bench.suite.against(features, samples.name)]
    records += bench.extras.of(samples.images, samples.name)
    resampled = resampled_kernel(bench.reference, features, bench.seed)
    verdict = bench.suite.verdict(features)
    facts: dict[str, Any] = {
        "name": samples.name,
        "digest": samples.digest,
        "files": samples.files,
        "judged": count,
        "sizes": samples.sizes,
        "left_out": _some([{"name": name, "reason": why} for name, why in samples.left_out]),
        "alike": count - len(set(samples.pixel_sha256)),
        "copying": None if verdict is None else {"kind": verdict.kind, "text": verdict.text},
        "exact_copies": _some(
            [
                {"name": name, "training": bench.training[digest]}
                for name, digest in zip(samples.names, samples.pixel_sha256, strict=True)
                if digest in bench.training
            ]
        ),
        "held_out_images": sum(digest in bench.held_out for digest in samples.pixel_sha256),
        "records": [record.as_json() for record in records],
    }
    nearest, pairs = _nearest(samples, features, bench)
    return _Set(facts | {"nearest": nearest}, resampled, pairs)


def _some(rows: list[dict[str, str]]) -> dict[str, Any]:
    return {"count": len(rows), "first": rows[:_NAMED]}


def _nearest(
    samples: Samples, features: Any, bench: _Bench
) -> tuple[list[dict[str, Any]], list[tuple[Images, Images]]]:
    """The samples nearest to a training image, by features; and these as pictures."""
    found = bench.suite.copies_in(features)
    if found is None:
        return [], []
    order = np.argsort(found.ratios, kind="stable")[:_PAIRS].tolist()
    rows = [
        {
            "name": samples.names[at],
            "training": f"{int(found.rows[at]):06d}",
            "ratio": float(found.ratios[at]),
            "distance": float(found.distances[at]),
        }
        for at in order
    ]
    training = bench.corpus.images
    return rows, [
        (np.array(samples.images[at]), np.array(training[int(found.rows[at])])) for at in order
    ]


def _report(asked: JudgeRequest, found: list[_Set], bench: _Bench) -> dict[str, Any]:
    looked = bench.suite.looked
    least = min(one.facts["judged"] for one in found)
    real = list(bench.suite.yardstick(least))
    if looked.held_out:
        real += bench.extras.of(bench.corpus.reference, bench.suite.to)
    for one in found:
        one.facts["kernel"] = _kernel(one.resampled)
    report = {
        "algorithm": ALGORITHM,
        "name": asked.name,
        "seed": bench.seed,
        "corpus": bench.corpus.digest,
        "features": dict(looked.extractor),
        "kd": bench.extract.kd + bench.suite.suffix,
        "fd": bench.extract.fd + bench.suite.suffix,
        "held_out": len(bench.corpus.reference),
        "training": len(bench.corpus.images),
        "sets": [one.facts for one in found],
        "real": [record.as_json() for record in real],
        "best": choose_best([(one.facts, one.resampled) for one in found]),
    }
    return report | {"text": summary(report)}


def _kernel(resampled: Floats) -> dict[str, float]:
    """Of the whole set, with its spread over the choice of images on both sides."""
    return {"value": float(resampled[0]), "standard_error": float(np.nanstd(resampled[1:], ddof=1))}
