"""figures: numbers as words and as JSON have them."""

import math
from typing import Any

_MOST_DIGITS = 6  # after the point, in words
_DIGITS = 8  # significant ones in metrics.json; more depend on the number of threads


def kernel(value: float) -> str:
    """A kernel distance times 1,000, as is customary."""
    return short(1000.0 * value)


def short(value: float) -> str:
    """About three significant digits, no exponents; what is not 0 keeps its sign and a digit."""
    size = abs(value)
    digits = 0 if size >= 100 else 1 if size >= 10 else 2 if size >= 1 else 3
    if 0 < size < 0.0005:
        digits = min(math.ceil(-math.log10(size)), _MOST_DIGITS)
    text = f"{value:,.{digits}f}"
    return text.replace("-", "") if float(text.replace(",", "")) == 0 else text


def rounded(value: Any) -> Any:
    """For JSON: floats at eight digits, None for what is not a number."""
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(item) for item in value]
    if isinstance(value, float):
        return float(f"{value:.{_DIGITS}g}") if math.isfinite(value) else None
    return value
