"""torch.compile of the network: the operations between convolutions become few kernels.

Last bits differ from those of plain code, so `compile` is part of the recipe and of the training.
"""

from typing import Any

import torch
from torch import Tensor

from .compilers import Compile
from .score_net import ScoreNet

BEFOREHAND = "the network is compiled first; requests to stop wait for it, for minutes"


@torch.no_grad()
def _warm_up(net: ScoreNet) -> None:
    """One pass in plain code, so that constants made at first use are no part of the graph."""
    shape = net.architecture
    device = next(net.parameters()).device
    x = torch.zeros(1, shape.channels, shape.resolution, shape.resolution, device=device)
    net.residual(x, torch.ones(1, device=device))


def compile_trunk(net: ScoreNet, compile_: Compile) -> None:
    """Makes `net` compute in compiled code, which is built at the first call for each shape.

    That takes a minute or more. A network that is compiled already stays as it is.
    """
    if compile_ == "off" or "residual_given" in net.__dict__:
        return
    _warm_up(net)
    mode = "reduce-overhead" if compile_ == "graphs" else None
    compiled = torch.compile(net.residual_given, mode=mode, fullgraph=True, dynamic=False)

    def residual_given(x: Tensor, condition: Any) -> Tensor:
        out: Tensor = compiled(x, condition)
        return (
            out.clone() if compile_ == "graphs" else out
        )  # the next replay overwrites a graph's output

    net.residual_given = residual_given  # type: ignore[method-assign]
