"""What the curve of the denoising loss says: still falling, levelled off, or memorising."""

from typing import Any

import numpy as np

_RISE = 0.01  # of the lowest held-out loss, above which the network has turned to memorising
_FALL = 0.01  # in the last quarter, above which longer training would still help


def read_curve(lines: list[dict[str, Any]]) -> str:
    """A sentence on the lines of train.jsonl; empty for fewer than three of them.

    The loss is the geometric mean over the bands of sigma, so that every band counts alike. Only a
    loss on held-out images can show memorising.
    """
    if len(lines) < 3:
        return ""
    held_out = all(line["bands"].get("held_out") for line in lines)
    which = "held_out" if held_out else "train"
    losses = np.array([_mean(line["bands"][which]) for line in lines])
    if not np.isfinite(losses).all():
        return ""
    steps = np.array([line["step"] for line in lines])
    best, last = int(losses.argmin()), losses[-1]
    rise = last / losses[best] - 1.0
    if held_out and rise > _RISE:
        return (
            f"Memorising: the held-out loss was lowest at update {steps[best]:,} and has risen by"
            f" {rise:.0%} since, because the network learns the training images themselves. Images"
            " are made with the best weights; more images, or train.dropout, help, longer"
            " training does not."
        )
    before = losses[int(np.flatnonzero(steps <= 0.75 * steps[-1])[-1])] if (
        steps[0] <= 0.75 * steps[-1]
    ) else losses[0]  # fmt: skip
    fall = 1.0 - last / before
    if fall > _FALL:
        return (
            f"Still falling: the {'held-out ' if held_out else ''}loss fell by {fall:.1%} in the"
            " last quarter, so that longer training (train.steps) would make better images."
        )
    text = f"Levelled off: the loss changed by {abs(fall):.1%} in the last quarter."
    if not held_out:
        text += " No image was held out, so that memorising would not show."
    return text


def _mean(bands: dict[str, float | None]) -> float:
    """Geometric mean of the losses; NaN where a band has none."""
    values = np.array([np.nan if value is None else value for value in bands.values()])
    return float(np.exp(np.mean(np.log(np.maximum(values, 1e-12)))))
