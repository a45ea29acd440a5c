"""Metric records of an evaluation: distances, precision and recall, diversity, copying.

The verdict does not depend on them. They are computed per step and band of lambda, per class where
there are enough images, and of held-out and training images as a baseline.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...models.metrics.copying import (
    COPY,
    MIN_IMAGES,
    Copies,
    CopyVerdict,
    NearCopies,
    copying_test,
    find_copies,
    find_near_copies,
    judge_copying,
    training_spacing,
)
from ...models.metrics.distances import frechet_distance, is_biased, kernel_distance
from ...models.metrics.diversity import mean_pairwise_distance
from ...models.metrics.kernel import SUBSET_SIZE, kernel_over_subsets
from ...models.metrics.prdc import K, expected_coverage, prdc
from ...models.metrics.record import MetricRecord, metric_name
from .row_sample import BANDS, MIXED_LAMBDA

Features = NDArray[np.floating[Any]]
Floats = NDArray[np.float64]

_TWO_PAIRS = 4  # images of a set whose halves have a pair each, so that subsets can be drawn
_FIDELITY_AND_DIVERSITY = ("precision", "recall", "density", "coverage")

_BIASED_FD = "mostly bias: {n} images in {dimensions} dimensions, five per dimension are needed"
_DEPENDS_ON_N = "depends on n and reference_n: compare records of equal ones, and with real images'"
_MIXTURES = "mixtures are nearer to their parents than unseen images are: below 0 is not copying"
_SOME_OF_ALL = "the nearest of {some:,} training images, among them the parents, out of {all:,}"
_MIXED = f"lambda >= {MIXED_LAMBDA:g}"


@dataclass(frozen=True)
class RealFeatures:
    """Features (n, D) of the real images that sets are compared with."""

    extractor: Mapping[str, Any]  # its description
    reference: Features  # held-out images; where there are none, training images
    held_out: bool
    training: (
        Features  # all of them; or the parents of the evaluated images, and a choice of others
    )
    training_total: int  # training images in all


@dataclass(frozen=True)
class EvaluationFeatures(RealFeatures):
    """Features of the real images and of n evaluated rows, in one order."""

    steps: Mapping[str, Features]  # mixup, minimised, final: of the evaluated rows
    folded: Floats  # (n,) min(lambda, 1 - lambda)
    class_ids: NDArray[np.int64]  # (n,) of the evaluated rows, -1 without one class
    reference_ids: NDArray[np.int64]  # of the reference, -1 without a class
    classes: tuple[str, ...]  # names by class id
    is_mixup: bool  # the method is mixup itself: its steps are equal
    judged: str = _MIXED  # what the judged rows are called


@dataclass(frozen=True)
class EvaluationRecords:
    """All metric records of an evaluation, and the verdict on copying."""

    records: tuple[MetricRecord, ...]
    copying: CopyVerdict | None  # None where there are too few images to tell

    @property
    def warning(self) -> str:
        """A paragraph for verdict.txt where training images were copied, else nothing."""
        verdict = self.copying
        return f"\n{verdict.text}\n" if verdict and verdict.kind == "copying" else ""

    def as_metrics(self) -> dict[str, Any]:
        """`copying` and `records` of metrics.json."""
        copying = None if self.copying is None else asdict(self.copying)
        return {"copying": copying, "records": [record.as_json() for record in self.records]}

    def values_by_step(
        self, steps: Sequence[str], judged: str = _MIXED
    ) -> Mapping[str, tuple[float | None, ...]]:
        """ "precision" -> its value after each of `steps`, judged rows; so recall and the like."""
        values = {(record.name, record.subset): record.value for record in self.records}
        return {
            name.partition("_")[0]: tuple(values.get((name, f"{step}, {judged}")) for step in steps)
            for name in dict.fromkeys(record.name for record in self.records)
            if name.partition("_")[0] in _FIDELITY_AND_DIVERSITY
        }


def compute_records(features: EvaluationFeatures, seed: int) -> EvaluationRecords:
    """All records, and the verdict on copying, which is on folded lambda >= .1 alone.

    Sets of fewer than fifty images are left out.
    """
    suite = MetricSuite(features, seed, notes_of_test=(_MIXTURES,))
    mixed = features.folded >= MIXED_LAMBDA
    final = features.steps["final"]
    records: list[MetricRecord] = []
    for step in ("final",) if features.is_mixup else ("mixup", "final"):
        records += suite.records(features.steps[step][mixed], f"{step}, {features.judged}")
    for name, low, high in BANDS if features.judged == _MIXED else ():
        band = final[(features.folded >= low) & (features.folded < high)]
        records += suite.records_of_lambda_band(band, f"final, lambda {name}")
    for id_, name in enumerate(features.classes):
        made = final[mixed & (features.class_ids == id_)]
        real = features.reference[features.reference_ids == id_]
        records += suite.records_of_class(made, real, f"final, {features.judged}, class {name}")
    records += suite.records_of_real_images(int(mixed.sum()))
    return EvaluationRecords(tuple(records), suite.copying_verdict(final[mixed]))


class MetricSuite:
    """Computes every metric of a set of features against the same real images.

    What depends on the real images alone is computed once.

    notes_of_test: what a reader of C_T must know of the evaluated images.
    """

    def __init__(self, real: RealFeatures, seed: int, notes_of_test: tuple[str, ...] = ()) -> None:
        self.real, self.seed, self.notes_of_test = real, seed, notes_of_test
        self.name = str(real.extractor["name"])
        self.reference_name = "held-out images" if real.held_out else "training images"
        self.suffix = "" if real.held_out else "_vs_train"
        self._spacing = self._training_spacing()
        few = self._spacing is None or not real.held_out or len(real.reference) < MIN_IMAGES
        self._held_out_copies = None if few else self.nearest_training(real.reference)

    def _training_spacing(self) -> Floats | None:
        try:
            return training_spacing(self.real.training)
        except ValueError:  # one image, or all duplicated: a copy is not defined
            return None

    def nearest_training(self, x: Features) -> Copies | None:
        """The nearest training image of each of x (n, D); None where a copy is not defined."""
        if self._spacing is None:
            return None
        return find_copies(x, self.real.training, self._spacing)

    def near_copies(self, x: Features) -> tuple[NearCopies, NearCopies] | None:
        """Images that lie near one training image alone, of x (n, D) and of the held-out ones.

        None where nothing is held out, or copies are not defined.
        """
        if self._held_out_copies is None:
            return None
        training = self.real.training
        return find_near_copies(x, training), find_near_copies(self.real.reference, training)

    def records_of_copying(self, x: Features, subset: str) -> Iterator[MetricRecord]:
        """The share of copies and, of enough images, the data-copying test."""
        yield from self._copying(x, subset)
        if self._held_out_copies is not None and len(x) >= MIN_IMAGES:
            yield from self._copying_test(x, subset)

    def records(self, x: Features, subset: str, *, copying: bool = True) -> Iterator[MetricRecord]:
        """Every metric of one set x (n, D); copying: also `records_of_copying`."""
        if len(x) < MIN_IMAGES:
            return
        yield from self._distances(x, self.real.reference, subset)
        yield from self._prdc(x, self.real.reference, subset)
        yield self._diversity(x, subset)
        if copying:
            yield from self.records_of_copying(x, subset)

    def records_of_lambda_band(self, x: Features, subset: str) -> Iterator[MetricRecord]:
        """The metrics of a band of lambda that `bands` of metrics.json does not have."""
        if len(x) >= MIN_IMAGES:
            yield from self._prdc(x, self.real.reference, subset)
            yield from self._copying(x, subset)

    def records_of_class(self, x: Features, real: Features, subset: str) -> Iterator[MetricRecord]:
        """Distances, precision and recall of one class's images to its real ones."""
        if len(x) >= MIN_IMAGES and len(real) >= MIN_IMAGES:
            yield from self._distances(x, real, subset, of="of that class")
            yield from self._prdc(x, real, subset, of="of that class")

    def records_of_unseen_copies(self) -> Iterator[MetricRecord]:
        """The share of copies among the held-out images: what chance gives."""
        if self._held_out_copies is not None:
            yield from self._copying(self.real.reference, self.reference_name)

    def records_of_real_images(self, n: int, *, copying: bool = True) -> Iterator[MetricRecord]:
        """The baseline: held-out images, and `n` training images as if they were made."""
        real = self.real
        if len(real.reference) >= MIN_IMAGES:
            yield self._diversity(real.reference, self.reference_name)
        if self._held_out_copies is None:
            return
        if copying:
            yield from self.records_of_unseen_copies()
        chosen = np.random.default_rng(self.seed).permutation(len(real.training))[:n]
        if len(chosen) >= MIN_IMAGES:
            sample = real.training[np.sort(chosen)]
            yield from self._distances(sample, real.reference, "training images")
            yield from self._prdc(sample, real.reference, "training images")

    def copying_verdict(self, x: Features) -> CopyVerdict | None:
        """Are x (n, D) copies of training images? None for fewer images than the test needs."""
        copies = self.nearest_training(x) if len(x) >= MIN_IMAGES else None
        return None if copies is None else judge_copying(copies, self._held_out_copies)

    def _record(self, name: str, value: float, n: int, subset: str, **more: Any) -> MetricRecord:
        return MetricRecord(name, value, n, self.real.extractor, subset, **more)

    def _distances(
        self, x: Features, real: Features, subset: str, of: str = ""
    ) -> Iterator[MetricRecord]:
        if min(len(x), len(real)) < _TWO_PAIRS:
            return
        facts = {"reference": f"{self.reference_name} {of}".strip(), "reference_n": len(real)}
        kernel = kernel_over_subsets(
            x, real, self.seed, subset_size=min(SUBSET_SIZE, len(x) // 2, len(real) // 2)
        )
        yield self._record(
            metric_name("kd", self.real.extractor) + self.suffix,
            kernel_distance(x, real),
            len(x),
            subset,
            std=kernel.std,
            std_of=f"single subsets of {kernel.subset_size}, {kernel.subsets} drawn",
            seed=self.seed,
            parameters={"kernel": "(x.y/D + 1)^3", "unbiased": True},
            **facts,
        )
        note = _BIASED_FD.format(n=min(len(x), len(real)), dimensions=x.shape[1])
        yield self._record(
            metric_name("fd", self.real.extractor) + self.suffix,
            frechet_distance(x, real),
            len(x),
            subset,
            notes=(note,) if is_biased(len(x), len(real), x.shape[1]) else (),
            **facts,
        )

    def _prdc(
        self, x: Features, real: Features, subset: str, of: str = ""
    ) -> Iterator[MetricRecord]:
        if min(len(x), len(real)) <= K:
            return
        values = prdc(real, x)
        expected = {"coverage": {"of_one_distribution": expected_coverage(len(real), len(x))}}
        for name in _FIDELITY_AND_DIVERSITY:
            yield self._record(
                f"{name}_{self.name}{self.suffix}",
                getattr(values, name),
                len(x),
                subset,
                reference=f"{self.reference_name} {of}".strip(),
                reference_n=len(real),
                parameters={"k": values.k} | expected.get(name, {}),
                notes=(_DEPENDS_ON_N,),
            )

    def _diversity(self, x: Features, subset: str) -> MetricRecord:
        distance = mean_pairwise_distance(x, self.seed)
        return self._record(
            f"mpd_{self.name}",
            distance.mean,
            distance.n,
            subset,
            std=distance.standard_error,
            std_of="the mean, over the choice of images",
            seed=distance.seed,
            parameters={"pairs": distance.pairs, "distance": "Euclidean"},
        )

    def _copying(self, x: Features, subset: str) -> Iterator[MetricRecord]:
        copies = self.nearest_training(x)
        if copies is None:
            return
        yield self._record(
            f"copies_{self.name}",
            copies.share,
            copies.n,
            subset,
            interval_95=copies.interval,
            reference="training images",
            reference_n=len(self.real.training),
            parameters={"nearer_than": COPY, "median_ratio": float(np.median(copies.ratios))},
            notes=self._sample_notes(),
        )

    def _copying_test(self, x: Features, subset: str) -> Iterator[MetricRecord]:
        try:
            test = copying_test(x, self.real.reference, self.real.training, self.seed)
        except ValueError:  # no cell holds images of both sets: C_T is not defined
            return
        yield self._record(
            f"ct_{self.name}",
            test.c_t,
            len(x),
            subset,
            reference=f"{self.reference_name}, near training images",
            reference_n=len(self.real.reference),
            seed=self.seed,
            parameters={"cells": test.cells, "share_of_held_out": test.share},
            notes=(*self.notes_of_test, *self._sample_notes()),
        )

    def _sample_notes(self) -> tuple[str, ...]:
        known, total = len(self.real.training), self.real.training_total
        return () if known == total else (_SOME_OF_ALL.format(some=known, all=total),)
