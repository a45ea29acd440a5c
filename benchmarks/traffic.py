"""TRAFFIC: bytes that the operations beside the convolutions read and write, per image and step of
Algorithm 1, in eager code; counted on any machine, for the GPU's and the CPU's implementation.

    python benchmarks/traffic.py --out benchmarks/results/traffic

A GPU cannot be faster than these bytes divided by its memory bandwidth. Every operand and result of
an operation counts once, so operations that read twice are underestimated.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
import yardstick
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from scoremix.models.method.ladder import noise_ladder
from scoremix.models.network import blocks, norm
from scoremix.models.network.architecture import Architecture
from scoremix.models.network.checkpoint import build
from scoremix.models.network.refinenet import RefineNet

_PRODUCTS = {"mm", "bmm", "addmm"}
_GROUPS = {"convolution": 8, "convolution_backward": 9}  # which argument: depthwise ones are means
_VIEWS = {"view", "_unsafe_view", "expand", "detach", "permute", "transpose", "t", "slice", "alias"}
_VIEWS |= {"unsqueeze", "squeeze", "split", "split_with_sizes", "as_strided", "empty", "empty_like"}


def counts(operation: Any, args: Any) -> bool:
    name = operation.name().split("::")[1].split(".")[0]
    return name not in _PRODUCTS | _VIEWS and (name not in _GROUPS or args[_GROUPS[name]] > 1)


class Counted(TorchDispatchMode):
    """Sums the sizes of operands and results of every operation except products and views."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = self.operations = 0

    def __torch_dispatch__(
        self, operation: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        result = operation(*args, **kwargs)
        if counts(operation, args):
            given = {**kwargs, "out": None}  # `out` is the result, which is counted already
            for leaf in tree_leaves((args, given, result)):
                if isinstance(leaf, torch.Tensor):
                    self.bytes += leaf.numel() * leaf.element_size()
            self.operations += 1
        return result


def counted(net: RefineNet, side: int) -> dict[str, float]:
    x = torch.rand(1, 3, side, side, requires_grad=True)
    affines = net.conditioning(torch.tensor([0.01]))
    with Counted() as found:
        torch.autograd.grad(net.residual_given(x, affines).square().sum(), x)
    return {"gb": found.bytes / 1e9, "operations": found.operations}


def as_on_gpu(work: Callable[[], Any]) -> Any:
    with patch.object(norm, "keeps_x", lambda x: True):
        with patch.object(blocks, "keeps_x", lambda x: True):
            return work()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=64)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--out", default="benchmarks/results/traffic")
    options = parser.parse_args()
    net = build(Architecture(3, options.side, options.width), noise_ladder(50.0))
    net.requires_grad_(False)
    plain = yardstick.stock(net)
    found: dict[str, Any] = {"side": options.side, "width": options.width}
    lines = [
        f"{options.side} px, g = {options.width}: GB an image and step, in how many operations.",
        "",
        "| trunk | as on a GPU | as on a processor | yardstick |",
        "|---|---|---|---|",
    ]
    for name, dtype in (("float32", None), ("bfloat16", torch.bfloat16)):
        net.trunk_dtype = plain.trunk_dtype = dtype
        counted(net, options.side)  # values that are computed once stay out of the count
        row = {
            "gpu": as_on_gpu(lambda: counted(net, options.side)),
            "processor": counted(net, options.side),
            "yardstick": counted(plain, options.side),
        }
        found[name] = row
        cells = (f"{one['gb']:.2f} ({one['operations']:,})" for one in row.values())
        lines.append(f"| {name} | {' | '.join(cells)} |")
    Path(f"{options.out}.json").write_text(json.dumps(found, indent=1) + "\n")
    Path(f"{options.out}.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
