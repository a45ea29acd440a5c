"""The page's section on contrast and power spectrum, as shares of held-out images'."""

from typing import Any

from ..evaluate.baseline import baseline_of
from ..evaluate.number_format import format_number
from ..evaluate.tables import Table
from . import charts


def appearance_section(metrics: dict[str, Any]) -> dict[str, Any] | None:
    """None where it was not measured: by an earlier version, or without held-out images."""
    found = metrics.get("appearance")
    if not found or not found["contrast"]:
        return None
    baseline = baseline_of(metrics["method"])
    names = {"mixup": baseline.name, "final": metrics["method"]}
    steps = [step for step in names if step in found["contrast"][0]]
    rows = [
        [
            _band(row["lambda"], baseline.which),
            f"{row['n']:,}",
            *(_share(row[step]) for step in steps),
        ]
        for row in found["contrast"]
    ]
    heads = ["lambda, folded", "images", *(f"{names[step]} (95 % interval)" for step in steps)]
    spectrum = found["spectrum"]
    drawn = {names[step]: spectrum[step] for step in steps if step in spectrum}
    return {
        "table": Table(heads, rows),
        "held_out": f"{found['held_out']:,}",
        "images": f"{spectrum['n']:,}",
        "chart": charts.spectrum(drawn) if drawn else None,
    }


def _band(name: str, which: str) -> str:
    return ">= .1, judged" if name == "judged" and which else "all" if name == "judged" else name


def _share(entry: dict[str, Any]) -> str:
    if entry["share"] is None:
        return "–"
    low, high = map(format_number, entry["interval_95"])
    return f"{format_number(entry['share'])} ({low} to {high})"
