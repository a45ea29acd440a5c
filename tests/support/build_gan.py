"""Runs a trainer's own training script up to its networks, on the CPU. A program.

    python build_gan.py /path/to/train.py --dataset I32 ...

It may write into the current folder. The script parses its words and builds generator and
discriminator as it always does; then a batch goes through both. Prints {"made", "judged"}, the
shapes of images and scores, as JSON. build_network.py does the same for trainers whose
configuration is a dictionary.
"""

import importlib.machinery
import importlib.util
import json
import os
import runpy
import sys
from types import ModuleType
from typing import Any
from unittest.mock import MagicMock

import torch
from torch import nn

# What the scripts import for data, metrics and logs: nothing that a network is made of.
UNUSED = {"torchvision", "wandb", "skimage", "cv2", "ffmpeg", "tensorboard", "lmdb"}
UNUSED |= {"tensorboardX", "tqdm", "ipdb", "tensorflow"}
BATCH = 2


class Built(Exception):
    """Carries the networks out of the script: by class name, in the order of building."""


class Munch(dict[str, Any]):
    """Of the package munch: a dictionary with its items as attributes."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError as error:
            raise AttributeError(name) from error

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value


class StandIns:
    """Imports of packages that are not installed, and not needed for a network."""

    def find_spec(self, name: str, *_: object) -> importlib.machinery.ModuleSpec | None:
        if name.split(".")[0] not in UNUSED | {"munch", "timm"}:
            return None
        return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        module = MagicMock(name=spec.name)
        if spec.name == "munch":
            module.Munch = Munch
        if spec.name.startswith("timm"):
            module.to_2tuple = lambda one: one if isinstance(one, tuple) else (one, one)
            module.trunc_normal_ = nn.init.trunc_normal_
        return module

    def exec_module(self, module: ModuleType) -> None:
        pass


def stop_at_the_networks() -> None:
    """Makes the script stop once it has moved its generator and discriminator to the device."""
    moved: dict[str, nn.Module] = {}

    def to(self: nn.Module, *_: object, **__: object) -> nn.Module:
        moved.setdefault(type(self).__name__, self)
        if {"Generator", "Discriminator"} <= moved.keys() or "Solver" in moved:
            raise Built(moved)
        return self

    nn.Module.to = to  # type: ignore[method-assign, assignment]
    nn.Module.cuda = to  # type: ignore[method-assign, assignment]


def networks_of(script: str, words: list[str]) -> dict[str, nn.Module]:
    sys.path.insert(0, os.path.dirname(script))
    sys.meta_path.append(StandIns())  # last: what is installed, or beside the script, comes first
    torch.utils.data.DataLoader = MagicMock()  # type: ignore[misc]
    torch.utils.data.dataloader.DataLoader = MagicMock()  # type: ignore[misc]
    import torch.utils.cpp_extension as extensions

    extensions.load = MagicMock()  # kernels need nvcc, and are not run on a CPU
    torch.cuda.set_device = MagicMock()
    sys.modules["lpips"] = MagicMock()  # FastGAN's copy of it, whose weights come from the network
    stop_at_the_networks()
    sys.argv = [script, *words]
    try:
        runpy.run_path(script, run_name="__main__")
    except Built as found:
        networks: dict[str, nn.Module] = found.args[0]
        return networks
    raise SystemExit("the script ended without its networks")


def shapes(networks: dict[str, nn.Module]) -> tuple[list[int], list[int]]:
    """Of a batch of images that the generator makes, and of what the discriminator says of it."""
    if "Solver" in networks:  # StarGAN v2: images of the first domain into the second's style
        built = networks["Solver"].nets.items()
        nets = Munch({name: getattr(net, "module", net) for name, net in built})
        source = torch.randn(BATCH, 3, nets.generator.img_size, nets.generator.img_size)
        domains = torch.ones(BATCH, dtype=torch.int64)
        style = nets.mapping_network(torch.randn(BATCH, 16), domains)
        made = nets.generator(source, style)
        nets.style_encoder(made, domains)
        return list(made.shape), list(nets.discriminator(made, domains).shape)
    generator, discriminator = networks["Generator"], networks["Discriminator"]
    if hasattr(generator, "shared"):  # BigGAN
        labels = torch.arange(BATCH)
        made = generator(torch.randn(BATCH, generator.dim_z), generator.shared(labels))
        return list(made.shape), list(discriminator(made, labels).shape)
    if hasattr(generator, "to_big"):  # FastGAN, with a small image beside
        both = generator(torch.randn(BATCH, 256))
        return list(both[0].shape), list(discriminator(both, "fake").shape)
    latents: Any = torch.randn(BATCH, 512)
    if hasattr(generator, "n_latent") and not hasattr(generator, "layers"):
        latents = [latents]  # rosinality: a list, of which two mix
    made, _ = generator(latents)
    return list(made.shape), list(discriminator(made).shape)


def main(script: str, words: list[str]) -> None:
    torch.manual_seed(0)
    made, judged = shapes(networks_of(script, words))
    print(json.dumps({"made": made, "judged": judged}))


if __name__ == "__main__":
    del sys.path[0]
    main(sys.argv[1], sys.argv[2:])
