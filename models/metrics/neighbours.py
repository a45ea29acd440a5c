"""Exact nearest neighbours, and points inside balls, in blocks of bounded memory.

The quick form |a|^2 + |b|^2 - 2ab loses digits where images are nearly alike, as copies are. It
only selects candidates here: every pair whose order it cannot prove is computed again as
sum (a - b)^2, in float64. So a copy is at distance 0, d(a, b) = d(b, a) to
the last bit, and ties go to the lower row.

Legend: x (n, D), y (m, D) feature vectors of any float type, memory-mapped or not.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Vectors = NDArray[np.floating]
Rows = NDArray[np.int64]

_ROWS = 1024  # of x at a time: with _COLUMNS, 16 MB of distances, however many images there are
_COLUMNS = 2048  # of y at a time
_EXACT_VALUES = 1 << 22  # float64 values of a - b held at a time: 32 MB


class Neighbours(NamedTuple):
    """The k nearest of y for every x, nearest first."""

    squared: Floats  # (n, k) squared distances
    rows: Rows  # (n, k) their places in y

    @property
    def distances(self) -> Floats:
        """(n, k) Euclidean distances."""
        distances: Floats = np.sqrt(self.squared)
        return distances


class Inside(NamedTuple):
    """Which x lie strictly inside the balls around y."""

    balls: Rows  # (n,) how many balls hold each x
    held: NDArray[np.bool_]  # (m,) whether a ball holds any x


def nearest(x: Vectors, y: Vectors, k: int = 1, *, leave_own_out: bool = False) -> Neighbours:
    """The k nearest of y (m, D) for every x (n, D).

    leave_own_out: x and y are one set, and no row is its own neighbour; equal rows still are.

    Raises:
        ValueError: fewer than k neighbours to be had, or sets that do not fit together.
    """
    _check(x, y)
    if len(y) - leave_own_out < k:
        raise ValueError(f"{k} neighbours were requested among {len(y) - leave_own_out} vectors")
    centre: Floats = np.asarray(np.mean(y, axis=0, dtype=np.float64))
    found = Neighbours(np.full((len(x), k), np.inf), np.full((len(x), k), -1, np.int64))
    for across in _blocks(len(x), _ROWS):
        a = np.asarray(x[across], dtype=np.float64)
        best = Neighbours(found.squared[across], found.rows[across])
        for down in _blocks(len(y), _COLUMNS):
            b = np.asarray(y[down], dtype=np.float64)
            quick, margin = _quick(a, b, centre)
            if leave_own_out:
                own = np.arange(across.start, across.start + len(a)) - down.start
                here = (own >= 0) & (own < len(b))
                quick[here, own[here]] = np.inf
            best = _better(best, quick, margin, a, b, down.start)
        found.squared[across], found.rows[across] = best
    return found


def inside(x: Vectors, y: Vectors, squared_radii: Floats) -> Inside:
    """Which x lie strictly inside the balls around y_j of squared radius `squared_radii[j]`.

    Raises:
        ValueError: sets that do not fit together.
    """
    _check(x, y)
    centre: Floats = np.asarray(np.mean(y, axis=0, dtype=np.float64))
    found = Inside(np.zeros(len(x), np.int64), np.zeros(len(y), np.bool_))
    for across in _blocks(len(x), _ROWS):
        a = np.asarray(x[across], dtype=np.float64)
        for down in _blocks(len(y), _COLUMNS):
            b, limits = np.asarray(y[down], dtype=np.float64), squared_radii[down]
            quick, margin = _quick(a, b, centre)
            quick -= limits
            held = quick < 0.0
            rows, columns = np.nonzero(np.abs(quick) <= margin)  # too close to tell
            held[rows, columns] = _exact(a, b, rows, columns) < limits[columns]
            found.balls[across] += held.sum(axis=1)
            found.held[down] |= held.any(axis=0)
    return found


def _better(
    best: Neighbours, quick: Floats, margin: float, a: Floats, b: Floats, first: int
) -> Neighbours:
    """Merges the k nearest so far with those of a block that begins at row `first` of y."""
    k = best.rows.shape[1]
    limit = best.squared[:, -1] + margin
    if len(b) >= k:
        limit = np.minimum(limit, np.partition(quick, k - 1, axis=1)[:, k - 1] + 2.0 * margin)
    candidates = (quick <= limit[:, None]) & np.isfinite(quick)
    rows, columns = np.nonzero(candidates)
    known = np.repeat(np.arange(len(a)), k)
    owners = np.concatenate([known, rows])
    squared = np.concatenate([best.squared.ravel(), _exact(a, b, rows, columns)])
    places = np.concatenate([best.rows.ravel(), columns + first])
    order = np.lexsort((places, squared, owners))
    starts = np.searchsorted(owners[order], np.arange(len(a)))
    chosen = order[starts[:, None] + np.arange(k)]
    return Neighbours(squared[chosen], places[chosen])


def _quick(a: Floats, b: Floats, centre: Floats) -> tuple[Floats, float]:
    """Squared distances by the Gram form, (rows of a, rows of b), and a bound on their error."""
    a, b = a - centre, b - centre
    squares_a, squares_b = np.sum(a * a, axis=1), np.sum(b * b, axis=1)
    quick = a @ b.T
    quick *= -2.0
    quick += squares_a[:, None]
    quick += squares_b
    # D products and sums, each off by at most one rounding of numbers up to (|a| + |b|)^2.
    reach = float((np.sqrt(squares_a.max()) + np.sqrt(squares_b.max())) ** 2)
    return quick, 2.0 * (a.shape[1] + 8) * float(np.finfo(np.float64).eps) * reach


def _exact(a: Floats, b: Floats, rows: Rows, columns: Rows) -> Floats:
    """sum (a_i - b_j)^2 of the given pairs, a few at a time."""
    squared = np.empty(len(rows))
    for part in _blocks(len(rows), max(1, _EXACT_VALUES // a.shape[1])):
        difference = a[rows[part]] - b[columns[part]]
        difference *= difference
        squared[part] = difference.sum(axis=1)
    return squared


def _blocks(count: int, size: int) -> Iterator[slice]:
    return (slice(start, min(start + size, count)) for start in range(0, count, size))


def _check(x: Vectors, y: Vectors) -> None:
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1] or len(x) == 0 or len(y) == 0:
        raise ValueError(f"neighbours need two sets (n, D) and (m, D), got {x.shape}, {y.shape}")
