"""The variants of an evaluation as a table, nearest to the held-out images first."""

from typing import Any

from ..evaluate.number_format import format_kernel, format_number
from ..evaluate.sentences import Change
from ..evaluate.tables import Table, change_cell, number_cell

_COMPARED = ("against_mixup", "against_configured")
_HEADS = (
    "variant",
    "kernel distance × 1000",
    "less that of mixup (95 % interval)",
    "less that of the configured",
    "Fréchet distance",
    "precision",
    "coverage",
    "score norm",
    "network calls: forward + gradient",
)


def variants_section(variants: dict[str, Any] | None) -> dict[str, Any] | None:
    """What the page shows of `variants` in metrics.json; None where none were tried."""
    if not variants:
        return None
    done = [row for row in variants["table"] if "kd" in row]
    failed = [row for row in variants["table"] if "kd" not in row]
    rows = [_row(row) for row in sorted(done, key=lambda row: row["kd"])]
    return {
        "text": variants["text"],
        "images": variants["rows"],
        "comparisons": sum(key in row for row in done for key in _COMPARED),
        "table": Table(_HEADS, rows),
        "failed": [(row["name"], row["reason"]) for row in failed],
    }


def _row(row: dict[str, Any]) -> list[str]:
    forward, gradient = row["evaluations"]
    return [
        row["name"],
        format_kernel(row["kd"]),
        *(change_cell(_change(row.get(key))) for key in _COMPARED),
        format_number(row["fd"]),
        f"{row['precision']:.2f}",
        f"{row['coverage']:.2f}",
        number_cell(row["norm"]),
        f"{forward} + {gradient}",
    ]


def _change(pair: dict[str, Any] | None) -> Change | None:
    return None if pair is None else Change(pair["kd_difference"], pair["interval_95"])
