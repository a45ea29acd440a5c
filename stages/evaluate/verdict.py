"""The verdict: are the images better than mixup, no different, or worse; in words and numbers.

"Better" needs the interval over other training images below 0, "worse" that of this corpus above
0: praise needs more evidence than a warning.

It is about the rows with folded lambda = min(lambda, 1 - lambda) >= .1: below, an image is nearly
its parent whatever the method. The kernel distance decides; the Frechet distance is reported too,
but on few images it is mostly bias.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ...manifests.plan.methods import NEW_CLASS_METHODS, ONE_PARENT
from ...models.metrics.distances import Comparison
from .baseline import MIXUP, baseline_of
from .number_format import format_kernel, format_number
from .sensitivity import Sensitivity
from .sentences import (
    NONE_HELD_OUT,
    Change,
    describe_change,
    describe_features,
    describe_reference,
    join_words,
)

Kind = Literal["better", "worse", "no different", "none"]

MIN_IMAGES = 50  # images with lambda >= .1, and reference images, below which there is no verdict

_HEADLINES = {
    "better": "are BETTER than",
    "worse": "are WORSE than",
    "no different": "are NO DIFFERENT from",
}


@dataclass(frozen=True)
class Verdict:
    """Whether the images are nearer to held-out images than mixup's, and the paragraph on it."""

    kind: Kind
    text: str  # one paragraph


@dataclass(frozen=True)
class Comparisons:
    """All measurements of the verdict: `decide_verdict` gives its text, `verdict_json` its JSON."""

    method: str  # as in the plan
    kd: str  # names of the metrics
    fd: str
    features: Mapping[str, Any]  # the extractor's description
    held_out: int  # held-out images, 0 where distances are to training images
    reproduced: tuple[int, int]  # images with the pixels that the manifest records, of how many
    bands: Sequence[Mapping[str, Any]]  # n, share of the corpus, distances per step
    mixed: Mapping[str, Any]  # the same for all rows with lambda >= .1
    minimised: Comparison | None  # with mixup, lambda >= .1; None with fewer than two images
    denoised: Comparison | None  # final with minimised
    final: Comparison | None
    other_parents: tuple[float, float] | None  # the kernel's interval, training images resampled
    training_distances: Mapping[str, Any] | None  # of training images to the held-out ones
    norms: Mapping[str, Mapping[str, float] | None]  # quantiles, held out and per step, >= .1
    train_more: str  # a command that trains longer; empty where that would change nothing
    # "precision", "recall", ... -> its values for mixup and final, lambda >= .1
    prdc: Mapping[str, tuple[float | None, ...]] = field(default_factory=dict)
    sensitivity: Sensitivity | None = None  # None: not measured
    # Final less copies of the nearer parents, judged rows; over other training images as well.
    against_copies: Change | None = None

    @property
    def against_baseline(self) -> Change | None:
        """Final less mixup (copies, of one parent), over other training images where known."""
        if self.final is None:
            return None
        change = Change.of(self.final)
        return replace(change, interval=self.other_parents or change.interval)

    @property
    def blind(self) -> Sequence[str]:
        """Damage that the features do not see."""
        return () if self.sensitivity is None else self.sensitivity.blind


def norm_quantiles(values: NDArray[Any] | None) -> dict[str, float] | None:
    """Quantiles of ||sigma_N S||^2 / D over some images (n,); None where there are none."""
    if values is None or len(values) == 0:
        return None
    low, median, high = np.percentile(values.astype(np.float64), (5, 50, 95))
    return {"percentile_5": float(low), "median": float(median), "percentile_95": float(high)}


def decide_verdict(comparisons: Comparisons) -> Verdict:
    """The verdict by the 95 % interval of the kernel distance's difference, and its paragraph."""
    kind = _kind(comparisons)
    sentences = [
        _reproduction(comparisons),
        _headline(comparisons, kind),
        _other_parents(comparisons, kind),
        _baselines(comparisons, kind),
        _steps(comparisons, kind),
        _frechet(comparisons),
        _prdc(comparisons),
        _norms(comparisons),
        _features(comparisons),
        _advice(comparisons, kind),
        _of_new_classes(comparisons),
    ]
    return Verdict(kind, " ".join(sentence for sentence in sentences if sentence))


def _of_new_classes(comparisons: Comparisons) -> str:
    if comparisons.method not in NEW_CLASS_METHODS:
        return ""
    apart = (
        ", and the held-out images are of the real ones: they are meant to differ"
        if comparisons.held_out
        else ""
    )
    return (
        f"These are images of new classes{apart}. What new classes are for, a recogniser, this does"
        " not measure."
    )


def _kind(comparisons: Comparisons) -> Kind:
    if comparisons.final is None or min(comparisons.final.n, comparisons.held_out) < MIN_IMAGES:
        return "none"
    wide = comparisons.against_baseline
    assert wide is not None
    # What looks worse to an extractor that misses something is worse; the rest it cannot know.
    if Change.of(comparisons.final).direction == "higher":
        return "worse"
    if comparisons.blind:
        return "none"
    return "better" if wide.direction == "lower" else "no different"


def _reproduction(comparisons: Comparisons) -> str:
    equal, total = comparisons.reproduced
    if equal == total:
        return ""
    return (
        f"WARNING: only {equal:,} of {total:,} images have the pixels that the manifest records:"
        " the images evaluated here are not exactly those in the shards."
    )


def _headline(comparisons: Comparisons, kind: Kind) -> str:
    final = comparisons.final
    if comparisons.method in MIXUP:
        distance = f": {_distance(comparisons)} {format_kernel(final.kd_after)}" if final else ""
        return f"This corpus IS mixup: there is nothing to compare it with{distance}."
    if kind == "none":
        figures = f" Measured nevertheless: {_against_mixup(comparisons, final)}." if final else ""
        why = missing_images(comparisons) or unseen_damage(comparisons)
        return f"No verdict: {why}.{figures}"
    assert final is not None
    baseline = baseline_of(comparisons.method)
    subject = f"{baseline.title}{baseline.which} {_HEADLINES[kind]} {baseline.name}"
    by = "Judged by pixels alone, " if comparisons.features["kind"] == "pixels" else ""
    figures = _against_mixup(comparisons, final)
    return f"{by}{subject}: {figures}."


def _against_mixup(comparisons: Comparisons, final: Comparison) -> str:
    return (
        f"{_distance(comparisons)} {format_kernel(final.kd_after)} against"
        f" {format_kernel(final.kd_before)} ({Change.of(final).figures}, {final.n:,} images)"
    )


def _distance(comparisons: Comparisons) -> str:
    """What is measured, to which images, and in what unit."""
    reference = describe_reference(comparisons.held_out)
    return f"kernel distance {reference} ({comparisons.kd} x 1000)"


def missing_images(comparisons: Comparisons) -> str | None:
    """Why too few images are there to judge; None where there are enough."""
    if not comparisons.held_out:
        return NONE_HELD_OUT
    if comparisons.held_out < MIN_IMAGES:
        return f"{comparisons.held_out} held-out images are too few, {MIN_IMAGES} are needed"
    which = baseline_of(comparisons.method).which
    if comparisons.mixed["n"] < MIN_IMAGES:
        return (
            f"{comparisons.mixed['n']} images{which} are too few, {MIN_IMAGES} are needed"
            " (raise evaluate.rows or generate.ratio)"
        )
    return None


def unseen_damage(comparisons: Comparisons) -> str | None:
    """Why the features cannot praise; None where they see all known damage."""
    if comparisons.sensitivity is None or not comparisons.blind:
        return None
    return (
        f"{comparisons.kd} does not see {join_words(comparisons.blind, 'or')} in"
        f" {comparisons.sensitivity.images:,} real images, so that it could not see such faults in"
        " these; hold more images out, or give a network that does (evaluate.features)"
    )


def _other_parents(comparisons: Comparisons, kind: Kind) -> str:
    if comparisons.other_parents is None or comparisons.method in MIXUP or kind == "none":
        return ""
    low, high = map(format_kernel, comparisons.other_parents)
    text = (
        "That interval covers the choice of rows and of held-out images; with other training"
        f" images of the same kind it is {low} to {high}."
    )
    assert comparisons.final is not None
    if kind == "no different" and Change.of(comparisons.final).direction == "lower":
        text += " This wider one holds 0, so that the gain may be one of these training images."
    return text


def _baselines(comparisons: Comparisons, kind: Kind) -> str:
    """Distances of real images: repeated as the mixtures' parents are, and as a fresh sample."""
    if comparisons.training_distances is None or kind == "none":
        return ""
    copies = comparisons.mixed.get("copies", {}).get(comparisons.kd)
    fresh = comparisons.training_distances[comparisons.kd]
    sentences = []
    if copies is not None and comparisons.method not in ONE_PARENT:
        sentences.append(
            f"Baseline: exact copies of each image's nearer parent are at {format_kernel(copies)}."
        )
    if fresh is not None:
        sentences.append(
            f"Fresh real images would be at about {format_kernel(fresh)}, where the training"
            " images are as a sample."
        )
    return " ".join(sentences)


def _steps(comparisons: Comparisons, kind: Kind) -> str:
    minimised, denoised = comparisons.minimised, comparisons.denoised
    if minimised is None or comparisons.method != "scoremix" or kind == "none":
        return ""
    sentences = [describe_change("The minimisation", Change.of(minimised))]
    if denoised is not None and denoised.kd_before != denoised.kd_after:
        sentences.append(describe_change("The denoising after it", Change.of(denoised)))
    return " ".join(sentences)


def _frechet(comparisons: Comparisons) -> str:
    final = comparisons.final
    if final is None or comparisons.method in MIXUP:
        return ""
    before, after = format_number(final.fd_before), format_number(final.fd_after)
    text = f"Frechet distance ({comparisons.fd}) {after} against {before}"
    if final.fd_interval is not None:
        low, high = final.fd_interval
        interval = f"{format_number(low)} to {format_number(high)}"
        text += f" (95 % interval of the difference {interval})"
        kd_low, kd_high = final.kd_interval
        if low * kd_low < 0 and low * high > 0 and kd_low * kd_high > 0:
            text += ", which contradicts the kernel distance"
    if final.fd_biased:
        least = min(final.n, final.reference_n)
        text += f", mostly bias with {least:,} images in {final.dimensions:,} dimensions"
    return text + "."


def _prdc(comparisons: Comparisons) -> str:
    """Fidelity and diversity, which one distance cannot separate."""
    if comparisons.method in MIXUP:
        return ""
    values = [
        f"{name} {before:.2f} to {after:.2f}"
        for name, (before, after) in comparisons.prdc.items()
        if before is not None and after is not None
    ]
    baseline = baseline_of(comparisons.method).name
    return f"From {baseline} to these images: {', '.join(values)}." if values else ""


def _norms(comparisons: Comparisons) -> str:
    """Median score norms; a norm far below real images' is over-smoothed, not better."""
    medians = {name: norm["median"] for name, norm in comparisons.norms.items() if norm}
    if "mixup" not in medians or comparisons.method in MIXUP:
        return ""
    steps = {"minimised": "the minimisation", "final": "the denoising"}
    if comparisons.method != "scoremix":  # there is one step
        del medians["minimised"], steps["minimised"]
        steps["final"] = "the method"
    named = {"mixup": baseline_of(comparisons.method).name}
    values = ", ".join(
        f"{named.get(name, name)} {format_number(value)}" for name, value in medians.items()
    )
    text = f"Median score norm ||sigma_N S||^2 per dimension: {values}.".replace(
        "held_out", "held-out"
    )
    low = [name for step, name in steps.items() if medians[step] < medians.get("held_out", 0.0) / 2]
    if low:
        text += (
            f" After {' and after '.join(low)} it is less than half that of real images: a sign"
            " of over-smoothing, not of quality."
        )
    return text


def _features(comparisons: Comparisons) -> str:
    return describe_features(comparisons.features, "evaluate.features")


def _advice(comparisons: Comparisons, kind: Kind) -> str:
    if kind not in ("worse", "no different") or comparisons.norms.get("final") is None:
        return ""  # or no network was used
    if not comparisons.train_more:
        return (
            "The score network was trained until it began to memorise its images; more images, or"
            " more of train.dropout and train.augment, may help."
        )
    return (
        "A weak score network is the usual reason. To train it longer and make the images again:"
        f" {comparisons.train_more}"
    )
