"""The verdict and its measurements as metrics.json has them."""

from dataclasses import asdict
from typing import Any

import numpy as np
import PIL
import torch

from ...models.metrics.distances import FRECHET_RESAMPLES, Comparison
from .number_format import round_floats
from .verdict import Comparisons, Verdict


def as_metrics(comparisons: Comparisons, verdict: Verdict) -> dict[str, Any]:
    """The verdict's part of metrics.json; kernel distances are raw, in the text times 1,000."""
    equal, rows = comparisons.reproduced
    mixed = dict(comparisons.mixed)
    for name, comparison in (
        ("minimised_minus_mixup", comparisons.minimised),
        ("final_minus_minimised", comparisons.denoised),
        ("final_minus_mixup", comparisons.final),
    ):
        if comparison is not None:
            mixed[name] = _difference(comparisons, comparison)
    if comparisons.other_parents is not None:
        distance = mixed["final_minus_mixup"][comparisons.kd]
        distance["interval_95_other_training_images"] = comparisons.other_parents
    metrics = {
        "method": comparisons.method,
        "features": comparisons.features,
        "held_out": comparisons.held_out,
        "rows": rows,
        "reproduced": {"rows": rows, "equal": equal, "share": equal / rows},
        "bands": comparisons.bands,
        "lambda_from_0.1": mixed,
        "real_floor": comparisons.training_distances,
        "final_minus_copies": comparisons.against_copies
        and {
            "difference": comparisons.against_copies.difference,
            "interval_95_other_training_images": comparisons.against_copies.interval,
        },
        "norms_lambda_from_0.1": comparisons.norms,
        "sensitivity": comparisons.sensitivity and comparisons.sensitivity.as_json(),
        "verdict": asdict(verdict),
        "versions": {
            "numpy": np.__version__,
            "pillow": PIL.__version__,
            "torch": torch.__version__,
        },
    }
    plain: dict[str, Any] = round_floats(metrics)
    return plain


def _difference(comparisons: Comparisons, pair: Comparison) -> dict[str, Any]:
    """Both distances' differences, after less before: negative is nearer to the real images."""
    return {
        "n": pair.n,
        "resamples": pair.resamples,
        "resamples_fd": min(pair.resamples, FRECHET_RESAMPLES),
        comparisons.kd: {"difference": pair.kd_difference, "interval_95": pair.kd_interval},
        comparisons.fd: {"difference": pair.fd_difference, "interval_95": pair.fd_interval},
    }
