"""Makes a TorchScript feature file of a network that torchvision, timm or a local file offers.

The file takes float32 (B, 3, H, W) in [0, 255] of any size and gives (B, D): what
`evaluate.features` opens. It resizes and normalises by itself.
"""

import importlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .errors import FeaturesError
from .extractors import TorchScript, file_sha256, load_torchscript
from .published import PUBLISHED, PublishedNetwork, published

_jit: Any = torch.jit  # untyped
_ARCHIVE = b"PK\x03\x04"  # both kinds of files of torch are zips


class _Prepared(nn.Module):
    """Resizes (bicubic, antialiased), scales to [0, 1], normalises, and calls the network."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, net: nn.Module, made: PublishedNetwork) -> None:
        super().__init__()
        self.net, self.side = net, made.side
        self.register_buffer("mean", torch.tensor(made.mean).view(1, 3, 1, 1))
        self.register_buffer("deviation", torch.tensor(made.deviation).view(1, 3, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        x = nn.functional.interpolate(
            x, [self.side, self.side], mode="bicubic", align_corners=False, antialias=True
        )
        x = (x.clamp(0.0, 255.0) / 255.0 - self.mean) / self.deviation
        y: Tensor = self.net(x)
        return y


class _Pooled(nn.Module):
    """Convolutional features, averaged over the image."""

    def __init__(self, features: nn.Module) -> None:
        super().__init__()
        self.features = features

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.features(x)
        return y.mean(dim=(2, 3))


def make_features(
    path: Path, source: Path | None, *, publish: Callable[[Path, Path], None] = os.replace
) -> dict[str, Any]:
    """Writes the file at `path`, tries it on two images; its name, dimensions and sha256.

    source: a local file, weights (a state dict, read as tensors alone) or a TorchScript network,
        which is run; None: torchvision or timm fetch their published weights.
    publish: called with the finished file and `path`, to give it that name.

    Raises:
        FeaturesError: no such network, a package that is missing, weights that are other ones, or
            a network that does not give one vector per image.
    """
    made = published(path.name)
    unfinished = path.with_name(f".{path.name}.part")
    try:
        if source is not None and _is_torchscript(source):
            _check_known(path, source, made)
            shutil.copyfile(source, unfinished)
        elif made is None:
            raise FeaturesError(
                f"--make {path}: no network is known by that name. Known are"
                f" {', '.join(f'{name}.pt' for name in PUBLISHED)}; any TorchScript file can be"
                " checked and copied with --from FILE."
            )
        elif not made.package:
            raise FeaturesError(_fetch_it(path, made))
        else:
            net = _Prepared(_network(made, source), made).eval().requires_grad_(False)
            net.net = _jit.trace(net.net, torch.zeros(2, 3, made.side, made.side))
            _jit.save(_jit.script(net), str(unfinished))
        known = made is not None and not made.package
        dimensions = made.dimensions if known and made else _dimensions(unfinished)
        digest = file_sha256(unfinished)
        publish(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
    return {"name": TorchScript.name_of(path), "dimensions": dimensions, "sha256": digest}


def _is_torchscript(source: Path) -> bool:
    """Whether a file holds a network, and not weights alone. FeaturesError where there is none."""
    file_sha256(source)  # the error of a file that is not there
    with open(source, "rb") as file:
        if file.read(4) != _ARCHIVE:
            return False
    try:
        load_torchscript(source)
    except FeaturesError:
        return False
    return True


def _check_known(path: Path, source: Path, made: PublishedNetwork | None) -> None:
    """Refuses another file in the place of one that is published as a TorchScript file."""
    if made is None or made.package:
        return
    digest = file_sha256(source)
    if digest != made.sha256:
        raise FeaturesError(
            f"{source} has sha256 {digest}, and {made.weights} has {made.sha256}: it is another"
            f" file, or damaged. Fetch it again from {made.address}, or give it a name of its own"
            " with --make."
        )
    if path.name != made.weights:
        raise FeaturesError(
            f"clean-fid opens its weights by the name {made.weights} alone: --make"
            f" {path.with_name(made.weights)}."
        )


def _fetch_it(path: Path, made: PublishedNetwork) -> str:
    return (
        f"{made.weights} is a published file and cannot be made here. Fetch it from\n"
        f"  {made.address}\n  (sha256 {made.sha256}), then:\n"
        f"  scoremix-pipeline features --make {path.with_name(made.weights)} --from FILE"
    )


def _network(made: PublishedNetwork, source: Path | None) -> nn.Module:
    """The network with its weights, (B, 3, side, side) normalised -> (B, D)."""
    timm = made.package == "timm"
    try:
        package: Any = importlib.import_module("timm" if timm else "torchvision.models")
    except (ImportError, RuntimeError) as error:  # RuntimeError: built for another torch
        raise FeaturesError(
            f"{made.name} needs the package {made.package}, which cannot be imported ({error})."
            f" Install the one that belongs to your torch, as in"
            f" pip install -c constraints.txt {made.package}"
        ) from error
    fetch = source is None
    try:
        if timm:
            net: Any = package.create_model(made.architecture, pretrained=fetch, num_classes=0)
        else:
            net = package.get_model(made.architecture, weights="IMAGENET1K_V1" if fetch else None)
    except (OSError, RuntimeError) as error:  # no connection, a proxy, a full disk
        reason = str(error).strip().partition("\n")[0]
        raise FeaturesError(
            f"{made.package} could not fetch the weights of {made.name} ({reason}). Fetch\n"
            f"  {made.address}\non another machine, and give the file: --from {made.weights}"
        ) from error
    if source is not None:
        _load_weights(net, source, made)
    return net if timm else _Pooled(net.features)


def _load_weights(net: nn.Module, source: Path, made: PublishedNetwork) -> None:
    digest = file_sha256(source)
    if not digest.startswith(made.sha256):
        raise FeaturesError(
            f"{source} has sha256 {digest}, and {made.weights} begins with {made.sha256}: it is"
            f" another file, or damaged. Fetch it again from {made.address}."
        )
    try:
        net.load_state_dict(torch.load(source, map_location="cpu", weights_only=True))
    except Exception as error:  # pickle, zip and torch have many of their own
        reason = str(error).strip().partition("\n")[0]
        raise FeaturesError(
            f"{source} does not hold the weights of {made.architecture} ({reason}). Give"
            f" {made.weights}, from {made.address}."
        ) from error


def _dimensions(path: Path) -> int:
    """D of a finished file; FeaturesError where it does not tell two images apart."""
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    vectors = TorchScript(path)(images)
    if np.array_equal(vectors[0], vectors[1]):
        raise FeaturesError("The network gives the same features for two different images.")
    return int(vectors.shape[1])
