"""Reads JSON that may be damaged or hostile."""

import json
from collections.abc import Callable
from typing import Any


def parse_json(
    text: bytes | str, pairs: Callable[[list[tuple[str, Any]]], Any] | None = None
) -> Any:
    """The value that a JSON text holds.

    pairs: makes an object of its keys and values; by default a dict, of equal keys the last.

    Raises ValueError where it is no JSON, or nested too deep to be read.
    """
    try:
        return json.loads(text, object_pairs_hook=pairs)
    except RecursionError:
        raise ValueError("it is nested too deep") from None
