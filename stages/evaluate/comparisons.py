"""What is measured for the verdict: distances by band of lambda, step against step, by ratio."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ...manifests.plan.random_streams import image_seed
from ...models.metrics.distances import Comparison, compare
from ...models.metrics.dyads import interval_with_parents
from .by_ratio import COPIES, TrainingFeatures, by_ratio
from .feature_cache import Features
from .real_images import RealImages
from .regenerate import STEPS, Trace
from .row_sample import BANDS, MIXED_LAMBDA, fold_lambda
from .verdict import Comparisons, norm_quantiles


def compare_steps(
    trace: Trace,
    real: RealImages,
    plan: pa.Table,
    reference_norms: NDArray[np.float32] | None,
    *,
    seed: int,
    train_more: str,
) -> Comparisons:
    """All that the verdict is said from but the records beside it."""
    compared = _comparisons(trace, real, image_seed(seed, "evaluate"))
    norms = {"held_out": norm_quantiles(reference_norms)}
    if trace.norms is not None:
        heavy = trace.norms[trace.folded >= MIXED_LAMBDA]
        norms |= {step: norm_quantiles(heavy[:, i]) for i, step in enumerate(STEPS)}
    return Comparisons(
        method="+".join(sorted(set(trace.rows["method"].to_pylist()))),
        kd=real.kd,
        fd=real.fd,
        features=real.extract.describe() | {"dimensions": real.reference.vectors.shape[1]},
        held_out=real.held_out,
        reproduced=(trace.reproduced, trace.rows.num_rows),
        bands=[_band(trace, real, plan, *band) for band in BANDS],
        heavy=_band(trace, real, plan, ">= .1", MIXED_LAMBDA, BANDS[-1][2]),
        minimised=compared.get("minimised"),
        denoised=compared.get("denoised"),
        final=compared.get("final"),
        other_parents=_with_other_parents(trace, real, compared.get("final")),
        floor=real.distances(real.some) if real.held_out else None,
        norms=norms,
        train_more=train_more,
    )


def compare_ratios(plan: pa.Table, trace: Trace, real: RealImages) -> list[dict[str, Any]]:
    """Distances of the whole corpus at each ratio; empty without held-out images."""
    if not real.held_out:
        return []
    steps: dict[str, Features] = {step: trace.features[step] for step in ("mixup", "final")}
    steps[COPIES] = real.copies(trace.rows)
    names = (real.kd, real.fd)
    looked = TrainingFeatures(real.looked, real.training)
    return by_ratio(
        plan, real.some, steps, trace.folded, MIXED_LAMBDA, real.reference, names, looked
    )


def _comparisons(trace: Trace, real: RealImages, seed: int) -> dict[str, Comparison]:
    heavy = trace.folded >= MIXED_LAMBDA
    if heavy.sum() < 2:
        return {}
    steps = {step: features[heavy] for step, features in trace.features.items()}
    pairs = {
        "minimised": ("mixup", "minimised"),
        "denoised": ("minimised", "final"),
        "final": ("mixup", "final"),
    }
    return {
        name: compare(real.reference, steps[before], steps[after], seed)
        for name, (before, after) in pairs.items()
    }


def _with_other_parents(
    trace: Trace, real: RealImages, final: Comparison | None
) -> tuple[float, float] | None:
    """Of final less mixup, over other training images, too; None without held-out images."""
    if final is None or not real.held_out:
        return None
    heavy = trace.folded >= MIXED_LAMBDA
    drawn = np.stack([trace.rows[name].to_numpy()[heavy] for name in ("row_1", "row_2")], axis=1)
    before, after = (trace.features[step][heavy] for step in ("mixup", "final"))
    low, high = interval_with_parents(real.reference, before, after, drawn)
    # Of another kind than the bootstrap's, so on few images it need not hold that one.
    return min(low, final.kd_interval[0]), max(high, final.kd_interval[1])


def _band(
    trace: Trace, real: RealImages, plan: pa.Table, name: str, low: float, high: float
) -> dict[str, Any]:
    """Rows with low <= folded lambda < high: how many, their share of the corpus, distances."""
    every = fold_lambda(plan.filter(pc.equal(plan["kind"], "augmented"))["lambda"])
    inside = (trace.folded >= low) & (trace.folded < high)
    share = float(np.mean((every >= low) & (every < high)))
    steps = {step: real.distances(trace.features[step][inside]) for step in STEPS}
    if real.held_out:
        steps[COPIES] = real.distances(real.copies(trace.rows.filter(pa.array(inside))))
    return {"lambda": name, "n": int(inside.sum()), "share_of_corpus": share} | steps
