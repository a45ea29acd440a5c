"""The verdict: are the images better than mixup, no different, or worse; in words and numbers.

It is about the rows with folded lambda = min(lambda, 1 - lambda) >= .1: below, an image is nearly
its parent whatever the method. The kernel distance decides; the Frechet distance is told beside
it, because on few images it is mostly bias.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
import PIL
import torch
from numpy.typing import NDArray

from ...models.metrics.distances import FRECHET_RESAMPLES, Comparison
from .number_format import kernel, rounded, short

Kind = Literal["better", "worse", "no different", "none"]

NEEDED = 50  # images with lambda >= .1, and reference images, below which there is no verdict

_TITLES = {"scoremix": "ScoreMix", "mixup": "mixup", "bridge": "Bridge"}
_HEADLINES = {
    "better": "are BETTER than mixup",
    "worse": "are WORSE than mixup",
    "no different": "are NO DIFFERENT from mixup",
}


@dataclass(frozen=True)
class Verdict:
    kind: Kind
    text: str  # one paragraph


@dataclass(frozen=True)
class Comparisons:
    """What was measured: `judge` says it in words, `as_metrics` in numbers."""

    method: str  # as in the plan
    kd: str  # names of the metrics
    fd: str
    features: Mapping[str, Any]  # the extractor's description
    held_out: int  # held-out images, 0 where distances are to training images
    reproduced: tuple[int, int]  # images whose pixels the manifest promises, of how many
    bands: Sequence[Mapping[str, Any]]  # n, share of the corpus, distances per step
    heavy: Mapping[str, Any]  # the same for all rows with lambda >= .1
    minimised: Comparison | None  # with mixup, lambda >= .1; None with fewer than two images
    denoised: Comparison | None  # final with minimised
    final: Comparison | None
    other_parents: tuple[float, float] | None  # the kernel's interval, training images drawn anew
    floor: Mapping[str, Any] | None  # distances of training images to the held-out ones
    norms: Mapping[str, Mapping[str, float] | None]  # quantiles, held out and per step, >= .1
    train_more: str  # a command that trains longer
    # "precision", "recall", ... -> its values for mixup and final, lambda >= .1
    beside: Mapping[str, tuple[float | None, ...]] = field(default_factory=dict)


def norm_quantiles(values: NDArray[Any] | None) -> dict[str, float] | None:
    """Of ||sigma_N S||^2 / D of some images; None where there are none."""
    if values is None or len(values) == 0:
        return None
    low, median, high = np.percentile(values.astype(np.float64), (5, 50, 95))
    return {"percentile_5": float(low), "median": float(median), "percentile_95": float(high)}


def decide(findings: Comparisons) -> Verdict:
    """The kind by the interval of the kernel distance's difference, and the paragraph."""
    kind = _kind(findings)
    parts = [
        _reproduction(findings),
        _headline(findings, kind),
        _other_parents(findings, kind),
        _floor(findings, kind),
        _steps(findings, kind),
        _frechet(findings),
        _beside(findings),
        _norms(findings),
        _label(findings),
        _advice(findings, kind),
    ]
    return Verdict(kind, " ".join(part for part in parts if part))


def as_metrics(findings: Comparisons, verdict: Verdict) -> dict[str, Any]:
    """metrics.json. Kernel distances are raw here; the text gives them times 1,000."""
    equal, rows = findings.reproduced
    heavy = dict(findings.heavy)
    for name, comparison in (
        ("minimised_minus_mixup", findings.minimised),
        ("final_minus_minimised", findings.denoised),
        ("final_minus_mixup", findings.final),
    ):
        if comparison is not None:
            heavy[name] = _difference(findings, comparison)
    if findings.other_parents is not None:
        distance = heavy["final_minus_mixup"][findings.kd]
        distance["interval_95_other_training_images"] = findings.other_parents
    metrics = {
        "method": findings.method,
        "features": findings.features,
        "held_out": findings.held_out,
        "rows": rows,
        "reproduced": {"rows": rows, "equal": equal, "share": equal / rows},
        "bands": findings.bands,
        "lambda_from_0.1": heavy,
        "real_floor": findings.floor,
        "norms_lambda_from_0.1": findings.norms,
        "verdict": asdict(verdict),
        "versions": {
            "numpy": np.__version__,
            "pillow": PIL.__version__,
            "torch": torch.__version__,
        },
    }
    plain: dict[str, Any] = rounded(metrics)
    return plain


def _difference(findings: Comparisons, found: Comparison) -> dict[str, Any]:
    """Negative is nearer to the real images than mixup."""
    return {
        "n": found.n,
        "resamples": found.resamples,
        "resamples_fd": min(found.resamples, FRECHET_RESAMPLES),
        findings.kd: {"difference": found.kd_difference, "interval_95": found.kd_interval},
        findings.fd: {"difference": found.fd_difference, "interval_95": found.fd_interval},
    }


def _kind(findings: Comparisons) -> Kind:
    if findings.final is None or min(findings.final.n, findings.held_out) < NEEDED:
        return "none"
    low, high = findings.final.kd_interval
    if high < 0:
        return "better"
    return "worse" if low > 0 else "no different"


def _reproduction(findings: Comparisons) -> str:
    equal, total = findings.reproduced
    if equal == total:
        return ""
    return (
        f"WARNING: only {equal:,} of {total:,} images came out with the pixels that the manifest"
        " promises, so what is judged here is not quite what is in the shards."
    )


def _headline(findings: Comparisons, kind: Kind) -> str:
    final = findings.final
    if findings.method == "mixup":
        told = f": kernel distance {_of(findings)} {kernel(final.kd_after)}" if final else ""
        return f"This corpus IS mixup: there is nothing to compare it with{told}."
    if kind == "none":
        told = f" For what it is worth, {_against(findings, final)}." if final else ""
        return f"No verdict: {_missing(findings)}.{told}"
    assert final is not None
    title = _TITLES.get(findings.method, findings.method)
    by = "Judged by pixels alone, " if findings.features["kind"] == "pixels" else ""
    told = _against(findings, final)
    return f"{by}{title} images with lambda >= .1 {_HEADLINES[kind]}: {told}."


def _against(findings: Comparisons, final: Comparison) -> str:
    low, high = final.kd_interval
    return (
        f"kernel distance {_of(findings)} {kernel(final.kd_after)} against"
        f" {kernel(final.kd_before)} (difference {kernel(final.kd_difference)}, 95 % interval"
        f" {kernel(low)} to {kernel(high)}, {final.n:,} images)"
    )


def _of(findings: Comparisons) -> str:
    """What distances are taken to, and in what unit."""
    if findings.held_out:
        images = f"to {findings.held_out:,} held-out images"
    else:
        images = "to the training images"
    return f"{images} ({findings.kd} x 1000)"


def _missing(findings: Comparisons) -> str:
    if not findings.held_out:
        return (
            "no images were held out (ingest.holdout or ingest.reference gives some), and nearness"
            " to the training images rewards copies"
        )
    if findings.held_out < NEEDED:
        return f"{findings.held_out} held-out images are too few, {NEEDED} are needed"
    return (
        f"{findings.heavy['n']} images with lambda >= .1 are too few, {NEEDED} are needed"
        " (raise evaluate.rows or generate.ratio)"
    )


def _other_parents(findings: Comparisons, kind: Kind) -> str:
    if findings.other_parents is None or findings.method == "mixup" or kind == "none":
        return ""
    low, high = findings.other_parents
    return (
        "That interval is over the choice of images from this corpus and of held-out ones; over"
        f" other training images of the same kind, too, it is {kernel(low)} to {kernel(high)}."
    )


def _floor(findings: Comparisons, kind: Kind) -> str:
    """What real images would have, counted as these were made; and as fresh ones."""
    if findings.floor is None or kind == "none":
        return ""
    floor, copies = findings.floor[findings.kd], findings.heavy.get("copies", {}).get(findings.kd)
    parts = []
    if copies is not None:
        parts.append(
            f"Exact copies of the parent that each image is nearer to are at {kernel(copies)}: the"
            " same few real images again and again, which is what to hold these against."
        )
    if floor is not None:
        parts.append(
            "Fresh real images of that kind would be about where the training images are as a"
            f" sample: at {kernel(floor)}."
        )
    return " ".join(parts)


def _steps(findings: Comparisons, kind: Kind) -> str:
    minimised, final = findings.minimised, findings.final
    if minimised is None or final is None or findings.method != "scoremix" or kind == "none":
        return ""
    low, high = minimised.kd_interval
    text = (
        f"The minimisation {_changed(minimised)} it, from {kernel(minimised.kd_before)} to"
        f" {kernel(minimised.kd_after)} (95 % interval of the difference {kernel(low)} to"
        f" {kernel(high)})"
    )
    denoised = findings.denoised
    if denoised is None or denoised.kd_before == denoised.kd_after:
        return f"{text}."
    low, high = denoised.kd_interval
    return (
        f"{text}; the denoising {_changed(denoised)} it from there to {kernel(final.kd_after)}"
        f" ({kernel(low)} to {kernel(high)})."
    )


def _changed(found: Comparison) -> str:
    low, high = found.kd_interval
    return "lowered" if high < 0 else "raised" if low > 0 else "did not clearly change"


def _frechet(findings: Comparisons) -> str:
    final = findings.final
    if final is None or findings.method == "mixup":
        return ""
    text = (
        f"Frechet distance ({findings.fd}) {short(final.fd_after)} against {short(final.fd_before)}"
    )
    if final.fd_interval is not None:
        low, high = final.fd_interval
        text += f" (95 % interval of the difference {short(low)} to {short(high)})"
        kd_low, kd_high = final.kd_interval
        if low * kd_low < 0 and low * high > 0 and kd_low * kd_high > 0:
            text += ", which contradicts the kernel distance"
    if final.fd_biased:
        least = min(final.n, final.reference_n)
        text += f", mostly bias with {least:,} images in {final.dimensions:,} dimensions"
    return text + "."


def _beside(findings: Comparisons) -> str:
    """What one distance does not tell apart: fidelity and variety."""
    if findings.method == "mixup":
        return ""
    told = [
        f"{name} {before:.2f} to {after:.2f}"
        for name, (before, after) in findings.beside.items()
        if before is not None and after is not None
    ]
    if not told:
        return ""
    return f"Beside it, from mixup to these images: {', '.join(told)}."


def _norms(findings: Comparisons) -> str:
    """A norm far below real images' is over-smoothed, not better."""
    medians = {name: found["median"] for name, found in findings.norms.items() if found}
    if "mixup" not in medians or findings.method == "mixup":
        return ""
    steps = {"minimised": "the minimisation", "final": "the denoising"}
    if findings.method != "scoremix":  # there is one step
        del medians["minimised"], steps["minimised"]
        steps["final"] = "the method"
    told = ", ".join(f"{name} {short(value)}" for name, value in medians.items())
    text = f"Median score norm ||sigma_N S||^2 per dimension: {told}.".replace(
        "held_out", "held-out"
    )
    low = [name for step, name in steps.items() if medians[step] < medians.get("held_out", 0.0) / 2]
    if low:
        text += (
            f" After {' and after '.join(low)} it is less than half that of real images: a sign"
            " of over-smoothing, not of quality."
        )
    return text


def _label(findings: Comparisons) -> str:
    label = findings.features.get("label")
    if label is None:
        return ""
    return (
        f"Features: {label}. They see layout, contrast and ghosts; of blur and grain the less the"
        " larger the images are; evaluate.features takes a network (a TorchScript file) instead."
    )


def _advice(findings: Comparisons, kind: Kind) -> str:
    if kind not in ("worse", "no different") or findings.method == "mixup":
        return ""
    return (
        "A weak score network is the usual reason. To train it longer and make the images again:"
        f" {findings.train_more}"
    )
