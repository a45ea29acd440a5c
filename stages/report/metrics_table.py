"""The records of an evaluation as a table: a row for each measure, a column for each set."""

from collections.abc import Iterable
from typing import Any

_WORDS = {
    "kd": "kernel distance of all; ±: the spread of single small subsets",
    "fd": "Fréchet distance",
    "kid": "kernel Inception distance of all; ±: the spread of single small subsets",
    "fid": "Fréchet Inception distance",
    "precision": "precision: share that lies where real images lie",
    "recall": "recall: share of real images that they reach",
    "density": "density: real images around each, 1 as real ones",
    "coverage": "coverage: share of real images with one nearby",
    "mpd": "mean distance of two of them; ±: its standard error",
    "copies": "share of copies of training images (95 % interval)",
    "ct": "data-copying test C_T (below 0: nearer to training images)",
}


def table(records: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Columns of whole sets, rows of measures with a cell a set, and the notes that hold."""
    known = [record for record in records if not _is_part(record["subset"])]
    columns = sorted(dict.fromkeys(record["subset"] for record in known), key=_place)
    names = dict.fromkeys(record["name"] for record in known)
    found = {(record["name"], record["subset"]): record for record in known}
    rows = []
    for name in names:
        cells = [_cell(found.get((name, column))) for column in columns]
        rows.append({"name": name, "what": _WORDS.get(name.partition("_")[0], ""), "cells": cells})
    sizes = {record["subset"]: record["n"] for record in known}
    return {
        "columns": [f"{column} ({sizes[column]:,})" for column in columns],
        "rows": rows,
        "notes": _notes(known),
    }


def _is_part(subset: str) -> bool:
    """Bands and classes: in metrics.json, too many for a page."""
    return "class" in subset or ("lambda" in subset and ">=" not in subset)


def _place(subset: str) -> tuple[int, str]:
    order = ("final", "minimised", "mixup", "training", "held-out")
    return next((at for at, word in enumerate(order) if subset.startswith(word)), 9), subset


def _cell(record: dict[str, Any] | None) -> str:
    if record is None or record["value"] is None:
        return ""
    if record["std"] is not None:
        return f"{record['value']:.3g} ± {record['std']:.2g}"
    if record["interval_95"] is not None:
        low, high = record["interval_95"]
        return f"{record['value']:.3g} ({low:.2g} to {high:.2g})"
    return f"{record['value']:.3g}"


def _notes(records: list[dict[str, Any]]) -> list[str]:
    """Each note once, after the measures that it holds for."""
    holds: dict[str, dict[str, None]] = {}
    for record in records:
        for note in record["notes"]:
            holds.setdefault(note, {})[record["name"].partition("_")[0]] = None
    return [f"{', '.join(names)}: {note}" for note, names in holds.items()]
