"""Chooses the snapshot nearest to the real images, and those not significantly farther."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...models.metrics.distances import interval_95

Floats = NDArray[np.float64]


def choose_best_snapshot(sets: list[tuple[dict[str, Any], Floats]]) -> dict[str, Any] | None:
    """The snapshot of the least kernel distance; None for fewer than two sets.

    Published early stopping takes the snapshot of the least FID in the same way.

    sets: facts with `name`, and the set's resampled kernel distances (1 + R,), those of the whole
        set first. `alike` lists the snapshots for which the 95 % interval of the difference to the
        best holds 0.
    """
    if len(sets) < 2:
        return None
    place = int(np.argmin([distances[0] for _, distances in sets]))
    best, least = sets[place]
    alike = []
    for facts, distances in sets:
        if facts is best:
            continue
        low, high = interval_95((distances - least)[1:])
        if low <= 0.0:
            alike.append(
                {
                    "name": facts["name"],
                    "difference": float(distances[0] - least[0]),
                    "interval_95": [low, high],
                }
            )
    return {
        "name": best["name"],
        "value": float(least[0]),
        "alike": alike,
        "by_frechet": _best_by_frechet(sets),
    }


def _best_by_frechet(sets: list[tuple[dict[str, Any], Floats]]) -> str | None:
    """Name of the snapshot of the least Frechet distance; None where there is no such record."""
    distances = {
        facts["name"]: record["value"]
        for facts, _ in sets
        for record in facts["records"]
        if record["name"].startswith(("fd_", "fid"))
    }
    return min(distances, key=distances.__getitem__) if distances else None
