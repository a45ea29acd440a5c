"""loss_watch: no loss that is not finite reaches the weights, and no GPU waits to be asked."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from ...manifests.errors import TrainingDiverged

_NAMED = 8  # images, at most


@dataclass(frozen=True)
class _PendingLoss:
    """A step's loss on its way to the host."""

    step: int
    rows: NDArray[np.int64]
    each: torch.Tensor  # (B,), of this process
    mean: torch.Tensor  # of all processes, on the host once `ready`
    ready: torch.cuda.Event | None

    def value(self) -> float:
        if self.ready is not None:
            self.ready.synchronize()
        return float(self.mean)


class LossGuard:
    """Reads every step's loss: at once on a processor, on a GPU when the next step is queued.

    There the update itself is what a bad loss stops: the fused Adam leaves the weights alone where
    its `found_inf` is 1, which costs no wait.
    """

    def __init__(self, optimiser: torch.optim.Adam, late: bool) -> None:
        self._optimiser, self._late = optimiser, late
        self._told: _PendingLoss | None = None
        self._values: list[float] = []

    def record(
        self, step: int, rows: NDArray[np.int64], each: torch.Tensor, mean: torch.Tensor
    ) -> None:
        """Before the update of `step`; `mean` of all processes' losses decides.

        Raises:
            TrainingDiverged: this loss, or if read late the one before, is not finite; the weights
                are as they were before it.
        """
        self.check_pending()
        if self._late:
            self._optimiser.found_inf = (~mean.isfinite()).to(torch.float32)  # type: ignore[attr-defined]
        self._told = _PendingLoss(step, rows, each, *_on_its_way(mean))
        if not self._late:
            self.check_pending()

    def check_pending(self) -> None:
        """Reads what has not been read; call it before the weights are looked at or kept.

        Raises:
            TrainingDiverged: as `look`.
        """
        told, self._told = self._told, None
        if told is None:
            return
        value = told.value()
        if not np.isfinite(value):
            raise _diverged(told, value)
        self._values.append(value)

    def take_mean(self) -> float:
        """Of all steps since the last call."""
        self.check_pending()
        values, self._values = self._values, []
        return sum(values) / len(values)


def _on_its_way(mean: torch.Tensor) -> tuple[torch.Tensor, torch.cuda.Event | None]:
    if mean.device.type != "cuda":
        return mean, None
    host = torch.empty_like(mean, device="cpu", pin_memory=True).copy_(mean, non_blocking=True)
    ready = torch.cuda.Event()  # type: ignore[no-untyped-call]
    ready.record()
    return host, ready


def _diverged(told: _PendingLoss, value: float) -> TrainingDiverged:
    keys = [f"{row:06d}" for row in told.rows[~told.each.isfinite().cpu().numpy()]]
    keys = keys or ["images of another process"]
    return TrainingDiverged(
        f"The loss at step {told.step} is {value}; it came from {', '.join(keys[:_NAMED])}. The"
        " network was not updated with it. Look at those images, or lower train.lr, and run again."
    )
