"""Feature extractors: images to the vectors that metrics compare.

An extractor takes uint8 (N, H, W, C) images, gray or RGB, and gives (N, D). A network behind it
takes float32 (B, 3, H, W) in [0, 255] and gives (B, D) float32; gray is replicated. It works on
the CPU, so that a metric does not depend on the accelerator.

The extractor names its metrics: `fd_NAME` and `kd_NAME`; `fid` and `kid` only for the one
Inception network that those words mean, recognised by its hash.
"""

import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from .errors import FeaturesError
from .published import HOW, INCEPTION_FILE, INCEPTION_SHA256
from .random_net import RandomNet

Images = NDArray[np.uint8]
Vectors = NDArray[np.float64]

_jit: Any = torch.jit  # untyped
_BATCH = 64
_COMPONENTS = 32
_FITTED = 1000  # images that principal components are computed from
_PIXEL_SIDE = 32  # larger images are averaged down to this before principal components


class Extractor(Protocol):
    """A network from images to vectors, with the names of distances between them."""

    name: str
    weights_sha256: str | None
    kd: str  # name of the kernel distance over these features
    fd: str  # name of the Frechet distance

    def describe(self) -> dict[str, Any]:
        """JSON-able facts for the report."""
        ...

    def __call__(self, images: Images) -> Vectors:
        """uint8 (N, H, W, C) -> float64 (N, D), in batches."""
        ...


class TorchScript:
    """A network in a TorchScript file, such as mobilenetv2.pt: named by the file's stem.

    Loading a TorchScript file runs what it holds, so this opens a path that the user gave and
    nothing else; its sha256 is part of the report.

    side: images are resized to it first, in pixels; None: the network takes them as they are.
    known_sha256: another file than this is refused; None: any.

    Raises:
        FeaturesError: no such file, not the one that was promised, or not a TorchScript archive.
    """

    kind = "torchscript"

    def __init__(
        self, path: Path, side: int | None = None, known_sha256: str | None = None
    ) -> None:
        self.name = self.name_of(path)
        self.kd, self.fd = f"kd_{self.name}", f"fd_{self.name}"
        self.weights_sha256: str | None = file_sha256(path)
        if known_sha256 not in (None, self.weights_sha256):
            raise FeaturesError(
                f"{path} was to have sha256 {known_sha256}, but has {self.weights_sha256}: it is"
                " another network, or damaged. Fetch it again, or give its own sha256."
            )
        self._side = side
        self._net = load_torchscript(path)

    @staticmethod
    def name_of(path: Path) -> str:
        """The name of a file's features, in the names of metrics."""
        return re.sub(r"[^A-Za-z0-9_]+", "_", path.stem)

    def describe(self) -> dict[str, Any]:
        resize = "the network's own"
        if self._side is not None:
            resize = f"Pillow bicubic to {self._side} px, not quantised"
        return {
            "kind": self.kind,
            "name": self.name,
            "weights_sha256": self.weights_sha256,
            "resize": resize,
        }

    def __call__(self, images: Images) -> Vectors:
        return run_network(self._net, images, self._resized, self.name)

    def _resized(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        return batch if self._side is None else resize_bicubic(batch, self._side)


class Inception:
    """clean-fid's Inception with its Pillow-bicubic resizing: FID and KID, if the file is the one.

    weights: inception-2015-12-05.pt, or the folder with it. Nothing is downloaded. A file with
    another hash is used, but its distances are then called `fd_inception` and `kd_inception`.

    Raises:
        FeaturesError: no such file, one with another name, or clean-fid is not installed.
    """

    def __init__(self, weights: Path, known_sha256: str = INCEPTION_SHA256) -> None:
        path = weights / INCEPTION_FILE if weights.is_dir() else weights
        if path.name != INCEPTION_FILE:
            raise FeaturesError(
                f"clean-fid opens its weights by the name {INCEPTION_FILE}; found {path.name}."
                " Rename the file if it is that network."
            )
        self.weights_sha256: str | None = file_sha256(path)
        try:  # these two import without torchvision; cleanfid.fid would not
            from cleanfid.inception_torchscript import InceptionV3W
            from cleanfid.resize import build_resizer
        except ImportError as error:
            raise FeaturesError(
                "evaluate.features: inception needs the package clean-fid, which cannot be imported"
                f' ({error}). Install it: pip install "scoremix-pipeline[eval]", or use'
                " evaluate.features: pixels."
            ) from error
        self.name = "inception"
        self.verified = self.weights_sha256 == known_sha256
        self.kd, self.fd = ("kid", "fid") if self.verified else ("kd_inception", "fd_inception")
        self._resize: Callable[[Any], Any] = build_resizer("clean")
        self._net = InceptionV3W(str(path.parent), download=False, resize_inside=False).eval()

    def describe(self) -> dict[str, Any]:
        return {
            "kind": "inception",
            "name": self.name,
            "weights_sha256": self.weights_sha256,
            "weights_are_the_known_ones": self.verified,
            "resize": "clean-fid: Pillow bicubic to 299 px, not quantised",
        }

    def __call__(self, images: Images) -> Vectors:
        return run_network(self._net, images, self._resized, self.name)

    def _resized(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.stack([self._resize(image) for image in batch]).astype(np.float32)


class Pixels:
    """Pixels on the principal components of the reference images: the labelled last resort.

    Values in [0, 1], at most 32 components with signs fixed, from at most 1,000 evenly spaced
    reference images; sides above 32 px are averaged down first. One common factor makes the
    reference's mean squared length D, so that mean, spread and skew weigh alike in the cubic
    kernel whatever the size of the images. Sees layout, contrast and
    ghosts, neither blur nor grain.

    reference: uint8 (M, H, W, C), M >= 2.

    Raises:
        FeaturesError: fewer than two different reference images.
    """

    def __init__(self, reference: Images) -> None:
        self.name = "pixels"
        self.kd, self.fd = "kd_pixels", "fd_pixels"
        self.weights_sha256: str | None = None
        places = np.linspace(0, len(reference) - 1, min(len(reference), _FITTED)).round()
        flat = _flat_pixels(reference[places.astype(np.int64)])
        self._mean = flat.mean(axis=0) if len(flat) else np.zeros(flat.shape[1:])
        _, values, components = np.linalg.svd(flat - self._mean, full_matrices=False)
        kept = int(np.sum(values[:_COMPONENTS] > 1e-9 * max(float(values.max(initial=0)), 1e-9)))
        if len(flat) < 2 or kept == 0:
            raise FeaturesError(
                f"Pixel features need two different reference images; found {len(flat)}. Hold more"
                " out, or give a network: evaluate.features: PATH."
            )
        components = components[:kept]
        largest = np.abs(components).argmax(axis=1)
        self._components = components * np.sign(components[np.arange(kept), largest])[:, None]
        spread = np.sum(values[:kept] ** 2)
        self.variance_kept = float(spread / np.sum(values**2))
        self.scale = float(np.sqrt(kept * len(flat) / spread))

    def describe(self) -> dict[str, Any]:
        return {
            "kind": "pixels",
            "name": self.name,
            "label": "pixels: last resort",
            "weights_sha256": None,
            "resize": f"mean to at most {_PIXEL_SIDE} px",
            "components": len(self._components),
            "variance_kept": self.variance_kept,
            "scale": self.scale,
        }

    def __call__(self, images: Images) -> Vectors:
        parts = [
            (_flat_pixels(images[i : i + _BATCH]) - self._mean) @ self._components.T * self.scale
            for i in range(0, len(images), _BATCH)
        ]
        return np.concatenate(parts) if parts else np.zeros((0, len(self._components)))


def open_extractor(features: str, inception_weights: str | None, reference: Images) -> Extractor:
    """The extractor that `evaluate.features` names.

    features: "auto" (Inception where its weights are given, else random), "random", "pixels",
        "inception", or the path of a TorchScript file.
    reference: uint8 (M, H, W, C), what random and pixel features are fitted to.

    Raises:
        FeaturesError: it cannot be opened; says why and what to do.
    """
    if features == "auto":
        features = "inception" if inception_weights is not None else "random"
    if features == "random":
        return RandomNet(reference)
    if features == "pixels":
        return Pixels(reference)
    if features != "inception":
        return TorchScript(Path(features))
    if inception_weights is None:
        raise FeaturesError(
            "evaluate.features: inception needs evaluate.inception_weights, the path of"
            f" {INCEPTION_FILE}. {HOW}"
        )
    return Inception(Path(inception_weights))


def run_network(
    net: Callable[[torch.Tensor], torch.Tensor],
    images: Images,
    prepare: Callable[[NDArray[np.float32]], NDArray[np.float32]],
    name: str,
    axes: int = 2,
) -> Vectors:
    """Batches through a network: float32 (B, 3, H, W) in [0, 255] -> (B, D), or `axes` axes.

    prepare: float32 (B, H, W, 3) to the same of the size that the network takes.

    Raises:
        FeaturesError: the network does not take them, or gives something else.
    """
    parts: list[Vectors] = []
    for start in range(0, len(images), _BATCH):
        rgb = np.asarray(images[start : start + _BATCH], dtype=np.float32)
        rgb = np.repeat(rgb, 3, axis=3) if rgb.shape[3] == 1 else rgb
        batch = torch.from_numpy(np.ascontiguousarray(prepare(rgb).transpose(0, 3, 1, 2)))
        # Unoptimised, the interpreter gives the first batch and the hundredth the same bits.
        try:
            with torch.inference_mode(), _jit.optimized_execution(False):
                vectors = net(batch)
        except RuntimeError as error:  # also torch.jit.Error; the reason is in its last lines
            raise FeaturesError(
                f"The network {name} does not take images of shape {tuple(batch.shape)}:"
                f" {str(error).strip().splitlines()[-1]}"
            ) from error
        if vectors.ndim != axes or len(vectors) != len(batch) or not vectors.isfinite().all():
            shape = "(B, D)" if axes == 2 else "(B, D, H, W)"
            raise FeaturesError(
                f"The network {name} gave {tuple(vectors.shape)} for {len(batch)} images, or values"
                f" that are not finite; features are finite numbers of shape {shape}."
            )
        parts.append(vectors.to(torch.float64).numpy())
    return np.concatenate(parts) if parts else np.zeros((0, *[1] * (axes - 1)))


def resize_bicubic(batch: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """Pillow's antialiased bicubic, channel by channel in float32; (B, side, side, 3).

    As clean-fid does, and for its reason: what libraries call bicubic mostly aliases.
    """
    found = np.empty((len(batch), side, side, batch.shape[3]), dtype=np.float32)
    for i, image in enumerate(batch):
        for channel in range(batch.shape[3]):
            plane = Image.fromarray(np.ascontiguousarray(image[:, :, channel]))
            plane = plane.resize((side, side), Image.Resampling.BICUBIC)
            found[i, :, :, channel] = np.asarray(plane)
    return found.clip(0.0, 255.0)


def load_torchscript(path: Path) -> Any:
    """The network of a TorchScript file, on the CPU.

    Raises:
        FeaturesError: it is not one.
    """
    try:
        return _jit.load(str(path), map_location="cpu").eval()
    except RuntimeError as error:
        raise FeaturesError(
            f"{path} is not a TorchScript file: {str(error).splitlines()[0]} Give one that"
            " torch.jit.save wrote, or evaluate.features: pixels."
        ) from error


def _flat_pixels(images: Images) -> Vectors:
    """[0, 1] float64 (N, pixels), sides above 32 px averaged down."""
    pixels = torch.from_numpy(np.asarray(images, dtype=np.float32)).permute(0, 3, 1, 2) / 255.0
    height, width = (min(side, _PIXEL_SIDE) for side in pixels.shape[2:])
    if (height, width) != tuple(pixels.shape[2:]):
        pixels = torch.nn.functional.adaptive_avg_pool2d(pixels, (height, width))
    flat: Vectors = pixels.flatten(1).to(torch.float64).numpy()
    return flat


def file_sha256(path: Path) -> str:
    """Raises FeaturesError where there is no such file."""
    if not path.is_file():
        raise FeaturesError(
            f"{path} was to give features, but there is no such file. Give the path of a"
            f" TorchScript file, or evaluate.features: random. {HOW}"
        )
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def copy_extractor(judging: Extractor, known: Images) -> Extractor:
    """The judging features, or pixels where those are random.

    Random features see what compression and grain add to a copy, and no longer know it; the
    principal components of the pixels look through that.

    known: images (n, H, W, C) that the components are computed from.
    """
    return Pixels(known) if judging.name == RandomNet.name else judging
