"""EMA: averaged weights, which generation uses."""

import copy
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

Net = TypeVar("Net", bound=nn.Module)


class Ema(Generic[Net]):
    """An exponential moving average of a network's parameters.

    The decay warms up as (1 + t) / (10 + t), so that the first weights fade quickly.
    """

    def __init__(self, net: Net, decay: float) -> None:
        self.decay = decay
        self.net = copy.deepcopy(net).requires_grad_(False).eval()
        self._averaged: list[Tensor] = list(self.net.parameters())

    @torch.no_grad()
    def update(self, net: nn.Module, step: int) -> None:
        """`step` counts from 1: the number of updates of `net` so far."""
        decay = min(self.decay, (1 + step) / (10 + step))
        current = [parameter.detach() for parameter in net.parameters()]
        average = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
        average(self._averaged, current, step)
