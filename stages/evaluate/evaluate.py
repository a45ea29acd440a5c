"""The stage `evaluate`: distances to held-out images, by band of lambda, and a verdict.

Some plan rows are made again with their intermediate steps, so that mixup, minimisation and
denoising are compared on the same rows. Folded lambda = min(lambda, 1 - lambda) throughout.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ...manifests.errors import ConfigError
from ...manifests.files.atomic import write_bytes, write_json
from ...manifests.files.rows import rows_where
from ...manifests.plan.new_classes import NewClass
from ...manifests.plan.random_streams import image_seed, stream
from ...manifests.run_folder import CONTACT_SHEET, LAMBDA_STRIPS, METRICS, NEW_CLASS_SHEET, VERDICT
from ...models.features.errors import FeaturesError
from ...models.metrics.record import MetricRecord
from ..common.progress import Progress
from .answers import Answers, answer_questions
from .appearance import Look, compare_appearance
from .baseline import MIXUP, baseline_of
from .comparisons import compare_ratios, compare_with_mixup
from .config import ALGORITHM, EvaluateConfig
from .contact_sheet import choose_sheet_rows, draw_sheet_rows
from .feature_cache import FeatureCache
from .lambda_strips import draw_lambda_strips
from .metric_records import EvaluationFeatures, EvaluationRecords, compute_records
from .new_class_sheet import draw_new_classes
from .number_format import round_floats
from .optional_metrics import OptionalMetrics, mixed_keys, named_weights
from .real_images import FeatureSource, RealImages, load_real_features
from .regenerate import STEPS, Trace, TracedBatch, regenerate
from .row_sample import MIXED_LAMBDA, choose_rows, fold_lambda
from .sensitivity import Sensitivity, measure_sensitivity
from .variants import Variation, open_bench, try_variants
from .verdict import Comparisons, Verdict, decide_verdict
from .verdict_json import as_metrics

Images = NDArray[np.uint8]


@dataclass(frozen=True)
class EvaluationInputs:
    """What an evaluation reads: the corpus, its plan, and how images are made again."""

    plan: pa.Table
    manifest: pa.Table  # with pixel_sha256, to which the images made again are compared
    images: Images  # training images (N, H, W, C)
    # Held-out images (M, H, W, C). Where M is 0, distances are to the training images, named
    # *_vs_train, and there is no verdict.
    reference: Images
    execute: Callable[[pa.Table], Iterator[TracedBatch]]  # rows -> the images of the shards
    seed: int
    train_more: str  # the command that would train longer, for the verdict to quote
    reference_norms: NDArray[np.float32] | None = None  # ||sigma_N S||^2 / D of held-out images
    reference_ids: NDArray[np.int64] | None = None  # (M,) places in `classes`, -1 without a class
    classes: Sequence[str] = ()  # the real ones
    new_classes: Sequence[NewClass] = ()
    feature_folder: Path | None = None  # where features of real images are cached
    variation: Variation | None = None  # how rows are made in another way; None: no variants

    @property
    def training_rows(self) -> NDArray[np.int64]:
        """Rows of `images` that are in the plan: those of forgotten images are blank."""
        real = rows_where(self.plan, kind="real")
        rows: NDArray[np.int64] = real["row_1"].to_numpy()
        return rows


@dataclass(frozen=True)
class _Measurements:
    """Everything that is measured before the verdict is decided."""

    comparisons: Comparisons
    records: EvaluationRecords
    optional_records: list[MetricRecord]  # of metrics that need weights of their own
    by_ratio: list[dict[str, Any]]
    variants: dict[str, Any] | None
    trace: Trace
    sheet: set[str]  # keys of the rows that the contact sheet shows


def evaluate(
    config: EvaluateConfig, inputs: EvaluationInputs, out: Path, progress: Progress
) -> Verdict:
    """Writes contact-sheet.png, lambda-strips.png and new-classes.png (where there are such),
    verdict.txt and, last of all, metrics.json.

    Equal arguments give the same bytes of metrics.json.

    Raises:
        ConfigError: no augmented rows, or features that cannot be had.
        StorageError: a file cannot be written.
    """
    measured = _measure(config, inputs, progress)
    verdict = decide_verdict(measured.comparisons)
    rows = measured.trace.rows
    draw_lambda_strips(
        rows,
        stream(image_seed(inputs.seed, "evaluate"), "strips").permutation(rows.num_rows),
        inputs.execute,
        out / LAMBDA_STRIPS,
        measured.comparisons.method,
        progress,
    )
    draw_new_classes(
        inputs.plan,
        inputs.images,
        inputs.new_classes,
        inputs.classes,
        inputs.execute,
        inputs.seed,
        out / NEW_CLASS_SHEET,
        progress,
    )
    _write(measured, verdict, inputs, out)
    return verdict


def _measure(config: EvaluateConfig, inputs: EvaluationInputs, progress: Progress) -> _Measurements:
    seed = inputs.seed
    rows = choose_rows(inputs.plan, config.rows, seed)
    sheet = _sheet_keys(rows, config.sheet_rows, seed)
    try:
        real = _real_images(config, inputs, rows, progress)
        trace, optional = _trace(config, inputs, rows, real, sheet, progress)
    except FeaturesError as error:
        raise ConfigError(str(error)) from error
    comparisons = compare_with_mixup(
        trace, real, inputs.plan, inputs.reference_norms, seed=seed, train_more=inputs.train_more
    )
    records = _records(inputs, trace, real, comparisons)
    return _Measurements(
        comparisons=replace(
            comparisons,
            sensitivity=_sensitivity(inputs, trace, real, progress),
            prdc=records.values_by_step(("mixup", "final"), baseline_of(comparisons.method).judged),
        ),
        records=records,
        optional_records=optional,
        by_ratio=compare_ratios(inputs.plan, trace, real),
        variants=_variants(config, inputs, trace, real, progress),
        trace=trace,
        sheet=sheet,
    )


def _write(measured: _Measurements, verdict: Verdict, inputs: EvaluationInputs, out: Path) -> None:
    comparisons, records = measured.comparisons, measured.records
    metrics = {"algorithm": ALGORITHM, "seed": inputs.seed} | as_metrics(comparisons, verdict)
    metrics |= records.as_metrics()
    metrics["records"] += [record.as_json() for record in measured.optional_records]
    metrics["by_ratio"] = measured.by_ratio
    answers = _answers(measured)
    metrics["answers"] = answers.as_json()
    metrics["appearance"] = _appearance(inputs, measured)
    metrics["variants"] = measured.variants
    metrics |= _clipped(inputs, measured.trace)
    shown = [row for row in measured.trace.kept if row[0]["key"] in measured.sheet]
    draw_sheet_rows(shown, inputs.images, out / CONTACT_SHEET, comparisons.method)
    write_bytes(out / VERDICT, _verdict_text(answers, verdict, records).encode())
    write_json(out / METRICS, round_floats(metrics))


def _answers(measured: _Measurements) -> Answers:
    """The first questions, from what was measured."""
    comparisons, records = measured.comparisons, measured.records
    copying = None if records.copying is None else asdict(records.copying)
    judged = f"final, {baseline_of(comparisons.method).judged}"
    name = f"copies_{comparisons.features['name']}"
    of_copies = (each for each in records.records if (each.name, each.subset) == (name, judged))
    record = next((each.as_json() for each in of_copies), None)
    return answer_questions(comparisons, measured.by_ratio, copying, record)


def _appearance(inputs: EvaluationInputs, measured: _Measurements) -> dict[str, Any] | None:
    """Contrast and spectrum against held-out images; None for fewer than two."""
    if len(inputs.reference) < 2:
        return None
    trace = measured.trace
    parents = np.stack([trace.rows[name].to_numpy() for name in ("row_1", "row_2")], axis=1)
    real = Look.of(inputs.reference)
    method = measured.comparisons.method
    return compare_appearance(trace.looks, real, trace.folded, parents, method)


def _clipped(inputs: EvaluationInputs, trace: Trace) -> dict[str, Any]:
    """How much of the images made again was cut off, where weights of new classes extrapolate."""
    if trace.clipped is None or not any(one.extrapolates for one in inputs.new_classes):
        return {}
    shares = trace.clipped
    return {"clipped": {"rows": len(shares), "share": shares.mean(), "worst": shares.max()}}


def _verdict_text(answers: Answers, verdict: Verdict, records: EvaluationRecords) -> str:
    """The text of verdict.txt: the answers first, every figure below them."""
    return f"{answers.as_text()}\nDetails. {verdict.text}\n{records.warning}"


def _sheet_keys(rows: pa.Table, count: int, seed: int) -> set[str]:
    """Keys of the rows that the contact sheet shows."""
    order = stream(image_seed(seed, "evaluate"), "sheet").permutation(rows.num_rows)
    places = choose_sheet_rows(fold_lambda(rows), count, order)
    return set(rows["key"].take(places).to_pylist())


def _real_images(
    config: EvaluateConfig, inputs: EvaluationInputs, rows: pa.Table, progress: Progress
) -> RealImages:
    cache = FeatureCache(inputs.feature_folder)
    return load_real_features(
        inputs.images,
        inputs.training_rows,
        inputs.reference,
        rows,
        FeatureSource(config.features, config.inception_weights, cache),
        sample_size=config.rows,
        least=config.training_rows,
        seed=inputs.seed,
        progress=progress,
    )


def _trace(
    config: EvaluateConfig,
    inputs: EvaluationInputs,
    rows: pa.Table,
    real: RealImages,
    sheet: set[str],
    progress: Progress,
) -> tuple[Trace, list[MetricRecord]]:
    """The rows made again, and the metrics for which weights were named."""
    weights = named_weights(config)
    optional = None
    if weights.measures_sets:
        optional = OptionalMetrics(weights, image_seed(inputs.seed, "extras"))
    kept = sheet | (mixed_keys(rows) if optional else set())
    batches, keys = inputs.execute(rows), inputs.manifest["key"]
    written = inputs.manifest.filter(pc.is_in(keys, value_set=rows["key"].combine_chunks()))
    trace = regenerate(batches, rows.num_rows, written, real.extractor, kept, progress)
    return trace, optional.records_of_run(trace.kept, inputs.reference) if optional else []


def _sensitivity(
    inputs: EvaluationInputs, trace: Trace, real: RealImages, progress: Progress
) -> Sensitivity | None:
    """Which damage the extractor sees on as many images as are judged; None: nothing is judged."""
    count = int(np.sum(trace.folded >= MIXED_LAMBDA))
    if not real.held_out or count < 2:
        return None
    return measure_sensitivity(
        real.extractor,
        inputs.images,
        inputs.training_rows,
        real.reference,
        FeatureCache(inputs.feature_folder),
        count=count,
        seed=inputs.seed,
        progress=progress,
    )


def _records(
    inputs: EvaluationInputs, trace: Trace, real: RealImages, comparisons: Comparisons
) -> EvaluationRecords:
    """The records of metrics.json, on which the verdict does not depend."""
    ids = inputs.reference_ids
    features = EvaluationFeatures(
        extractor=comparisons.features,
        reference=real.reference.vectors,
        held_out=real.held_out > 0,
        training=real.training,
        training_total=len(inputs.training_rows),
        steps=trace.features,
        folded=trace.folded,
        class_ids=trace.rows["class_id"].to_numpy(),
        reference_ids=np.full(real.held_out, -1) if ids is None else ids,
        classes=tuple(inputs.classes) if real.held_out else (),
        is_mixup=comparisons.method in MIXUP,
        judged=baseline_of(comparisons.method).judged,
    )
    return compute_records(features, image_seed(inputs.seed, "records"))


def _variants(
    config: EvaluateConfig,
    inputs: EvaluationInputs,
    trace: Trace,
    real: RealImages,
    progress: Progress,
) -> dict[str, Any] | None:
    """Each step alone and, if configured, every option, on rows with folded lambda >= .1."""
    variation = inputs.variation
    if variation is None:
        return None
    mixed = np.flatnonzero(trace.folded >= MIXED_LAMBDA)
    chosen = mixed[np.linspace(0, len(mixed) - 1, min(config.variant_rows, len(mixed))).astype(int)]
    steps = {step: trace.features[step][chosen] for step in STEPS}
    norms = None if trace.norms is None else trace.norms[chosen]
    rows = trace.rows.take(chosen)
    bench = open_bench(variation, rows, steps, norms, real.reference, real.held_out, inputs.seed)
    return try_variants(config.variants, variation, bench, real.extractor, progress)
