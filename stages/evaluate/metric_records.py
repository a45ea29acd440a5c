"""Records: everything else that is measured on the images that `evaluate` looked at.

Beside the verdict, which they do not touch: per step and band of lambda, per class where there are
enough images, and of held-out and training images as the yardstick.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...models.metrics.copying import (
    COPY,
    NEEDED,
    Copies,
    CopyVerdict,
    copies,
    copying_test,
    judge_copying,
    own_distances,
)
from ...models.metrics.distances import frechet_distance, is_biased, kernel_distance
from ...models.metrics.diversity import mean_pairwise_distance
from ...models.metrics.kernel import SUBSET_SIZE, kernel_over_subsets
from ...models.metrics.prdc import K, expected_coverage, prdc
from ...models.metrics.record import MetricRecord, metric_name

Features = NDArray[np.floating[Any]]
Floats = NDArray[np.float64]

_PAIRS = 4  # images of a set of which two halves have a pair each: subsets of them can be drawn

_BIASED_FD = "mostly bias: {n} images in {dimensions} dimensions, five per dimension are needed"
_NUMBERS = "depends on n and reference_n: compare records of equal ones, and with real images'"
_MIXTURES = "mixtures are nearer to their parents than unseen images are: below 0 is not copying"
_OF_ALL = "the nearest of {of:,} training images, among them the parents, out of {all:,}"


@dataclass(frozen=True)
class RealFeatures:
    """The real images that sets are compared with. Features are (n, D)."""

    extractor: Mapping[str, Any]  # its description
    reference: Features  # held-out images; where there are none, training images
    held_out: bool
    training: Features  # all of them; or the parents of the judged images, and a choice of others
    training_of: int  # training images in all


@dataclass(frozen=True)
class EvaluationFeatures(RealFeatures):
    """What evaluate has features of: images of one set in one order."""

    steps: Mapping[str, Features]  # mixup, minimised, final: of the judged rows
    folded: Floats  # (n,) min(lambda, 1 - lambda)
    class_ids: NDArray[np.int64]  # (n,) of the judged rows, -1 without one class
    reference_ids: NDArray[np.int64]  # of the reference, -1 without a class
    classes: tuple[str, ...]  # names by class id
    mixtures: bool  # the method is mixup itself: its steps are equal


@dataclass(frozen=True)
class Measured:
    records: tuple[MetricRecord, ...]
    copying: CopyVerdict | None  # None where there are too few images to look

    @property
    def warning(self) -> str:
        """A paragraph for verdict.txt where training images were copied, else nothing."""
        found = self.copying
        return f"\n{found.text}\n" if found and found.kind == "copying" else ""

    def as_metrics(self) -> dict[str, Any]:
        """Its part of metrics.json."""
        copying = None if self.copying is None else asdict(self.copying)
        return {"copying": copying, "records": [record.as_json() for record in self.records]}

    def of_steps(
        self, steps: Sequence[str], heavy: float
    ) -> Mapping[str, tuple[float | None, ...]]:
        """ "precision" -> its value after each of `steps`, for what tells quality from variety."""
        found = {(record.name, record.subset): record.value for record in self.records}
        return {
            name.partition("_")[0]: tuple(
                found.get((name, f"{step}, lambda >= {heavy:g}")) for step in steps
            )
            for name in dict.fromkeys(record.name for record in self.records)
            if name.partition("_")[0] in ("precision", "recall", "density", "coverage")
        }


def measure(
    looked: EvaluationFeatures,
    bands: Mapping[str, tuple[float, float]],
    heavy: float,
    seed: int,
) -> Measured:
    """All records, and the verdict on copying, which is on folded lambda >= `heavy` alone.

    bands: name -> low and high folded lambda. Sets of fewer than fifty images are left out.
    """
    suite = MetricSuite(looked, seed, notes_of_test=(_MIXTURES,))
    judged = looked.folded >= heavy
    final = looked.steps["final"]
    records: list[MetricRecord] = []
    for step in ("final",) if looked.mixtures else ("mixup", "final"):
        records += suite.against(looked.steps[step][judged], f"{step}, lambda >= {heavy:g}")
    for name, (low, high) in bands.items():
        some = final[(looked.folded >= low) & (looked.folded < high)]
        records += suite.in_a_band(some, f"final, lambda {name}")
    for id_, name in enumerate(looked.classes):
        some = final[judged & (looked.class_ids == id_)]
        real = looked.reference[looked.reference_ids == id_]
        records += suite.of_class(some, real, f"final, lambda >= {heavy:g}, class {name}")
    records += suite.yardstick(int(judged.sum()))
    return Measured(tuple(records), suite.verdict(final[judged]))


class MetricSuite:
    """The sets that everything is compared with, and what is worked out of them once.

    notes_of_test: what a reader of C_T must know of the judged images.
    """

    def __init__(
        self, looked: RealFeatures, seed: int, notes_of_test: tuple[str, ...] = ()
    ) -> None:
        self.looked, self.seed, self.notes_of_test = looked, seed, notes_of_test
        self.name = str(looked.extractor["name"])
        self.to = "held-out images" if looked.held_out else "training images"
        self.suffix = "" if looked.held_out else "_vs_train"
        self.own = self._own()
        few = self.own is None or not looked.held_out or len(looked.reference) < NEEDED
        self.unseen = None if few else self._copies(looked.reference)

    def _own(self) -> Floats | None:
        try:
            return own_distances(self.looked.training)
        except ValueError:  # one image, or all with a twin: what a copy is cannot be told
            return None

    def copies_in(self, x: Features) -> Copies | None:
        """The nearest training image of each; None where what a copy is cannot be told."""
        return None if self.own is None else self._copies(x)

    def _copies(self, x: Features) -> Copies:
        return copies(x, self.looked.training, self.own)

    def against(self, x: Features, subset: str) -> Iterator[MetricRecord]:
        """Everything about one set."""
        if len(x) < NEEDED:
            return
        yield from self._distances(x, self.looked.reference, subset)
        yield from self._prdc(x, self.looked.reference, subset)
        yield self._diversity(x, subset)
        yield from self._copying(x, subset)
        if self.unseen is not None:
            yield from self._c_t(x, subset)

    def in_a_band(self, x: Features, subset: str) -> Iterator[MetricRecord]:
        """What `bands` of metrics.json, with its distances, does not say."""
        if len(x) >= NEEDED:
            yield from self._prdc(x, self.looked.reference, subset)
            yield from self._copying(x, subset)

    def of_class(self, x: Features, real: Features, subset: str) -> Iterator[MetricRecord]:
        if len(x) >= NEEDED and len(real) >= NEEDED:
            yield from self._distances(x, real, subset, of="of that class")
            yield from self._prdc(x, real, subset, of="of that class")

    def yardstick(self, n: int) -> Iterator[MetricRecord]:
        """Real images judged as if they were made, `n` of them if there are so many."""
        looked = self.looked
        if len(looked.reference) >= NEEDED:
            yield self._diversity(looked.reference, self.to)
        if self.unseen is None:
            return
        yield from self._copying(looked.reference, self.to)
        chosen = np.random.default_rng(self.seed).permutation(len(looked.training))[:n]
        if len(chosen) >= NEEDED:
            some = looked.training[np.sort(chosen)]
            yield from self._distances(some, looked.reference, "training images")
            yield from self._prdc(some, looked.reference, "training images")

    def verdict(self, x: Features) -> CopyVerdict | None:
        if self.own is None or len(x) < NEEDED:
            return None
        return judge_copying(self._copies(x), self.unseen)

    def _record(self, name: str, value: float, n: int, subset: str, **more: Any) -> MetricRecord:
        return MetricRecord(name, value, n, self.looked.extractor, subset, **more)

    def _distances(
        self, x: Features, real: Features, subset: str, of: str = ""
    ) -> Iterator[MetricRecord]:
        if min(len(x), len(real)) < _PAIRS:
            return
        facts = {"reference": f"{self.to} {of}".strip(), "reference_n": len(real)}
        kernel = kernel_over_subsets(
            x, real, self.seed, subset_size=min(SUBSET_SIZE, len(x) // 2, len(real) // 2)
        )
        yield self._record(
            metric_name("kd", self.looked.extractor) + self.suffix,
            kernel_distance(x, real),
            len(x),
            subset,
            std=kernel.std,
            std_of=f"single subsets of {kernel.subset_size}, {kernel.subsets} drawn",
            seed=self.seed,
            parameters={"kernel": "(x.y/D + 1)^3", "unbiased": True},
            **facts,
        )
        told = _BIASED_FD.format(n=min(len(x), len(real)), dimensions=x.shape[1])
        yield self._record(
            metric_name("fd", self.looked.extractor) + self.suffix,
            frechet_distance(x, real),
            len(x),
            subset,
            notes=(told,) if is_biased(len(x), len(real), x.shape[1]) else (),
            **facts,
        )

    def _prdc(
        self, x: Features, real: Features, subset: str, of: str = ""
    ) -> Iterator[MetricRecord]:
        if min(len(x), len(real)) <= K:
            return
        found = prdc(real, x)
        expected = {"coverage": {"of_one_distribution": expected_coverage(len(real), len(x))}}
        for name in ("precision", "recall", "density", "coverage"):
            yield self._record(
                f"{name}_{self.name}{self.suffix}",
                getattr(found, name),
                len(x),
                subset,
                reference=f"{self.to} {of}".strip(),
                reference_n=len(real),
                parameters={"k": found.k} | expected.get(name, {}),
                notes=(_NUMBERS,),
            )

    def _diversity(self, x: Features, subset: str) -> MetricRecord:
        found = mean_pairwise_distance(x, self.seed)
        return self._record(
            f"mpd_{self.name}",
            found.mean,
            found.n,
            subset,
            std=found.standard_error,
            std_of="the mean, over the choice of images",
            seed=found.seed,
            parameters={"pairs": found.pairs, "distance": "Euclidean"},
        )

    def _copying(self, x: Features, subset: str) -> Iterator[MetricRecord]:
        if self.own is None:
            return
        found = self._copies(x)
        yield self._record(
            f"copies_{self.name}",
            found.share,
            found.n,
            subset,
            interval_95=found.interval,
            reference="training images",
            reference_n=len(self.own),
            parameters={"nearer_than": COPY, "median_ratio": float(np.median(found.ratios))},
            notes=self._some(),
        )

    def _c_t(self, x: Features, subset: str) -> Iterator[MetricRecord]:
        try:
            found = copying_test(x, self.looked.reference, self.looked.training, self.seed)
        except ValueError:  # no cell holds images of both sets: there is no such number
            return
        yield self._record(
            f"ct_{self.name}",
            found.c_t,
            len(x),
            subset,
            reference=f"{self.to}, near training images",
            reference_n=len(self.looked.reference),
            seed=self.seed,
            parameters={"cells": found.cells, "share_of_held_out": found.share},
            notes=(*self.notes_of_test, *self._some()),
        )

    def _some(self) -> tuple[str, ...]:
        of, every = len(self.looked.training), self.looked.training_of
        return () if of == every else (_OF_ALL.format(of=of, all=every),)
