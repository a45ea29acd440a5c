"""What quality a preset reached where it was measured, for a dry run: a hint, not a promise.

Kernel distances x 1000 to held-out images, of mixtures with lambda uniform in [.1, .9], from the
files in benchmarks/results that are named (tests/test_method_table.py compares them).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ...models.network.architecture import Network


@dataclass(frozen=True)
class Measured:
    """One training of `tiny` with its U-Net, and what `bridge` made with it."""

    side: int  # in pixels
    images: int  # training images
    subject: str
    by: str  # the features
    bridge: float
    mixup: float
    copies: float  # exact copies of the nearer parent
    results: str  # file in benchmarks/results
    with_: str = ""  # options of that training that the preset would have otherwise, now


_NET = "MobileNetV2"
MEASURED = (
    Measured(8, 300, "digits", "random features", 15.5, 100, 14.4, "methods-digits",
        "1,250 updates"),
    Measured(32, 300, "photographs of cats", _NET, 268, 342, 52.4, "methods-afhq-32-300",
        "dropout 0.13, 2,000 updates"),
    Measured(32, 500, "photographs of cats", _NET, 46.7, 156, 60.1, "methods-afhq-32",
        "dropout 0.13, 4,500 updates"),
    Measured(32, 500, "other cats", _NET, 100, 278, 21.2, "methods-afhq-32-second-augment"),
    Measured(32, 900, "photographs of cats", _NET, 90, 232, 36, "methods-afhq-32-900",
        "4,500 updates"),
    Measured(32, 2046, "photographs of clothing", _NET, 86.7, 84.8, 2.58, "methods-clothing10-32",
        "dropout 0.13, augment 0.15"),
    Measured(32, 5000, "images of CIFAR-10", _NET, 75.9, 285, 7.51, "methods-cifar-32",
        "2,500 updates"),
    Measured(64, 500, "photographs of cats", _NET, 201, 179, -1.82, "methods-afhq-64",
        "dropout 0.13, 3,000 updates"),
)  # fmt: skip


def expected_quality(
    preset: str,
    network: Network | None,
    method: str,
    side: int,
    images: int,
    changed: Sequence[str] = (),
) -> str:
    """A sentence on every training at the side most like this one's, most alike first.

    method: of `generate`, with its options where they are not the default's. side: of the images,
    in pixels. images: training images. changed: options of `train` that are not the preset's.
    """
    ends = "the report measures yours"
    if preset != "tiny" or network != "unet":
        return f"not measured for preset {preset} with network {network}; {ends}"
    if changed:
        return f"not measured with another {', '.join(changed)} than the preset's; {ends}"
    if method not in ("auto", "bridge"):
        return (
            f"not quoted for {method}: docs/presets.md has the methods that were compared; {ends}"
        )

    def unlikeness(row: Measured) -> float:
        return abs(math.log(row.images / images))

    nearest = min((row.side for row in MEASURED), key=lambda have: abs(math.log(have / side)))
    rows = sorted((row for row in MEASURED if row.side == nearest), key=unlikeness)
    found = ", ".join(
        f"{row.bridge:.3g} / {row.mixup:.3g} / {row.copies:.3g} ({row.images:,} {row.subject}"
        f"{', with ' + row.with_ if row.with_ else ''})"
        for row in rows
    )
    text = (
        f"measured at {nearest} px by {rows[0].by}, kernel distance x 1000 of bridge / mixup /"
        f" copies of real images: {found}"
    )
    if 2 * images < min(row.images for row in rows):
        text += "; expect less of so few images"
    return f"{text}; {ends}"
