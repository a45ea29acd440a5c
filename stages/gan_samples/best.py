"""Which snapshot is nearest to the real images, and which others might as well be."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...models.metrics.distances import interval_95

Floats = NDArray[np.float64]


def choose_best_snapshot(sets: list[tuple[dict[str, Any], Floats]]) -> dict[str, Any] | None:
    """The snapshot of the least kernel distance, as published early stopping takes that of the
    least FID; None for fewer than two sets.

    sets: facts with `name`, and the set's resampled kernel distances (1 + R,). Another snapshot
    cannot be told apart from the best where the 95 % interval of their difference holds 0.
    """
    if len(sets) < 2:
        return None
    at = int(np.argmin([values[0] for _, values in sets]))
    best, own = sets[at]
    alike = []
    for facts, values in sets:
        if facts is best:
            continue
        low, high = interval_95((values - own)[1:])
        if low <= 0.0:
            alike.append(
                {
                    "name": facts["name"],
                    "difference": float(values[0] - own[0]),
                    "interval_95": [low, high],
                }
            )
    return {"name": best["name"], "value": float(own[0]), "alike": alike} | _by_frechet(sets)


def _by_frechet(sets: list[tuple[dict[str, Any], Floats]]) -> dict[str, Any]:
    """The snapshot that the Frechet distance would choose."""
    found = {
        facts["name"]: record["value"]
        for facts, _ in sets
        for record in facts["records"]
        if record["name"].startswith(("fd_", "fid"))
    }
    return {"by_frechet": min(found, key=lambda name: found[name]) if found else None}
