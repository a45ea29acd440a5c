"""The network's trunk through torch.compile: what stands between its convolutions becomes few
kernels. The same method with other last bits, so it is part of what identifies pixels and weights.
"""

import os
import shutil
from importlib import util
from typing import Any, Literal

import torch
from torch import Tensor

from .norm import Affine
from .score_net import ScoreNet

Compile = Literal["off", "on", "graphs"]  # graphs: captured as CUDA graphs, too

BEFOREHAND = "the network is compiled first, for minutes, in which no request to stop is heard"

_COMPILERS = ("c++", "g++", "clang++")  # torch.compile builds C++ for a processor
_C_COMPILERS = ("gcc", "clang", "cc")


def named(value: Any) -> Any:
    """YAML reads on and off as true and false."""
    return {True: "on", False: "off"}.get(value, value) if isinstance(value, bool) else value


def missing_compiler(how: Compile, device_type: str) -> str | None:
    """What this machine lacks for it, in words; None if nothing."""
    if how == "off":
        return None
    if device_type == "cpu":
        if how == "graphs":
            return "a CUDA device: there are no CUDA graphs on a processor"
        return None if any(map(shutil.which, _COMPILERS)) else "a C++ compiler (as g++)"
    if not util.find_spec("triton"):
        return "the package triton"
    found = os.environ.get("CC") or any(map(shutil.which, _C_COMPILERS))
    return None if found else "a C compiler (as gcc), which triton builds its launchers with"


@torch.no_grad()
def _once(net: ScoreNet) -> None:
    """A pass in plain code: fixed weights that are made at first use are no part of a graph."""
    shape = net.architecture
    device = next(net.parameters()).device
    x = torch.zeros(1, shape.channels, shape.resolution, shape.resolution, device=device)
    net.residual(x, torch.ones(1, device=device))


def compile_trunk(net: ScoreNet, how: Compile) -> None:
    """From now on `net` computes in compiled code; built at the first call for each shape, which
    takes a minute or more. Nothing is compiled twice."""
    if how == "off" or "residual_given" in net.__dict__:
        return
    _once(net)
    mode = "reduce-overhead" if how == "graphs" else None
    compiled = torch.compile(net.residual_given, mode=mode, fullgraph=True, dynamic=False)

    def residual_given(x: Tensor, affines: list[Affine]) -> Tensor:
        out: Tensor = compiled(x, affines)
        return out.clone() if how == "graphs" else out  # a graph's output is its next one's too

    net.residual_given = residual_given  # type: ignore[method-assign]
