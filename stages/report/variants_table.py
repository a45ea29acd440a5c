"""The variants of an evaluation as a table, and the ratios as columns."""

from typing import Any

_COMPARED = ("against_mixup", "against_configured")


def table(found: dict[str, Any] | None) -> dict[str, Any] | None:
    """Rows of `variants` in metrics.json, nearest to the held-out images first."""
    if not found:
        return None
    done = [row for row in found["table"] if "kd" in row]
    failed = [row for row in found["table"] if "kd" not in row]
    return {
        "text": found["text"],
        "images": found["rows"],
        "comparisons": sum(key in row for row in done for key in _COMPARED),
        "rows": [_row(row) for row in sorted(done, key=lambda row: row["kd"])],
        "failed": [(row["name"], row["reason"]) for row in failed],
    }


def _row(row: dict[str, Any]) -> dict[str, Any]:
    forward, gradient = row["evaluations"]
    cells = [
        f"{1000 * row['kd']:.3g}",
        _difference(row.get("against_mixup")),
        _difference(row.get("against_configured")),
        f"{row['fd']:.3g}",
        f"{row['precision']:.2f}",
        f"{row['coverage']:.2f}",
        "" if row["norm"] is None else f"{row['norm']:.3g}",
        f"{forward} + {gradient}",
    ]
    return {"name": row["name"], "cells": cells}


def _difference(found: dict[str, Any] | None) -> str:
    if found is None:
        return ""
    low, high = (1000 * end for end in found["interval_95"])
    mark = " *" if low * high > 0 else ""
    return f"{1000 * found['kd_difference']:+.3g} ({low:+.3g} to {high:+.3g}){mark}"
