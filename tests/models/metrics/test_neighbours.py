"""Nearest neighbours and balls against the double loop, on the sets that rounding gets wrong."""

import tracemalloc

import numpy as np
import pytest
from numpy.typing import NDArray

from scoremix.models.metrics import neighbours
from scoremix.models.metrics.neighbours import inside, nearest

Floats = NDArray[np.float64]


def loop(x: Floats, y: Floats) -> Floats:
    """Squared distances, pair by pair; (n, m).

    D < 8: NumPy adds so few numbers one after the other, here as in `neighbours`, whatever the
    processor, so that equal distances are equal to the last bit. Ties and open balls need that.
    """
    return np.array([[np.square(a - b).sum() for b in y] for a in x])


def sets() -> dict[str, tuple[Floats, Floats]]:
    random = np.random.default_rng(0)
    x, y = random.normal(size=(40, 7)), random.normal(size=(53, 7))
    far = 1e8 + random.normal(scale=1e-6, size=(60, 3))  # the Gram form keeps no digit of these
    grid = random.integers(0, 3, (60, 2)).astype(np.float64)  # mostly ties
    return {
        "random": (x, y),
        "copies": (np.concatenate([y[:9], x]), y),
        "far from the origin": (far[:25], far[25:]),
        "ties": (grid[:25], grid[25:]),
        "all alike": (np.ones((5, 4)), np.ones((6, 4))),
        "one far away": (x, np.concatenate([y, np.full((1, 7), 1e9)])),
    }


@pytest.mark.parametrize("blocks", [(1024, 2048), (7, 4), (1, 1)])
@pytest.mark.parametrize("name", list(sets()))
def test_nearest_is_what_the_double_loop_finds(
    name: str, blocks: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(nearest.__globals__, "_ROWS", blocks[0])
    monkeypatch.setitem(nearest.__globals__, "_COLUMNS", blocks[1])
    monkeypatch.setitem(nearest.__globals__, "_EXACT_VALUES", 50)
    x, y = sets()[name]
    truth = loop(x, y)
    order = np.argsort(truth, axis=1, kind="stable")[:, :3]  # ties: the lower row first
    found = nearest(x, y, 3)
    np.testing.assert_array_equal(found.rows, order)
    np.testing.assert_allclose(found.squared, np.take_along_axis(truth, order, axis=1), rtol=1e-12)


@pytest.mark.parametrize("name", list(sets()))
def test_no_image_is_its_own_neighbour_but_its_copy_is(name: str) -> None:
    y = sets()[name][1]
    truth = loop(y, y)
    np.fill_diagonal(truth, np.inf)
    found = nearest(y, y, 2, leave_own_out=True)
    np.testing.assert_array_equal(found.rows, np.argsort(truth, axis=1, kind="stable")[:, :2])
    np.testing.assert_array_equal(nearest(np.vstack([y, y]), y).distances, 0.0)


@pytest.mark.parametrize("name", list(sets()))
def test_balls_are_open_to_the_last_bit(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Radii that are distances of the very pairs: a rounded distance would count some of them."""
    monkeypatch.setitem(inside.__globals__, "_COLUMNS", 11)
    x, y = sets()[name]
    truth = loop(x, y)
    radii = np.random.default_rng(1).permuted(truth, axis=0)[0]
    found = inside(x, y, radii)
    np.testing.assert_array_equal(found.balls, (truth < radii).sum(axis=1))
    np.testing.assert_array_equal(found.held, (truth < radii).any(axis=0))


def test_single_precision_and_memory_maps_are_read_as_they_are() -> None:
    x, y = (each.astype(np.float32) for each in sets()["random"])
    found = nearest(x, y, 2)
    double = nearest(x.astype(float), y.astype(float), 2)
    np.testing.assert_allclose(found.squared, double.squared, rtol=1e-12)


def test_memory_is_bounded() -> None:
    random = np.random.default_rng(0)
    x, y = (random.normal(size=(n, 64)).astype(np.float32) for n in (3000, 5000))
    tracemalloc.start()
    nearest(x, y, 5)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    whole = 3000 * 5000 * 8
    assert most < whole
    assert neighbours._ROWS * neighbours._COLUMNS * 8 <= 16 << 20


def test_what_has_no_neighbours_is_refused() -> None:
    y = sets()["random"][1]
    with pytest.raises(ValueError, match="53 neighbours were requested among 52"):
        nearest(y, y, 53, leave_own_out=True)
    with pytest.raises(ValueError, match="neighbours need two sets"):
        nearest(y, y[:, :3])
    with pytest.raises(ValueError, match="neighbours need two sets"):
        inside(y[:0], y, np.zeros(len(y)))
