"""Formats metrics: decimal text for sentences and tables, rounded floats for JSON."""

import math
from typing import Any

_MOST_DECIMALS = 6  # after the point, in text
_SIGNIFICANT = 8  # digits in metrics.json; more depend on the number of threads


def format_kernel(value: float) -> str:
    """A raw kernel distance, times 1,000 as is customary."""
    return format_number(1000.0 * value)


def format_number(value: float) -> str:
    """About three significant digits, no exponent; a non-zero value keeps its sign and a digit."""
    size = abs(value)
    digits = 0 if size >= 100 else 1 if size >= 10 else 2 if size >= 1 else 3
    if 0 < size < 0.0005:
        digits = min(math.ceil(-math.log10(size)), _MOST_DECIMALS)
    text = f"{value:,.{digits}f}"
    return text.replace("-", "") if float(text.replace(",", "")) == 0 else text


def round_floats(value: Any) -> Any:
    """A copy of plain values for JSON: floats at eight digits, None for what is not finite."""
    if isinstance(value, dict):
        return {key: round_floats(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [round_floats(item) for item in value]
    if isinstance(value, float):
        return float(f"{value:.{_SIGNIFICANT}g}") if math.isfinite(value) else None
    return value
