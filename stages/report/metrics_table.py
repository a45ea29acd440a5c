"""The metric records of an evaluation as a table: a row for each metric, a column for each set."""

from collections.abc import Iterable
from typing import Any

from ..evaluate.tables import Table, record_cell

_DESCRIPTIONS = {
    "kd": ["kernel distance of all; ±: the spread of single small subsets"],
    "fd": ["Fréchet distance"],
    "kid": ["kernel Inception distance of all; ±: the spread of single small subsets"],
    "fid": ["Fréchet Inception distance"],
    "precision": ["precision: share that lies where real images lie"],
    "recall": ["recall: share of real images that they reach"],
    "density": ["density: real images around each, 1 as real ones"],
    "coverage": ["coverage: share of real images with one nearby"],
    "mpd": ["mean distance of two of them; ±: its standard error"],
    "copies": ["share of copies of training images (95 % interval)"],
    "ct": ["data-copying test C_T (below 0: nearer to training images)"],
}


def metrics_table(records: Iterable[dict[str, Any]]) -> tuple[Table, list[str]]:
    """The table of whole sets, and the notes on its metrics."""
    whole = [record for record in records if not _is_part(record["subset"])]
    subsets = sorted(dict.fromkeys(record["subset"] for record in whole), key=_order)
    sizes = {record["subset"]: record["n"] for record in whole}
    by_place = {(record["name"], record["subset"]): record for record in whole}
    rows = []
    for name in dict.fromkeys(record["name"] for record in whole):
        kind = name.partition("_")[0]
        factor = 1000 if kind in ("kd", "kid") else 1
        head = f"{name} × 1000" if factor != 1 else name
        cells = [record_cell(by_place.get((name, subset)), factor) for subset in subsets]
        rows.append(["\n".join([head, *_DESCRIPTIONS.get(kind, [])]), *cells])
    heads = ["metric", *(f"{subset} ({sizes[subset]:,})" for subset in subsets)]
    return Table(heads, rows), _notes(whole)


def _is_part(subset: str) -> bool:
    """Whether these are images of one band or class: metrics.json has them, the page does not."""
    return "class" in subset or ("lambda" in subset and ">=" not in subset)


def _order(subset: str) -> tuple[int, str]:
    """A key that sorts the made images before the real ones."""
    order = ("final", "minimised", "mixup", "training", "held-out")
    return next((at for at, word in enumerate(order) if subset.startswith(word)), 9), subset


def _notes(records: list[dict[str, Any]]) -> list[str]:
    """Each note once, after the metrics that it is about."""
    metrics: dict[str, dict[str, None]] = {}
    for record in records:
        for note in record["notes"]:
            metrics.setdefault(note, {})[record["name"].partition("_")[0]] = None
    return [f"{', '.join(names)}: {note}" for note, names in metrics.items()]
