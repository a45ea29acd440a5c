"""Tables of metrics as text cells: printed on a terminal, and shown on the report's page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .number_format import format_kernel, format_number
from .sentences import Change


@dataclass(frozen=True)
class Table:
    """Column heads, and rows of as many cells; the first cell of a row names it.

    A cell may have two lines: the second explains the first.
    """

    heads: Sequence[str]
    rows: Sequence[Sequence[str]]

    def as_text(self) -> str:
        """Aligned columns for a terminal: names to the left, figures to the right."""
        lines = [self.heads, *self.rows]
        widths = [max(len(line[column]) for line in lines) for column in range(len(self.heads))]
        aligned = (
            [
                cell.rjust(width) if column else cell.ljust(width)
                for column, (cell, width) in enumerate(zip(line, widths, strict=True))
            ]
            for line in lines
        )
        return "\n".join("  ".join(cells).rstrip() for cells in aligned)


def number_cell(value: float | None) -> str:
    """Three significant digits; empty for a value that could not be computed."""
    return "" if value is None else format_number(value)


def spread_cell(value: float, spread: float) -> str:
    """A value and its standard deviation or standard error."""
    return f"{format_number(value)} ± {format_number(spread)}"


def record_cell(record: Mapping[str, Any] | None, factor: float = 1) -> str:
    """A record of metrics.json, times `factor`, with its spread or interval where it has one."""
    if record is None or record["value"] is None:
        return ""
    value = factor * record["value"]
    if record["std"] is not None:
        return spread_cell(value, factor * record["std"])
    if record["interval_95"] is not None:
        low, high = (format_number(factor * end) for end in record["interval_95"])
        return f"{format_number(value)} ({low} to {high})"
    return format_number(value)


def frechet_cell(value: float | None, *, biased: bool) -> str:
    """A Frechet distance; a star marks one that is mostly bias."""
    return number_cell(value) + (" *" if biased and value is not None else "")


def change_cell(change: Change | None) -> str:
    """A difference of kernel distances times 1,000, its interval, and a star if it leaves 0 out."""
    if change is None:
        return ""
    low, high = map(format_kernel, change.interval)
    star = " *" if change.is_significant else ""
    return f"{format_kernel(change.difference)} ({low} to {high}){star}"
