"""Ablation: compares variants of the method, step by step and option by option, on equal rows.

Every variant is the configured recipe with some options changed, made of the same plan rows from
the same noise, and compared row by row with mixup and with the configured method.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ...manifests.errors import Interrupted, ScoreMixError
from ...manifests.plan.methods import ONE_PARENT
from ...manifests.plan.random_streams import image_seed
from ...models.features.extractors import Extractor
from ...models.metrics.distances import Comparison, Reference, compare
from ...models.metrics.prdc import prdc
from ..common.progress import Advance, Progress
from ..generate.config import GenerateConfig
from .number_format import format_kernel
from .regenerate import STEPS, TracedBatch
from .sentences import Change, describe_change
from .variant_catalogue import (
    CONFIGURED,
    DENOISING,
    MINIMISATION,
    UNMIXED,
    Changes,
    Which,
    changes_of,
    evaluations,
)

Floats = NDArray[np.float64]
Execute = Callable[[pa.Table, Changes], Iterator[TracedBatch]]

_MIN_IMAGES = 50  # rows, and real images, below which no variant is made


@dataclass(frozen=True)
class VariantResult:
    """Metrics of one variant's images; differences are its own distance less the other's."""

    name: str
    changes: Changes
    n: int
    kd: float
    fd: float
    against_mixup: Comparison | None  # None for mixup itself
    against_configured: Comparison | None
    precision: float
    coverage: float
    norm: float | None  # median ||sigma_N S||^2 / D of the finished images
    evaluations: tuple[int, int]  # of the network per image: forward alone, with the gradient

    def as_metrics(self) -> dict[str, Any]:
        """Its entry of metrics.json."""
        plain = {key: value for key, value in asdict(self).items() if not key.startswith("against")}
        for key in ("against_mixup", "against_configured"):
            pair: Comparison | None = getattr(self, key)
            if pair is not None:
                interval = pair.kd_interval
                plain[key] = {"kd_difference": pair.kd_difference, "interval_95": interval}
        return plain


@dataclass(frozen=True)
class FailedVariant:
    """A variant that made no images: not finite, blank, out of memory."""

    name: str
    changes: Changes
    reason: str

    def as_metrics(self) -> dict[str, Any]:
        """Its entry of metrics.json."""
        return asdict(self)


@dataclass(frozen=True)
class Variation:
    """How the images of plan rows are made, as configured or with other options."""

    config: GenerateConfig  # resolved
    execute: Execute


@dataclass(frozen=True)
class VariantBench:
    """The rows that variants are made of, and the images they are compared with."""

    config: GenerateConfig  # as configured
    rows: pa.Table  # plan rows with folded lambda >= .1
    reference: Reference  # held-out images; training images where none are held out
    held_out: int  # their number
    steps: Mapping[str, Floats]  # mixup, minimised, final as configured: (n, D) features
    norms: Floats | None  # (n, 3)
    seed: int

    def configured(self) -> Iterator[VariantResult]:
        """The steps of the configured run, for which no image is made."""
        yield self._step("mixup", {"method": "mixup"}, 0)
        if self.config.method == "scoremix" and self.config.denoise != "off":
            yield self._step(MINIMISATION, {"denoise": "off"}, 1)
        yield self._step(CONFIGURED, {}, 2)

    def _step(self, name: str, changes: Changes, step: int) -> VariantResult:
        norms = None if self.norms is None else self.norms[:, step]
        return self.evaluate(name, changes, self.steps[STEPS[step]], norms)

    def evaluate(
        self, name: str, changes: Changes, features: Floats, norms: Floats | None
    ) -> VariantResult:
        """Metrics of a variant's images.

        features: (n, D), in the order of the rows; norms: (n,), None without a score network.
        """
        fidelity = prdc(self.reference.vectors, features)
        config = self.config.model_copy(update=dict(changes))
        return VariantResult(
            name=name,
            changes=changes,
            n=len(features),
            kd=self.reference.kernel(features),
            fd=self.reference.frechet(features),
            against_mixup=self._compare("mixup", name, features),
            against_configured=self._compare("final", name, features),
            precision=fidelity.precision,
            coverage=fidelity.coverage,
            norm=None if norms is None else float(np.median(norms)),
            evaluations=evaluations(config, minimises=name != UNMIXED),
        )

    def _compare(self, step: str, name: str, features: Floats) -> Comparison | None:
        other = self.steps[step]
        if np.array_equal(other, features):
            return None
        return compare(self.reference, other, features, self.seed, frechet=False)


def open_bench(
    variation: Variation,
    rows: pa.Table,
    steps: Mapping[str, Floats],
    norms: Floats | None,
    reference: Reference,
    held_out: int,
    seed: int,
) -> VariantBench:
    """The bench of a configured run: its rows, features (n, D) per step and norms (n, 3).

    held_out: the number of held-out images, of which `reference` then is.
    """
    # The seed of the verdict's own comparisons: on the same rows these are the same numbers.
    return VariantBench(
        variation.config, rows, reference, held_out, steps, norms, image_seed(seed, "evaluate")
    )


def try_variants(
    which: Which | Mapping[str, Changes],
    variation: Variation,
    bench: VariantBench,
    extractor: Extractor,
    progress: Progress,
) -> dict[str, Any] | None:
    """`variants` of metrics.json: the configured steps, then each variant, made and evaluated.

    None for methods without a network, or of one parent: their rows have no second one. Of too few
    rows or held-out images none is made, and `text` says so: beside training images the nearest
    variant would be the one that copies them. A variant that makes no images (not
    finite, blank, out of memory) has a row with the reason.

    Raises:
        Interrupted: a stop was requested.
    """
    config = variation.config
    if which == "off" or not config.needs_network or config.method in ONE_PARENT:
        return None  # there are no mixtures, or no network to make variants of them
    rows_count = bench.rows.num_rows
    if min(rows_count, bench.held_out) < _MIN_IMAGES:
        why = (
            f"No variants were made: {_MIN_IMAGES} rows with lambda >= .1 and as many held-out"
            f" images are needed; there are {rows_count:,} and {bench.held_out:,}. Rows are as many"
            " as evaluate.rows, evaluate.variant_rows and generate.ratio allow; images are held out"
            " by ingest.holdout or ingest.reference."
        )
        progress.note(f"variants: {why}")
        return {"rows": rows_count, "text": why, "table": []}
    results: list[VariantResult | FailedVariant] = list(bench.configured())
    chosen = changes_of(which, config)
    total = rows_count * len(chosen)
    with progress.task("variants", total, "images") as advance:
        for name, changes in chosen.items():
            try:
                batches = variation.execute(bench.rows, changes)
                made = _features_and_norms(batches, extractor, advance)
            except Interrupted:
                raise
            except ScoreMixError as error:
                results.append(FailedVariant(name, changes, str(error)))
            else:
                results.append(bench.evaluate(name, changes, *made))
    return {
        "rows": rows_count,
        "text": f"On {rows_count:,} rows: {describe_variants(results)}",
        "table": [item.as_metrics() for item in results],
    }


def _features_and_norms(
    batches: Iterator[TracedBatch], extractor: Extractor, advance: Advance
) -> tuple[Floats, Floats | None]:
    """Features (n, D) and score norms (n,) of the finished images."""
    features: list[Floats] = []
    norms: list[NDArray[np.float32]] = []
    for batch in batches:
        features.append(extractor(batch.final))
        norms += [] if batch.norms is None else [batch.norms[:, -1]]
        advance(batch.rows.num_rows)
    return np.concatenate(features), np.concatenate(norms).astype(np.float64) if norms else None


def describe_variants(results: Sequence[VariantResult | FailedVariant]) -> str:
    """What the minimisation and the denoising add, each alone and together, in sentences."""
    by_name = {result.name: result for result in results if isinstance(result, VariantResult)}
    sentences = []
    if UNMIXED in by_name:
        unmixed, mixup = (format_kernel(by_name[name].kd) for name in (UNMIXED, "mixup"))
        sentences.append(
            f"One parent alone, noised and denoised, is at kernel distance {unmixed}: what the"
            f" network does without any mixing; mixtures start from {mixup}."
        )
    for name, subject in (
        (MINIMISATION, "The minimisation alone"),
        (DENOISING, "The denoising alone"),
        (CONFIGURED, "The method as configured"),
    ):
        result = by_name.get(name)
        if result is not None and result.against_mixup is not None:
            change = Change.of(result.against_mixup)
            sentences.append(describe_change(subject, change, "the kernel distance of mixup"))
    if set(by_name) - {"mixup", MINIMISATION, CONFIGURED, UNMIXED, DENOISING}:
        sentences.append(_nearest(min(by_name.values(), key=lambda result: result.kd)))
    return " ".join(sentences)


def _nearest(best: VariantResult) -> str:
    sentence = f"Nearest to the held-out images of all variants: {best.name}"
    if best.against_configured is None:
        return f"{sentence}."
    change = Change.of(best.against_configured)
    chance = "" if change.is_significant else ", which may be chance"
    return f"{sentence} (against the configured method: {change.figures}{chance})."
