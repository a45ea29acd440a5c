"""Builds the networks that a printed training command asks for, on the CPU. A program.

    python build_network.py train.py --outdir=... --data=...

Prints the shape of what the generator makes, or of what the denoiser does, as JSON.
"""

import inspect
import json
import os
import sys
from typing import Any
from unittest.mock import MagicMock


class Configured(Exception):
    """Carries the configuration out of the trainer's own main()."""


def configuration(script: str, words: list[str]) -> Any:
    """What train.py hands to its training loop, its data set among it."""
    import importlib

    import torch

    torch.distributed.init_process_group = MagicMock()
    torch.distributed.broadcast = MagicMock()
    drawn = torch.randint  # edm draws its seed on the GPU
    torch.randint = lambda *given, device=None, **named: drawn(*given, **named)
    torch.multiprocessing.set_start_method = MagicMock()
    torch.cuda.set_device = MagicMock()
    module = importlib.import_module(script.removesuffix(".py"))

    def stop(*arguments: Any, **named: Any) -> None:
        raise Configured(named.get("c", named))

    if hasattr(module, "launch_training"):
        module.launch_training = stop
    elif hasattr(module, "subprocess_fn"):  # StyleGAN2-ada's
        module.subprocess_fn = lambda args, **_: stop(c=args)
    loop = importlib.import_module("training.training_loop")
    loop.training_loop = stop
    command = getattr(module, "main", None) or module.cmdline
    try:
        command(words, standalone_mode=False)
    except Configured as found:
        return found.args[0]
    raise SystemExit("the trainer did not start its training")


def main(script: str, words: list[str]) -> None:
    sys.path.insert(0, os.getcwd())
    found = configuration(script, words)
    import dnnlib
    import torch

    data = dnnlib.util.construct_class_by_name(
        **(found.get("training_set_kwargs") or found["dataset_kwargs"])
    )
    side, channels, classes = data.resolution, data.num_channels, data.label_dim
    label = torch.zeros([1, classes])
    if classes:
        label[:, 0] = 1
    if "G_kwargs" in found:
        common = {"c_dim": classes, "img_resolution": side}
        if "R3GAN" not in str(found["loss_kwargs"]):
            common["img_channels"] = channels
        generator = dnnlib.util.construct_class_by_name(**found["G_kwargs"], **common).eval()
        # StyleGAN2-ada's compute in half precision wherever they are, the later ones on GPUs alone.
        takes = inspect.signature(generator.forward).parameters
        full = {"force_fp32": True} if {"force_fp32", "synthesis_kwargs"} & takes.keys() else {}
        made = generator(torch.randn([1, generator.z_dim]), label, **full)
        if "Projected" not in str(found["D_kwargs"]):  # that one loads weights from the network
            critic = dnnlib.util.construct_class_by_name(**found["D_kwargs"], **common).eval()
            critic(made.float(), label, **full)
    else:
        shapes = {"img_resolution": side, "img_channels": channels, "label_dim": classes}
        network = dnnlib.util.construct_class_by_name(**found["network_kwargs"], **shapes).eval()
        made = network(torch.randn([1, channels, side, side]), torch.ones([1]), label)
    print(json.dumps({"shape": list(made.shape), "classes": classes}))


if __name__ == "__main__":
    del sys.path[0]
    main(sys.argv[1], sys.argv[2:])
