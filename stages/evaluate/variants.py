"""Variants: what each step of the method, and each of its options, is worth on the same plan rows.

Every variant is the configured recipe with some options changed, made of the same rows from the
same noise, and compared with mixup and with what was configured, row by row.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ...manifests.errors import Interrupted, ScoreMixError
from ...manifests.plan.random_streams import image_seed
from ...models.features.extractors import Extractor
from ...models.metrics.distances import Comparison, Reference, compare
from ...models.metrics.prdc import prdc
from ..common.progress import Progress
from ..generate.config import GenerateConfig
from .regenerate import STEPS, TracedBatch
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

_FEWEST = 50  # rows, or held-out images, below which nothing is told apart


@dataclass(frozen=True)
class VariantResult:
    """One variant's images against the held-out ones; differences are its own less the other's."""

    name: str
    changes: Changes
    n: int
    kd: float
    fd: float
    against_mixup: Comparison | None  # None for what has no mixture in it
    against_configured: Comparison | None
    precision: float
    coverage: float
    norm: float | None  # median ||sigma_N S||^2 / D of what came out
    evaluations: tuple[int, int]  # of the network, an image: forward alone, with the gradient

    def as_metrics(self) -> dict[str, Any]:
        """Its entry of metrics.json."""
        plain = {key: value for key, value in asdict(self).items() if not key.startswith("against")}
        for key in ("against_mixup", "against_configured"):
            found: Comparison | None = getattr(self, key)
            if found is not None:
                interval = found.kd_interval
                plain[key] = {"kd_difference": found.kd_difference, "interval_95": interval}
        return plain


@dataclass(frozen=True)
class FailedVariant:
    """A variant that no images came of."""

    name: str
    changes: Changes
    reason: str

    def as_metrics(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Variation:
    """How the images of plan rows are made, as configured or otherwise."""

    config: GenerateConfig  # resolved
    execute: Execute


@dataclass(frozen=True)
class VariantBench:
    """The rows that variants are tried on, and what they are compared with."""

    config: GenerateConfig  # as configured
    rows: pa.Table  # plan rows with folded lambda >= .1
    reference: Reference
    steps: Mapping[str, Floats]  # mixup, minimised, final as configured: (n, D) features
    norms: Floats | None  # (n, 3)
    seed: int

    def known(self) -> Iterator[VariantResult]:
        """What the configured run shows of itself."""
        yield self._known("mixup", {"method": "mixup"}, 0)
        if self.config.method == "scoremix" and self.config.denoise != "off":
            yield self._known(MINIMISATION, {"denoise": "off"}, 1)
        yield self._known(CONFIGURED, {}, 2)

    def _known(self, name: str, changes: Changes, step: int) -> VariantResult:
        norms = None if self.norms is None else self.norms[:, step]
        return self.judge(name, changes, self.steps[STEPS[step]], norms)

    def judge(
        self, name: str, changes: Changes, features: Floats, norms: Floats | None
    ) -> VariantResult:
        """features (n, D) of the variant's images, in the order of the rows; norms (n,)."""
        found = prdc(self.reference.vectors, features)
        config = self.config.model_copy(update=dict(changes))
        return VariantResult(
            name=name,
            changes=changes,
            n=len(features),
            kd=self.reference.kernel(features),
            fd=self.reference.frechet(features),
            against_mixup=self._against("mixup", name, features),
            against_configured=self._against("final", name, features),
            precision=found.precision,
            coverage=found.coverage,
            norm=None if norms is None else float(np.median(norms)),
            evaluations=evaluations(config, minimises=name != UNMIXED),
        )

    def _against(self, step: str, name: str, features: Floats) -> Comparison | None:
        other = self.steps[step]
        if name == UNMIXED or np.array_equal(other, features):
            return None
        return compare(self.reference, other, features, self.seed, frechet=False)


def as_configured(
    variation: Variation,
    rows: pa.Table,
    steps: Mapping[str, Floats],
    norms: Floats | None,
    reference: Reference,
    seed: int,
) -> VariantBench:
    # The seed of the verdict's own comparisons: on the same rows these are the same numbers.
    return VariantBench(
        variation.config, rows, reference, steps, norms, image_seed(seed, "evaluate")
    )


def try_variants(
    which: Which | Mapping[str, Changes],
    variation: Variation,
    bench: VariantBench,
    extract: Extractor,
    progress: Progress,
) -> dict[str, Any] | None:
    """`variants` of metrics.json: what was known already, then each variant, made and judged.

    Of too few rows or real images none is made, and `text` says so. A variant that makes no images
    (not finite, blank, out of memory) is told as such.

    Raises Interrupted if a stop was asked for.
    """
    config = variation.config
    if which == "off" or config.method == "mixup":
        return None
    judging, compared_with = bench.rows.num_rows, len(bench.reference.vectors)
    if min(judging, compared_with) < _FEWEST:
        why = (
            f"No variants were made: {_FEWEST} rows with lambda >= .1 and as many real images to"
            f" compare with are needed; there are {judging:,} and {compared_with:,}. Rows are as"
            " many as evaluate.rows, evaluate.variant_rows and generate.ratio allow; real images"
            " are held out by ingest.holdout or ingest.reference."
        )
        progress.note(f"variants: {why}")
        return {"rows": judging, "text": why, "table": []}
    judged: list[VariantResult | FailedVariant] = list(bench.known())
    chosen = changes_of(which, config)
    if config.method == "scoremix" and config.denoise != "off":
        chosen = {UNMIXED: {"steps": 0}, **chosen}
    total = bench.rows.num_rows * len(chosen)
    with progress.task("variants", total, "images") as advance:
        for name, changes in chosen.items():
            rows = _unmixed(bench.rows) if name == UNMIXED else bench.rows
            try:
                made = _made(variation.execute(rows, changes), extract, advance)
            except Interrupted:
                raise
            except ScoreMixError as error:
                judged.append(FailedVariant(name, changes, str(error)))
            else:
                judged.append(bench.judge(name, changes, *made))
    return {
        "rows": bench.rows.num_rows,
        "text": f"On {bench.rows.num_rows:,} rows: {summary(judged)}",
        "table": [item.as_metrics() for item in judged],
    }


def _made(
    batches: Iterator[TracedBatch], extract: Extractor, advance: Callable[[int], None]
) -> tuple[Floats, Floats | None]:
    features: list[Floats] = []
    norms: list[NDArray[np.float32]] = []
    for batch in batches:
        features.append(extract(batch.final))
        norms += [] if batch.norms is None else [batch.norms[:, -1]]
        advance(batch.rows.num_rows)
    return np.concatenate(features), np.concatenate(norms).astype(np.float64) if norms else None


def _unmixed(rows: pa.Table) -> pa.Table:
    place = rows.column_names.index("lambda")
    return rows.set_column(place, rows.field(place), pa.array(np.ones(rows.num_rows)))


def summary(judged: Sequence[VariantResult | FailedVariant], unit: float = 1000.0) -> str:
    """What the minimisation and the denoising add, each alone and together, in plain words."""
    found = {item.name: item for item in judged if isinstance(item, VariantResult)}
    parts = [_network(found[UNMIXED], found["mixup"], unit)] if UNMIXED in found else []
    for name, what in (
        (MINIMISATION, "The minimisation alone"),
        (DENOISING, "The denoising alone"),
        (CONFIGURED, "The method as configured"),
    ):
        item = found.get(name)
        if item is not None and item.against_mixup is not None:
            parts.append(_sentence(what, item.against_mixup, unit))
    best = min(
        (item for item in found.values() if item.name != UNMIXED),
        key=lambda item: item.kd,
        default=None,
    )
    if best is not None and set(found) - {"mixup", MINIMISATION, CONFIGURED, UNMIXED, DENOISING}:
        parts.append(f"Nearest to the held-out images of all that was tried: {_best(best, unit)}.")
    return " ".join(parts)


def _network(unmixed: VariantResult, mixup: VariantResult, unit: float) -> str:
    return (
        f"Real images that go through the denoising unmixed come out at a kernel distance of"
        f" {unit * unmixed.kd:.3g}, with what the network alone does to them; mixtures start from"
        f" {unit * mixup.kd:.3g}."
    )


def _best(best: VariantResult, unit: float) -> str:
    found = best.against_configured
    if found is None:
        return best.name
    low, high = (unit * end for end in found.kd_interval)
    told = "" if high < 0 else ", which may be chance"
    return f"{best.name}, by {unit * found.kd_difference:+.3g} ({low:+.3g} to {high:+.3g}){told}"


def _sentence(what: str, found: Comparison, unit: float) -> str:
    low, high = (unit * end for end in found.kd_interval)
    word = "lowers" if high < 0 else "raises" if low > 0 else "does not clearly change"
    return (
        f"{what} {word} the kernel distance of mixup ({unit * found.kd_before:.3g} to"
        f" {unit * found.kd_after:.3g}, 95 % interval of the difference {low:+.3g} to {high:+.3g})."
    )
