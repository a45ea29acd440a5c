"""Networks behind the metrics that need more than one vector per image, and one for diagnosis.

Classifiers give (N, classes), maps give (N, places, D); both take uint8 (N, H, W, C) images. What
of Inception is used here was not tried on its real weights: the layers and the call are those that
published code uses with that file, and its hash decides about the names.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..network.score_net import ScoreNet
from .extractors import (
    INCEPTION_SHA256,
    FeaturesError,
    Images,
    TorchScript,
    Vectors,
    file_sha256,
    load_torchscript,
    through,
)

Maps = NDArray[np.float64]

_FIRST = ("conv", "conv_1", "conv_2")  # Inception's layers before its first pooling: 64 channels
_AT_ONCE = 64


class Classifier(Protocol):
    """Images to what a classifier says of them."""

    name: str
    probabilities: bool  # else logits

    def describe(self) -> dict[str, Any]: ...
    def __call__(self, images: Images) -> Vectors: ...


class TorchScriptClassifier(TorchScript):
    """A TorchScript file whose output (B, classes) are logits."""

    kind = "classes"
    probabilities = False


class InceptionClasses:
    """What the Inception Score looks at: the 1008 outputs, without bias, as first published.

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
        return through(self._classes, images, _as_they_are, self.name)

    def _classes(self, batch: Tensor) -> Tensor:
        found: Tensor = self._net(batch, no_output_bias=True)
        return found


class TorchScriptMaps(TorchScript):
    """Feature maps (B, D, H, W) of a TorchScript file, each place one vector of D values.

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
        return _places(through(self._net, images, _as_they_are, self.name, axes=4))


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
        return _places(through(self._net, images, _as_they_are, self.name, axes=4))


class ScoreBottleneck:
    """The score network's deepest stage, averaged over space: a diagnostic, never a verdict.

    It is the network that made the images and that trained on the training images: what it does
    not see it cannot complain of. Numbers of two networks have no common unit.

    net: on any device, weights as loaded; sigma: the noise level it is asked at.
    """

    def __init__(self, net: ScoreNet, sigma: float, weights_sha256: str | None) -> None:
        self.name = "score_bottleneck"
        self.kd, self.fd = f"kd_{self.name}", f"fd_{self.name}"
        self.weights_sha256 = weights_sha256
        self._net, self._sigma = net, sigma

    def describe(self) -> dict[str, Any]:
        return {
            "kind": "score-network",
            "name": self.name,
            "label": "diagnostic: of the network that made the images",
            "weights_sha256": self.weights_sha256,
            "sigma": self._sigma,
            "resize": "none",
        }

    def __call__(self, images: Images) -> Vectors:
        """uint8 (N, R, R, C) of the network's own size and channels -> (N, D)."""
        form = self._net.architecture
        wanted = (form.resolution, form.resolution, form.channels)
        if images.shape[1:] != wanted:
            raise FeaturesError(
                f"The score network takes images of shape {wanted}, got {images.shape[1:]}."
            )
        device = next(self._net.parameters()).device
        sigma = torch.tensor([self._sigma], device=device)
        parts: list[Tensor] = []
        stage = self._net.encoder[-1]
        assert isinstance(stage, torch.nn.ModuleList)

        def keep(module: torch.nn.Module, given: Any, out: Tensor) -> None:
            parts.append(out.to(torch.float64).mean(dim=(2, 3)).to(torch.float32).cpu())

        handle = stage[-1].register_forward_hook(keep)
        try:
            with torch.inference_mode():
                for start in range(0, len(images), _AT_ONCE):
                    batch = np.asarray(images[start : start + _AT_ONCE], dtype=np.float32) / 255.0
                    x = torch.from_numpy(batch.transpose(0, 3, 1, 2).copy()).to(device)
                    self._net.residual(x, sigma)
        finally:
            handle.remove()
        return torch.cat(parts).to(torch.float64).numpy() if parts else np.zeros((0, 1))


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


def _as_they_are(batch: NDArray[np.float32]) -> NDArray[np.float32]:
    return batch


def _places(maps: Maps) -> Maps:
    """(N, D, H, W) -> (N, H W, D)."""
    return maps.reshape(*maps.shape[:2], -1).transpose(0, 2, 1)
