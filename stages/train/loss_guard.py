"""Loss guard: keeps a loss that is not finite from the weights, and sees requests to stop, without
making a GPU wait."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from ...manifests.errors import TrainingDiverged

_MOST_KEYS = 8  # images named in the error


@dataclass(frozen=True)
class _PendingLoss:
    """A step's loss that is still being copied to the host."""

    step: int
    rows: NDArray[np.int64]
    losses: torch.Tensor  # (B,), of this process
    means: torch.Tensor  # (2,), as `record` takes them, on the host once `ready`
    ready: torch.cuda.Event | None

    def values(self) -> tuple[float, bool]:
        """The mean loss, and whether any process was asked to stop."""
        if self.ready is not None:
            self.ready.synchronize()
        loss, stopping = self.means.tolist()
        return loss, stopping > 0


class LossGuard:
    """Reads every step's loss: at once, or deferred, on a GPU, when the next step is queued.

    The GPU itself then skips the update of a bad loss: the fused Adam leaves the weights unchanged
    where its `found_inf` is 1.
    """

    def __init__(
        self, optimiser: torch.optim.Adam, device: torch.device, keys: Sequence[str]
    ) -> None:
        """device: that the training runs on. keys: of the training images by row."""
        self._optimiser, self._deferred, self._keys = optimiser, device.type == "cuda", keys
        self._pending: _PendingLoss | None = None
        self._values: list[float] = []
        self.stop_asked = False  # of any process, at the last step whose loss was read

    def record(
        self, step: int, rows: NDArray[np.int64], losses: torch.Tensor, means: torch.Tensor
    ) -> None:
        """Records the loss of `step`; call before its update.

        losses: (B,) of this process. means: (2,) over all processes, of the loss and of 1 where one
        is asked to stop, so that all of them see it at the same step.

        Raises:
            TrainingDiverged: this loss, or the last one if deferred, is not finite; the weights
                are as they were before it.
        """
        self.check_pending()
        if self._deferred:
            self._optimiser.found_inf = (~means[0].isfinite()).to(torch.float32)  # type: ignore[attr-defined]
        self._pending = _PendingLoss(step, rows, losses, *_copy_to_host(means))
        if not self._deferred:
            self.check_pending()

    def check_pending(self) -> None:
        """Reads the loss that is pending; call it before the weights are read or saved.

        Raises:
            TrainingDiverged: as `record`.
        """
        pending, self._pending = self._pending, None
        if pending is None:
            return
        value, self.stop_asked = pending.values()
        if not np.isfinite(value):
            raise _diverged(pending, value, self._keys)
        self._values.append(value)

    def take_mean(self) -> float:
        """The mean loss of the steps since the last call; empties the list."""
        self.check_pending()
        values, self._values = self._values, []
        return sum(values) / len(values)


def _copy_to_host(means: torch.Tensor) -> tuple[torch.Tensor, torch.cuda.Event | None]:
    if means.device.type != "cuda":
        return means, None
    host = torch.empty_like(means, device="cpu", pin_memory=True).copy_(means, non_blocking=True)
    ready = torch.cuda.Event()  # type: ignore[no-untyped-call]
    ready.record()
    return host, ready


def _diverged(pending: _PendingLoss, value: float, keys: Sequence[str]) -> TrainingDiverged:
    rows = pending.rows[~pending.losses.isfinite().cpu().numpy()].tolist()
    named = [keys[row] for row in rows[:_MOST_KEYS]] or ["images of another process"]
    return TrainingDiverged(
        f"The loss at step {pending.step} is {value}; it came from {', '.join(named)}."
        " The network was not updated with it. Look at those images, or lower train.lr, and run"
        " again."
    )
