"""What quality a preset reached where it was measured, for a dry run: a hint, not a promise.

Kernel distances x 1000 to held-out images, of mixtures with lambda uniform in [.1, .9], from the
files in benchmarks/results that are named (tests/test_method_table.py compares them).
"""

import math
from dataclasses import dataclass

from ...models.network.architecture import Network


@dataclass(frozen=True)
class Measured:
    """One training of `tiny` with its U-Net, and what `bridge` made with it."""

    side: int  # in pixels
    images: int  # training images
    subject: str
    by: str  # the features
    mixup: float
    copies: float  # exact copies of the nearer parent
    bridge: float
    results: str  # file in benchmarks/results


MEASURED = (
    Measured(8, 300, "digits", "pixels", 22.1, 14.4, 17.6, "methods-digits"),
    Measured(32, 500, "photographs of cats", "MobileNetV2", 156, 60.1, 46.7, "methods-afhq-32"),
    Measured(64, 500, "photographs of cats", "MobileNetV2", 179, -1.82, 201, "methods-afhq-64"),
)


def expected_quality(preset: str, network: Network | None, side: int, images: int) -> str:
    """A sentence on the measured training that is most like this one.

    side: of the images, in pixels. images: training images.
    """
    ends = "the report measures yours"
    if preset != "tiny" or network != "unet":
        return f"not measured for preset {preset}; {ends}"

    def unlikeness(row: Measured) -> tuple[float, float]:
        return abs(math.log(row.side / side)), abs(math.log(row.images / images))

    row = min(MEASURED, key=unlikeness)
    distances = f"of bridge {row.bridge:.3g}, of mixup {row.mixup:.3g}"
    text = (
        f"measured on {row.images:,} {row.subject} at {row.side} px, by {row.by}: kernel distance"
        f" {distances}, of copies of real images {row.copies:.3g}"
    )
    if 2 * images < row.images:
        text += "; expect less of so few images"
    return f"{text}; {ends}"
