"""Noise: standard normal numbers for a micro-batch, each image from its own random streams.

Numbers are drawn on the CPU, so that they do not depend on the device. For a GPU the next draw is
prepared in threads, in pinned memory: at 64 px and above the GPU would otherwise wait for a tenth
of the time.
"""

from concurrent.futures import Executor, Future

import numpy as np
import torch
from numpy.typing import NDArray

from ...manifests.plan.random_streams import stream

_IMAGES_PER_TASK = 16  # of a drawing thread


class NoiseStreams:
    """Draws (B, C, H, W) float32 noise by purpose, on `device`, channels last.

    seeds: (B,) of the images; shape: (C, H, W). ahead: threads that prepare the next draw of a
    purpose while the last one is in use; None draws at the call. The numbers are the same.
    """

    def __init__(
        self,
        seeds: NDArray[np.int64],
        shape: tuple[int, ...],
        device: torch.device,
        ahead: Executor | None = None,
    ) -> None:
        self._seeds, self._shape, self._device, self._ahead = seeds, shape, device, ahead
        self._streams: dict[str, list[np.random.Generator]] = {}
        self._next: dict[str, _Draw] = {}

    def __call__(self, purpose: str) -> torch.Tensor:
        """The next draw for `purpose`, (B, C, H, W)."""
        if purpose not in self._streams:
            self._streams[purpose] = [stream(int(seed), purpose) for seed in self._seeds]
        if self._ahead is None:
            block = self._block()
            _fill(block, self._streams[purpose])
        else:
            draw = self._next.pop(purpose, None) or self._start(purpose, self._ahead)
            block = draw.done()
            # Not earlier: draws from one stream must not overlap.
            self._next[purpose] = self._start(purpose, self._ahead)
        noise = block.to(self._device, non_blocking=True)
        return noise.contiguous(memory_format=torch.channels_last)

    def _block(self) -> torch.Tensor:
        pinned = self._device.type == "cuda"
        return torch.empty((len(self._seeds), *self._shape), dtype=torch.float32, pin_memory=pinned)

    def _start(self, purpose: str, ahead: Executor) -> "_Draw":
        block, randoms = self._block(), self._streams[purpose]
        parts = [
            slice(start, start + _IMAGES_PER_TASK)
            for start in range(0, len(randoms), _IMAGES_PER_TASK)
        ]
        return _Draw(block, [ahead.submit(_fill, block[part], randoms[part]) for part in parts])


class _Draw:
    """A block that threads are filling."""

    def __init__(self, block: torch.Tensor, parts: list[Future[None]]) -> None:
        self._block, self._parts = block, parts

    def done(self) -> torch.Tensor:
        for part in self._parts:
            part.result()
        return self._block


def _fill(block: torch.Tensor, randoms: list[np.random.Generator]) -> None:
    for image, random in zip(block.numpy(), randoms, strict=True):
        random.standard_normal(out=image, dtype=np.float32)
