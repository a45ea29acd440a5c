"""Contrast and power spectrum of the made images against those of held-out ones, with intervals.

No network is asked: what blurring and averaging take away, and what noise adds, in plain units.
Contrast is the standard deviation of an image's pixels, by band of folded lambda; the spectrum is
the power at each frequency, of the judged rows. Both as shares of held-out images' means, so 1 is
as real images are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...manifests.plan.methods import ONE_PARENT
from ...models.metrics.contrast import contrast, radial_power
from ...models.metrics.dyads import TWO_SIDED, dyadic_variance
from .baseline import MIXUP
from .row_sample import BANDS, MIXED_LAMBDA

Images = NDArray[np.uint8]
Floats = NDArray[np.float64]

_CHUNK_VALUES = 1 << 22  # pixel values whose spectra are computed at a time: 64 MB each copy


@dataclass(frozen=True)
class Look:
    """What n images look like."""

    contrast: Floats  # (n,)
    power: Floats  # (n, F)

    @classmethod
    def of(cls, images: Images) -> "Look":
        """Measures uint8 images (n, H, W, C), read in chunks."""
        size = max(1, _CHUNK_VALUES // int(np.prod(images.shape[1:])))
        starts = range(0, len(images), size)
        chunks = (np.asarray(images[start : start + size]) for start in starts)
        return cls.joined([cls(contrast(chunk), radial_power(chunk)) for chunk in chunks])

    @classmethod
    def joined(cls, parts: Sequence["Look"]) -> "Look":
        """All parts, in their order; at least one."""
        return cls(
            np.concatenate([part.contrast for part in parts]),
            np.concatenate([part.power for part in parts]),
        )


@dataclass(frozen=True)
class TracedLooks:
    """How the n evaluated rows look before and after."""

    mixup: Look
    final: Look


def compare_appearance(
    looks: TracedLooks, held_out: Look, folded: Floats, parents: NDArray[np.int64], method: str
) -> dict[str, Any]:
    """`appearance` of metrics.json.

    folded (n,): min(lambda, 1 - lambda) of the rows; parents (n, 2): their training images.
    """
    steps = {"mixup": looks.mixup, "final": looks.final}
    if method in MIXUP:
        del steps["mixup"]
    judged = ("judged", MIXED_LAMBDA, BANDS[-1][2])
    bands = (judged,) if method in ONE_PARENT else (*BANDS, judged)
    inside = {name: (folded >= low) & (folded < high) for name, low, high in bands}
    counts = {name: int(mask.sum()) for name, mask in inside.items()}

    def shares(values: Floats, real: Floats, mask: NDArray[np.bool_]) -> dict[str, list[Any]]:
        found = [
            share_of_real(column[mask], own, parents[mask])
            for column, own in zip(values.T, real.T, strict=True)
        ]
        return {"share": [each[0] for each in found], "interval_95": [each[1] for each in found]}

    return {
        "held_out": len(held_out.contrast),
        "contrast": [
            {"lambda": name, "n": counts[name]}
            | {
                step: {
                    key: values[0]
                    for key, values in shares(
                        look.contrast[:, None], held_out.contrast[:, None], mask
                    ).items()
                }
                for step, look in steps.items()
            }
            for name, mask in inside.items()
            if counts[name] >= 2
        ],
        "spectrum": {
            "n": counts["judged"],
            "cycles_per_side": list(range(1, held_out.power.shape[1] + 1)),
            "held_out_power": held_out.power.mean(axis=0).tolist(),
        }
        | (
            {step: shares(look.power, held_out.power, inside["judged"])
             for step, look in steps.items()}
            if counts["judged"] >= 2 else {}
        ),
    }  # fmt: skip


def share_of_real(
    made: Floats, real: Floats, parents: NDArray[np.int64]
) -> tuple[float | None, tuple[float, float] | None]:
    """mean(made) / mean(real) and its 95 % interval over rows, training images and real ones.

    made (n,), real (m,), both not negative; parents (n, 2). A normal interval of the logarithm:
    rows that share a parent are counted together, as dyads. None where a mean is 0.
    """
    if min(made.mean(), real.mean()) <= 0:
        return None, None
    share = float(made.mean() / real.mean())
    of_made = (made / made.mean() - 1.0) / len(made)
    variance = dyadic_variance(of_made, parents)
    variance += float(real.var(ddof=1)) / len(real) / float(real.mean()) ** 2
    half = TWO_SIDED * float(np.sqrt(variance))
    return share, (share * float(np.exp(-half)), share * float(np.exp(half)))
