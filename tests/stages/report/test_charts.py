"""Every chart, drawn as users get it: well-formed, named, with its curves, and the same again."""

import inspect
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from scoremix.stages.report import charts

pytest.importorskip("matplotlib", reason="the extra `report` is not installed")

STEPS = ("mixup", "final")


def _bands(values: list[float | None]) -> list[dict[str, Any]]:
    return [
        {"lambda": f"{n}", "n": 9, "mixup": {"kd": value}, "final": {"kd": 2.0}}
        for n, value in enumerate(values)
    ]


def _training(steps: int, held_out: bool = True) -> list[dict[str, Any]]:
    bands = {"0-1": 0.5, ">1": 0.1}
    losses = {"train": bands, "held_out": bands if held_out else {}}
    return [{"step": step, "bands": losses} for step in range(1, steps + 1)]


def _ratio(ratio: int, interval: bool) -> dict[str, Any]:
    steps: dict[str, Any] = {step: {"kd": 1.0 + ratio} for step in STEPS}
    ends = {"difference": 1.0, "interval_95_other_training_images": [0.5, 1.5]}
    return {"ratio": ratio, **steps, "less_real_images": {"final": ends} if interval else {}}


def _snapshots(values: list[float | None]) -> dict[str, Any]:
    sets: list[dict[str, Any]] = [
        {
            "name": f"{1000 * n}",
            "kernel": None if value is None else {"value": value, "standard_error": 0.1},
        }
        for n, value in enumerate(values)
    ]
    return {"name": "gan", "kd": "kd_random", "sets": sets, "best": sets[0]}


def _spectrum(share: list[float | None]) -> dict[str, Any]:
    ends = [None if value is None else [value / 2, value * 2] for value in share]
    return {"mixup": {"share": share, "interval_95": ends}}


RUNS = np.array([[3.0, 2.0, 1.0], [4.0, 2.0, 1.5]])
CHARTS: dict[str, Callable[[], str]] = {
    "training_curves": lambda: charts.training_curves(_training(3)),
    "training_curves, one": lambda: charts.training_curves(_training(1, held_out=False)),
    "norm_histograms": lambda: charts.norm_histograms(
        {name: np.geomspace(0.1, 4, 50) for name in ("training", *STEPS)}
    ),
    "norm_histograms, all alike": lambda: charts.norm_histograms({"training": np.full(9, 0.5)}),
    "band_bars": lambda: charts.band_bars(_bands([3.0, 1.0]), STEPS, 0.5, "kd", 1000),
    "band_bars, not measured": lambda: charts.band_bars(_bands([None]), STEPS, None, "kd"),
    "spectrum": lambda: charts.spectrum(_spectrum([1.0, 0.7, 0.2])),
    "spectrum, over decades": lambda: charts.spectrum(_spectrum([20.0, 0.01, None])),
    "ratio_curves": lambda: charts.ratio_curves([_ratio(n, True) for n in (0, 1, 9)], STEPS, "kd"),
    "ratio_curves, one": lambda: charts.ratio_curves([_ratio(0, False)], STEPS, "kd"),
    "snapshot_curve": lambda: charts.snapshot_curve(_snapshots([0.3, 0.2, None])),
    "snapshot_curve, many": lambda: charts.snapshot_curve(_snapshots([0.1] * 30)),
    "band_curves": lambda: charts.band_curves({"real": (np.arange(3.0), RUNS)}, "Title", "images"),
    "band_curves, below 0": lambda: charts.band_curves(
        {f"arm {n}": (np.arange(3.0), RUNS - 2) for n in range(12)}, "Title", "images"
    ),
    "band_curves, fifty arms": lambda: charts.band_curves(
        {f"arm {number}": (np.arange(3.0), RUNS) for number in range(50)}, "Title", "images"
    ),
    "roc_curves": lambda: charts.roc_curves(np.geomspace(1e-4, 1, 3), {"real": RUNS / 4}),
}


@pytest.mark.parametrize("name", CHARTS)
def test_a_chart_is_drawn(name: str) -> None:
    drawn = CHARTS[name]()
    root = ElementTree.fromstring(drawn.replace("xlink:", ""))
    assert root.tag.endswith("svg") and root.get("role") == "img" and root.get("aria-label")
    texts = "".join(root.itertext())
    assert str(root.get("aria-label")) in texts and "nan" not in drawn.lower()
    assert drawn == CHARTS[name](), "equal numbers give equal bytes"


def test_no_curve_is_left_out() -> None:
    drawn = CHARTS["band_curves, fifty arms"]()
    assert all(f">arm {number}<" in drawn for number in range(50))


def test_many_curves_have_a_panel_each_beside_that_of_real_images() -> None:
    places = np.arange(3.0)
    curves = {name: (places, RUNS) for name in ("a", "real", "b", "c", "d")}
    drawn = charts.band_curves(curves, "Title", "images")
    # A title each; the legend of the first panel names its two curves.
    assert [drawn.count(f">{name}<") for name in curves] == [2, 1, 1, 1, 1]
    assert drawn.count("FillBetweenPolyCollection") >= 2 * 4
    few = charts.band_curves(dict(list(curves.items())[:4]), "Title", "images")
    assert [few.count(f">{name}<") for name in "abc"] == [1, 1, 1]


def test_there_is_a_case_of_each() -> None:
    public = {
        name
        for name, found in inspect.getmembers(charts, inspect.isfunction)
        if found.__module__ == charts.__name__ and not name.startswith("_")
    }
    assert public == {name.partition(",")[0] for name in CHARTS}
