"""Distances for the verdict: by band of lambda, step against step, and of the corpus by ratio."""

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ...manifests.files.rows import rows_where
from ...manifests.plan.methods import ONE_PARENT
from ...manifests.plan.random_streams import image_seed
from ...models.metrics.distances import Comparison, compare
from ...models.metrics.dyads import interval_with_parents
from .by_ratio import COPIES, TrainingFeatures, by_ratio
from .feature_cache import Features
from .real_images import RealImages
from .regenerate import STEPS, Trace
from .row_sample import BANDS, MIXED_LAMBDA, Floats, fold_lambda
from .sentences import Change
from .verdict import Comparisons, norm_quantiles


def compare_with_mixup(
    trace: Trace,
    real: RealImages,
    plan: pa.Table,
    reference_norms: NDArray[np.float32] | None,
    *,
    seed: int,
    train_more: str,
) -> Comparisons:
    """Distances per band and step, their paired differences, and score norms.

    reference_norms: ||sigma_N S||^2 / D of held-out images, (m,); None without a score network.
    train_more: the command that would train longer, for the verdict to quote.
    """
    pairs = _step_pairs(trace, real, image_seed(seed, "evaluate"))
    norms = {"held_out": norm_quantiles(reference_norms)}
    if trace.norms is not None:
        mixed = trace.norms[trace.folded >= MIXED_LAMBDA]
        norms |= {step: norm_quantiles(mixed[:, i]) for i, step in enumerate(STEPS)}
    method = "+".join(sorted(set(trace.rows["method"].to_pylist())))
    if method == "mixup" and trace.features["final"] is not trace.features["mixup"]:
        method = "mixup, contrast kept"
    planned = fold_lambda(rows_where(plan, kind="augmented"))
    # Without lambdas there is one band: all images.
    bands = (("all", 0.0, BANDS[-1][2]),) if method in ONE_PARENT else BANDS
    return Comparisons(
        method=method,
        kd=real.kd,
        fd=real.fd,
        features=real.extractor.describe() | {"dimensions": real.reference.vectors.shape[1]},
        held_out=real.held_out,
        reproduced=(trace.reproduced, trace.rows.num_rows),
        bands=[_band(trace, real, planned, *band) for band in bands],
        mixed=_band(
            trace,
            real,
            planned,
            "all" if method in ONE_PARENT else ">= .1",
            MIXED_LAMBDA,
            BANDS[-1][2],
        ),
        minimised=pairs.get("minimised"),
        denoised=pairs.get("denoised"),
        final=pairs.get("final"),
        other_parents=_with_other_parents(trace, real, pairs.get("final")),
        training_distances=real.distances(real.training_sample) if real.held_out else None,
        norms=norms,
        train_more=train_more,
        against_copies=_against_copies(trace, real, image_seed(seed, "evaluate")),
    )


def compare_ratios(plan: pa.Table, trace: Trace, real: RealImages) -> list[dict[str, Any]]:
    """Distances of the whole corpus at each ratio, for `by_ratio` of metrics.json.

    Empty without held-out images.
    """
    if not real.held_out:
        return []
    steps: dict[str, Features] = {step: trace.features[step] for step in ("mixup", "final")}
    steps[COPIES] = real.nearer_parents(trace.rows)
    names = (real.kd, real.fd)
    sample = TrainingFeatures(real.sample_rows, real.training_sample)
    training = TrainingFeatures(real.training_rows, real.training)
    return by_ratio(plan, trace.rows, sample, steps, real.reference, names, training)


def _step_pairs(trace: Trace, real: RealImages, seed: int) -> dict[str, Comparison]:
    """Paired comparisons of the steps on rows with folded lambda >= .1; {} for fewer than two."""
    mixed = trace.folded >= MIXED_LAMBDA
    if mixed.sum() < 2:
        return {}
    steps = {step: features[mixed] for step, features in trace.features.items()}
    pairs = {
        "minimised": ("mixup", "minimised"),
        "denoised": ("minimised", "final"),
        "final": ("mixup", "final"),
    }
    return {
        name: compare(real.reference, steps[before], steps[after], seed)
        for name, (before, after) in pairs.items()
    }


def _against_copies(trace: Trace, real: RealImages, seed: int) -> Change | None:
    """Final less exact copies of the nearer parents, over other training images as well.

    None for fewer than two judged rows, or without held-out images.
    """
    mixed = trace.folded >= MIXED_LAMBDA
    if mixed.sum() < 2 or not real.held_out:
        return None
    final = trace.features["final"][mixed]
    copies = real.nearer_parents(trace.rows.filter(pa.array(mixed)))
    pair = compare(real.reference, copies, final, seed, frechet=False)
    wide = _other_parents(trace, real, copies, final)
    return replace(Change.of(pair), interval=_joined(wide, pair.kd_interval))


def _with_other_parents(
    trace: Trace, real: RealImages, final: Comparison | None
) -> tuple[float, float] | None:
    """95 % interval of final less mixup, over the choice of training images as well.

    None without held-out images.
    """
    if final is None or not real.held_out:
        return None
    mixed = trace.folded >= MIXED_LAMBDA
    before, after = (trace.features[step][mixed] for step in ("mixup", "final"))
    return _joined(_other_parents(trace, real, before, after), final.kd_interval)


def _other_parents(
    trace: Trace, real: RealImages, before: Features, after: Features
) -> tuple[float, float]:
    """The interval of `after` less `before` (n, D), of judged rows, with other training images."""
    mixed = trace.folded >= MIXED_LAMBDA
    parents = np.stack([trace.rows[name].to_numpy()[mixed] for name in ("row_1", "row_2")], axis=1)
    return interval_with_parents(real.reference, before, after, parents)


def _joined(a: tuple[float, float], b: tuple[float, float]) -> tuple[float, float]:
    """The interval that holds both: one of first order may be narrower than a bootstrap's."""
    return min(a[0], b[0]), max(a[1], b[1])


def _band(
    trace: Trace, real: RealImages, planned: Floats, name: str, low: float, high: float
) -> dict[str, Any]:
    """Count, share of the corpus and distances of rows with low <= folded lambda < high.

    planned: folded lambda of all augmented rows of the plan.
    """
    inside = (trace.folded >= low) & (trace.folded < high)
    share = float(np.mean((planned >= low) & (planned < high)))
    steps = {step: real.distances(trace.features[step][inside]) for step in STEPS}
    if real.held_out:
        steps[COPIES] = real.distances(real.nearer_parents(trace.rows.filter(pa.array(inside))))
    return {"lambda": name, "n": int(inside.sum()), "share_of_corpus": share} | steps
