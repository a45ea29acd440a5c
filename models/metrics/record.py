"""A metric's value with everything that makes it comparable, and its published name."""

import math
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
import PIL
import torch

Metric = Literal["fd", "kd", "cs", "sfd"]

# The published name belongs to one network with one set of weights (extractor["kind"]).
_PUBLISHED: dict[tuple[str, str], str] = {
    ("fd", "inception"): "fid",
    ("kd", "inception"): "kid",
    ("cs", "inception-classes"): "is",
    ("sfd", "inception-maps"): "sifid",
}


def metric_name(metric: Metric, extractor: Mapping[str, Any]) -> str:
    """`fid`, `kid`, `is`, `sifid` over the very network they were published with, whose hash is
    known; `fd_NAME`, `kd_NAME`, `cs_NAME`, `sfd_NAME` over every other.

    extractor: what its `describe` gives.
    """
    published = _PUBLISHED.get((metric, extractor["kind"]))
    if published is not None and extractor.get("weights_are_the_known_ones") is True:
        return published
    return f"{metric}_{extractor['name']}"


def versions() -> dict[str, str]:
    """Versions of the libraries that a metric depends on, beside the weights."""
    return {
        "numpy": np.__version__,
        "pillow": PIL.__version__,
        "python": platform.python_version(),
        "torch": str(torch.__version__),
    }


@dataclass(frozen=True)
class MetricRecord:
    """A metric's value and everything that reproduces it."""

    name: str
    value: float
    n: int  # images
    extractor: Mapping[str, Any]  # its description: network, weights_sha256, resize
    subset: str = "all"  # which images: "lambda >= .1", "class cat", "held out", ...
    reference: str | None = None  # which images they were compared with
    reference_n: int | None = None
    std: float | None = None  # standard deviation; `std_of` says of what
    std_of: str | None = None
    interval_95: tuple[float, float] | None = None
    seed: int | None = None  # None where nothing is drawn
    parameters: Mapping[str, Any] = field(default_factory=dict)  # neighbours, subset size, ...
    notes: tuple[str, ...] = ()  # "mostly bias ...": what a reader must know before quoting it

    def as_json(self) -> dict[str, Any]:
        """Plain values for JSON: what is not a finite number becomes None; nothing else is lost."""
        plain = {name: _plain(value) for name, value in asdict(self).items()}
        return plain | {"versions": versions()}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
