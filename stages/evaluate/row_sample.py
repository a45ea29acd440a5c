"""Chooses the plan rows to evaluate, by folded lambda = min(lambda, 1 - lambda)."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ...manifests.errors import ConfigError
from ...manifests.files.rows import rows_where
from ...manifests.plan.methods import CLASS_METHODS, ONE_PARENT
from ...manifests.plan.random_streams import image_seed, stream

Floats = NDArray[np.float64]

BANDS = (("< .01", 0.0, 0.01), (".01-.1", 0.01, 0.1), (".1-.3", 0.1, 0.3), (".3-.5", 0.3, 0.51))
# Folded lambda from which an image looks like a mixture; the verdict is on these rows.
MIXED_LAMBDA = 0.1
_ALL_JUDGED = ONE_PARENT | CLASS_METHODS


def fold_lambda(rows: pa.Table) -> Floats:
    """min(lambda, 1 - lambda), (n,): the weight of the farther parent, whichever it is.

    .5 for methods of one parent, where lambda is 1, and for images of classes, whose lambda is the
    weight of a class: no image is planned as a near-copy, so all of them are judged.
    """
    values = rows["lambda"].to_numpy()
    folded: Floats = np.minimum(values, 1.0 - values)
    folded[pc.is_in(rows["method"], pa.array(sorted(_ALL_JUDGED))).to_numpy()] = 0.5
    return folded


def is_judged(row: Mapping[str, Any]) -> bool:
    """Whether the verdict counts this plan row: folded lambda >= .1, or a method of which every
    image is judged."""
    return row["method"] in _ALL_JUDGED or min(row["lambda"], 1 - row["lambda"]) >= MIXED_LAMBDA


def choose_rows(plan: pa.Table, count: int, seed: int) -> pa.Table:
    """`count` augmented rows in plan order, seeded; two thirds with lambda >= .1 if there are.

    Raises:
        ConfigError: the plan has no augmented rows.
    """
    augmented = rows_where(plan, kind="augmented")
    total = augmented.num_rows
    if total == 0:
        raise ConfigError("There are no augmented images to evaluate: the plan has real ones only.")
    order = stream(image_seed(seed, "evaluate"), "rows").permutation(total)
    is_mixed = fold_lambda(augmented)[order] >= MIXED_LAMBDA
    mixed, light = order[is_mixed], order[~is_mixed]
    count = min(count, total)
    share = max(round(count * len(mixed) / total), math.ceil(2 * count / 3), count - len(light))
    share = min(share, len(mixed))
    chosen = np.concatenate([mixed[:share], light[: count - share]])
    return augmented.take(np.sort(chosen))


def parent_rows(rows: pa.Table) -> NDArray[np.int64]:
    """Rows of the training images that the evaluated rows could copy, ascending.

    Both parents where folded lambda >= .1, else the nearer one.
    """
    mixed = fold_lambda(rows) >= MIXED_LAMBDA
    both = [rows[name].to_numpy()[mixed] for name in ("row_1", "row_2")]
    unique: NDArray[np.int64] = np.unique(np.concatenate([*both, nearer_parent_rows(rows)]))
    return unique


def nearer_parent_rows(rows: pa.Table) -> NDArray[np.int64]:
    """Row of the parent with the greater weight, for each of n plan rows; (n,)."""
    lambdas, first, second = (rows[name].to_numpy() for name in ("lambda", "row_1", "row_2"))
    nearer: NDArray[np.int64] = np.where(lambdas >= 0.5, first, second).astype(np.int64)
    return nearer
