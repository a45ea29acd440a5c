"""evaluate: distances to held-out real images, band by band of lambda, and a verdict.

Some plan rows are made again with their intermediate steps, so that mixup, minimisation and
denoising are judged on the same rows. Folded lambda = min(lambda, 1 - lambda) throughout.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pydantic import BaseModel, Field, field_validator

from ...manifests.errors import ConfigError
from ...manifests.files.atomic import write_bytes, write_json
from ...manifests.plan.random_streams import image_seed, stream
from ...models.features.extractors import FeaturesError
from ..common.progress import Progress
from .comparisons import compare_ratios, compare_steps
from .contact_sheet import choose_shown, draw_shown
from .feature_cache import FeatureCache
from .metric_records import EvaluationFeatures, Measured, measure
from .number_format import rounded
from .optional_metrics import MetricWeights, OptionalMetrics, mixed_keys
from .real_images import FeatureSource, RealImages, load_real_features
from .regenerate import STEPS, Trace, TracedBatch, regenerate
from .row_sample import BANDS, MIXED_LAMBDA, choose_rows, fold_lambda
from .variant_catalogue import Which, check
from .variants import Variation, as_configured, try_variants
from .verdict import Comparisons, Verdict, as_metrics, decide

ALGORITHM = 6  # raised whenever equal inputs would give other metrics

Images = NDArray[np.uint8]


class EvaluateConfig(BaseModel, frozen=True, extra="forbid"):
    """Section `evaluate`."""

    features: str = "auto"  # auto | pixels | inception | the path of a TorchScript file
    inception_weights: str | None = None  # path of inception-2015-12-05.pt; never downloaded
    lpips: str | None = None  # path of AlexNet's weights, alexnet-owt-7be5be79.pth: LPIPS
    classifier: str | None = None  # path of a TorchScript file that gives logits
    maps: str | None = None  # FILE or FILE#SEQUENCE:LENGTH, for evaluate --generated --target
    rows: int = Field(default=1200, ge=1)  # plan rows that are made again with their steps
    # Training images that are looked at, beside the parents of those rows; never fewer than `rows`.
    # Ratios are compared where it is all of them.
    training_rows: int = Field(default=5000, ge=1)
    sheet_rows: int = Field(default=24, ge=1)  # of the contact sheet
    # What each step and option is worth on the same rows: the steps; every variant that is known;
    # or a mapping, name -> options of section `generate`.
    variants: Which | dict[str, dict[str, Any]] = "steps"
    variant_rows: int = Field(default=300, ge=1)  # plan rows that each variant is tried on

    @field_validator("variants", mode="before")
    @classmethod
    def _off(cls, value: Any) -> Any:
        return "off" if value is False else value  # as YAML reads the word

    @field_validator("variants")
    @classmethod
    def _options_of_generate(cls, value: Any) -> Any:
        for name, changes in value.items() if isinstance(value, dict) else ():
            check(name, changes)
        return value


def evaluate(
    config: EvaluateConfig,
    *,
    plan: pa.Table,
    manifest: pa.Table,
    images: Images,
    reference: Images,
    execute: Callable[[pa.Table], Iterator[TracedBatch]],
    reference_norms: NDArray[np.float32] | None,
    out: Path,
    seed: int,
    progress: Progress,
    train_more: str,
    reference_ids: NDArray[np.int64] | None = None,
    classes: Sequence[str] = (),
    features: Path | None = None,
    variation: Variation | None = None,
) -> Verdict:
    """Writes contact-sheet.png, verdict.txt and, last of all, metrics.json into `out`.

    images: training images (N, H, W, C); reference: held-out ones (M, H, W, C), M may be 0: then
        distances are to the training images, named *_vs_train, and there is no verdict.
    execute: plan rows -> micro-batches with their steps, the images that the shards hold.
    reference_norms: ||sigma_N S||^2 / D of held-out images; None without a score network.
    train_more: the command line that would train longer, for the verdict to quote.
    reference_ids: (M,) places in `classes` of the held-out images, -1 without a class.
    features: a folder where features of real images are kept; None: they are not.
    variation: how rows are made in another way; None: no variants.

    Equal arguments give the same bytes of metrics.json.

    Raises:
        ConfigError: no augmented rows, or features that cannot be had.
        StorageError: a file cannot be written.
    """
    rows = choose_rows(plan, config.rows, seed)
    sheet = _sheet(rows, config.sheet_rows, seed)
    alive = plan.filter(pc.equal(plan["kind"], "real"))["row_1"].to_numpy()
    try:
        network = FeatureSource(config.features, config.inception_weights, FeatureCache(features))
        real = load_real_features(
            images,
            alive,
            reference,
            rows,
            network,
            compared=config.rows,
            looked_at=config.training_rows,
            seed=seed,
            progress=progress,
        )
        weights = _weights(config)
        extras = OptionalMetrics(weights, image_seed(seed, "extras")) if weights.asks else None
        kept = sheet | (mixed_keys(rows, MIXED_LAMBDA) if extras else set())
        trace = regenerate(execute(rows), rows.num_rows, manifest, real.extract, kept, progress)
        pictured = extras.of_run(trace.shown, reference, MIXED_LAMBDA) if extras else []
    except FeaturesError as error:
        raise ConfigError(str(error)) from error
    findings = compare_steps(trace, real, plan, reference_norms, seed=seed, train_more=train_more)
    measured = _measured(trace, real, findings, len(alive), reference_ids, classes, seed)
    findings = replace(findings, beside=measured.of_steps(("mixup", "final"), MIXED_LAMBDA))
    verdict = decide(findings)
    metrics = {"algorithm": ALGORITHM, "seed": seed} | as_metrics(findings, verdict)
    metrics |= measured.as_metrics()
    metrics["records"] += [record.as_json() for record in pictured]
    metrics["by_ratio"] = compare_ratios(plan, trace, real)
    metrics["variants"] = _variants(config, variation, trace, real, seed, progress)
    drawn = [item for item in trace.shown if item[0]["key"] in sheet]
    draw_shown(drawn, images, out / "contact-sheet.png", findings.method)
    write_bytes(out / "verdict.txt", f"{verdict.text}\n{measured.warning}".encode())
    write_json(out / "metrics.json", rounded(metrics))
    return verdict


def _sheet(rows: pa.Table, count: int, seed: int) -> set[str]:
    """Keys of the rows that the contact sheet shows."""
    order = stream(image_seed(seed, "evaluate"), "sheet").permutation(rows.num_rows)
    return set(
        rows["key"].take(choose_shown(fold_lambda(rows["lambda"]), count, order)).to_pylist()
    )


def _measured(
    trace: Trace,
    real: RealImages,
    findings: Comparisons,
    training_of: int,
    reference_ids: NDArray[np.int64] | None,
    classes: Sequence[str],
    seed: int,
) -> Measured:
    """The records beside the verdict."""
    looked = EvaluationFeatures(
        extractor=findings.features,
        reference=real.reference.vectors,
        held_out=real.held_out > 0,
        training=real.training,
        training_of=training_of,
        steps=trace.features,
        folded=trace.folded,
        class_ids=trace.rows["class_id"].to_numpy(),
        reference_ids=np.full(real.held_out, -1) if reference_ids is None else reference_ids,
        classes=tuple(classes) if real.held_out else (),
        mixtures=findings.method == "mixup",
    )
    bands = {name: (low, high) for name, low, high in BANDS}
    return measure(looked, bands, MIXED_LAMBDA, image_seed(seed, "records"))


def _weights(config: EvaluateConfig) -> MetricWeights:
    """Inception's classes where its features are looked at, too."""
    inception = config.inception_weights if config.features in ("auto", "inception") else None
    return MetricWeights(config.lpips, config.classifier, None, inception)


def _variants(
    config: EvaluateConfig,
    variation: Variation | None,
    trace: Trace,
    real: RealImages,
    seed: int,
    progress: Progress,
) -> dict[str, Any] | None:
    """Each step alone and, if asked for, every option, on rows with folded lambda >= .1."""
    if variation is None:
        return None
    heavy = np.flatnonzero(trace.folded >= MIXED_LAMBDA)
    chosen = heavy[np.linspace(0, len(heavy) - 1, min(config.variant_rows, len(heavy))).astype(int)]
    steps = {step: trace.features[step][chosen] for step in STEPS}
    norms = None if trace.norms is None else trace.norms[chosen]
    of = as_configured(variation, trace.rows.take(chosen), steps, norms, real.reference, seed)
    return try_variants(config.variants, variation, of, real.extract, progress)
