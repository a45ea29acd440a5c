"""Which plan rows are judged, by bands of folded lambda = min(lambda, 1 - lambda)."""

import math

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ...manifests.errors import ConfigError
from ...manifests.plan.random_streams import image_seed, stream

Floats = NDArray[np.float64]

BANDS = (("< .01", 0.0, 0.01), (".01-.1", 0.01, 0.1), (".1-.3", 0.1, 0.3), (".3-.5", 0.3, 0.51))
MIXED_LAMBDA = (
    0.1  # folded lambda from which an image is a mixture to the eye; the verdict is on these
)


def fold_lambda(lambdas: pa.ChunkedArray) -> Floats:
    """min(lambda, 1 - lambda): both parents' names may be swapped."""
    values = lambdas.to_numpy()
    folded: Floats = np.minimum(values, 1.0 - values)
    return folded


def choose_rows(plan: pa.Table, count: int, seed: int) -> pa.Table:
    """`count` augmented rows in plan order, seeded; two thirds with lambda >= .1 if there are.

    Raises:
        ConfigError: the plan has no augmented rows.
    """
    augmented = plan.filter(pc.equal(plan["kind"], "augmented"))
    total = augmented.num_rows
    if total == 0:
        raise ConfigError("There are no augmented images to evaluate: the plan has real ones only.")
    order = stream(image_seed(seed, "evaluate"), "rows").permutation(total)
    is_heavy = fold_lambda(augmented["lambda"])[order] >= MIXED_LAMBDA
    heavy, light = order[is_heavy], order[~is_heavy]
    count = min(count, total)
    wanted = max(round(count * len(heavy) / total), math.ceil(2 * count / 3), count - len(light))
    wanted = min(wanted, len(heavy))
    chosen = np.concatenate([heavy[:wanted], light[: count - wanted]])
    return augmented.take(np.sort(chosen))


def parents(rows: pa.Table) -> NDArray[np.int64]:
    """Training images that are looked at for the judged rows: what those could copy, and what they
    are compared with as copies."""
    heavy = fold_lambda(rows["lambda"]) >= MIXED_LAMBDA
    found = [rows[name].to_numpy()[heavy] for name in ("row_1", "row_2")]
    unique: NDArray[np.int64] = np.unique(np.concatenate([*found, nearer_parents(rows)]))
    return unique


def nearer_parents(rows: pa.Table) -> NDArray[np.int64]:
    """The parent with the greater share of each row; (n,)."""
    lambdas, first, second = (rows[name].to_numpy() for name in ("lambda", "row_1", "row_2"))
    nearer: NDArray[np.int64] = np.where(lambdas >= 0.5, first, second).astype(np.int64)
    return nearer
