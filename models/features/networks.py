"""Classifiers and feature maps: networks for metrics that need more than one vector per image.

Classifiers give (N, classes), maps give (N, places, D); both take uint8 (N, H, W, C) images. The
use of Inception here was not tested on its real weights: the layers and the call are those of
published code for that file, and its hash decides about the metrics' names.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .errors import FeaturesError
from .extractors import (
    Images,
    TorchScript,
    Vectors,
    file_sha256,
    load_torchscript,
    run_network,
)
from .published import INCEPTION_SHA256

Maps = NDArray[np.float64]

_FIRST = ("conv", "conv_1", "conv_2")  # Inception's layers before its first pooling: 64 channels


class Classifier(Protocol):
    """A network from images to class logits or probabilities."""

    name: str
    probabilities: bool  # else logits

    def describe(self) -> dict[str, Any]:
        """JSON-able facts for the report."""
        ...

    def __call__(self, images: Images) -> Vectors:
        """uint8 (N, H, W, C) -> (N, classes)."""
        ...


class TorchScriptClassifier(TorchScript):
    """A TorchScript file whose output (B, classes) are logits."""

    kind = "classes"
    probabilities = False


class InceptionClasses:
    """The 1008 class outputs of Inception, without bias: those of the published Inception Score.

    weights: inception-2015-12-05.pt. It resizes by itself, as the score's first code did.

    Raises:
        FeaturesError: no such file, or not a TorchScript archive.
    """

    probabilities = True

    def __init__(self, weights: Path, known_sha256: str = INCEPTION_SHA256) -> None:
        self.name = "inception"
        self.weights_sha256 = file_sha256(weights)
        self.verified = self.weights_sha256 == known_sha256
        self._net = load_torchscript(weights)

    def describe(self) -> dict[str, Any]:
        return {
            "kind": "inception-classes",
            "name": self.name,
            "weights_sha256": self.weights_sha256,
            "weights_are_the_known_ones": self.verified,
            "resize": "the network's own bilinear, as first published",
        }

    def __call__(self, images: Images) -> Vectors:
        return run_network(self._classes, images, _unresized, self.name)

    def _classes(self, batch: Tensor) -> Tensor:
        outputs: Tensor = self._net(batch, no_output_bias=True)
        return outputs


class TorchScriptMaps(TorchScript):
    """Feature maps (B, D, H, W) of a TorchScript file: each place is one vector of D values.

    sequence: the name of a Sequential in the file, of which the first `length` layers are used on
        images in [-1, 1]; None: the file's own output on images in [0, 255].

    Raises:
        FeaturesError: no such file or sequence, or not a TorchScript archive.
    """

    kind = "maps"

    def __init__(self, path: Path, sequence: str | None = None, length: int = 1) -> None:
        super().__init__(path)
        self._used = "output" if sequence is None else f"{sequence}[:{length}]"
        if sequence is not None:
            layers = list(getattr(self._net, sequence, torch.nn.Sequential()).children())
            if not 0 < length <= len(layers):
                raise FeaturesError(
                    f"{path} was to give the first {length} layers of `{sequence}`; there are"
                    f" {len(layers)}. Its parts are: "
                    f"{', '.join(name for name, _ in self._net.named_children()) or 'none'}."
                )
            self._net = _Chain(layers[:length], middle=127.5, scale=127.5)

    def describe(self) -> dict[str, Any]:
        return super().describe() | {"layers": self._used, "resize": "none"}

    def __call__(self, images: Images) -> Maps:
        """(N, places, D)."""
        return _flatten_places(run_network(self._net, images, _unresized, self.name, axes=4))


class InceptionMaps:
    """Inception's 64 channels before its first pooling, at the picture's own size: SIFID.

    weights: inception-2015-12-05.pt.

    Raises:
        FeaturesError: no such file, not a TorchScript archive, or not that network.
    """

    def __init__(self, weights: Path, known_sha256: str = INCEPTION_SHA256) -> None:
        self.name = "inception"
        self.weights_sha256 = file_sha256(weights)
        self.verified = self.weights_sha256 == known_sha256
        layers = getattr(load_torchscript(weights), "layers", None)
        if any(not hasattr(layers, name) for name in _FIRST):
            raise FeaturesError(
                f"{weights} has no layers {', '.join(_FIRST)} as the Inception network has: give"
                " inception-2015-12-05.pt, or another network's maps."
            )
        self._net = _Chain([getattr(layers, name) for name in _FIRST], middle=128.0, scale=128.0)

    def describe(self) -> dict[str, Any]:
        return {
            "kind": "inception-maps",
            "name": self.name,
            "weights_sha256": self.weights_sha256,
            "weights_are_the_known_ones": self.verified,
            "layers": "before the first pooling",
            "resize": "none",
        }

    def __call__(self, images: Images) -> Maps:
        """(N, places, 64)."""
        return _flatten_places(run_network(self._net, images, _unresized, self.name, axes=4))


class _Chain:
    """Layers one after the other on (x - middle) / scale."""

    def __init__(
        self, layers: list[Callable[[Tensor], Tensor]], middle: float, scale: float
    ) -> None:
        self._layers, self._middle, self._scale = layers, middle, scale

    def __call__(self, batch: Tensor) -> Tensor:
        h = (batch - self._middle) / self._scale
        for layer in self._layers:
            h = layer(h)
        return h


def _unresized(batch: NDArray[np.float32]) -> NDArray[np.float32]:
    return batch


def _flatten_places(maps: Maps) -> Maps:
    """(N, D, H, W) -> (N, H W, D)."""
    return maps.reshape(*maps.shape[:2], -1).transpose(0, 2, 1)
