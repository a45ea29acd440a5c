"""Features of a fixed random convolutional network: the default judge, with nothing to download.

Naeem et al. 2020, "Reliable Fidelity and Diversity Metrics for Generative Models", section 3.3: a
network with random weights registers how images differ where no trained network fits them. Theirs
is a VGG16 for 64 px and more; this one is small, and sees every scale of the image alike.

Legend: y (B, C, h, w) an image at one scale, standardised; k1 (16, C, 3, 3), k2 (32, 16, 3, 3);
b1 (16,).
The form was chosen by how clearly it sees damage to real cats, clothes and digits (the figures of
benchmarks/sensitivity.py); the bias was added after a test with negatives.
"""

import hashlib
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from .errors import FeaturesError

Images = NDArray[np.uint8]
Vectors = NDArray[np.float64]

SEED = 0  # of the filters: published, never changed
_FIRST, _SECOND = 16, 32  # filters of the two convolutions
_GRID = 2  # mean and deviation are taken over so many places a side
_LEAST_SIDE = 4  # of the coarsest scale, in pixels
_FLOOR = 0.1  # of a block's spread, added to each feature's own
_COLOUR_FLOOR = 0.2  # of the strongest colour's spread, added to each
_BATCH = 64


class RandomNet:
    """Two random convolutions at every scale: means and deviations of what they answer.

    At each scale (the image, halved while its side is 8 px or more) a1 = |k1 * y + b1|^(1/2) and,
    after halving, a2 = |k2 * a1|^(1/2); of every channel the mean and the standard deviation over
    each quarter of the image. So layout, colour, contrast, sharpness and grain all count, each at
    its scale; the root lets faint detail count beside strong edges, and without b1 an image and its
    negative would be one. Colours are whitened on the reference images, so that a change of hue,
    which JPEG and noise make, is not lost beside one of brightness, and every feature is
    standardised on them. What hardly varies there, such as a corner that is white in every
    photograph, would count without bound: to each variance a share of the others' is added, .04 of
    the largest for colours, .01 of the mean of its block (one scale, layer and statistic) for
    features.

    reference: uint8 (M, H, W, C), C 1 or 3, H, W >= 4; what is standardised on.

    Raises:
        FeaturesError: fewer than two different reference images, or images below 4 px.
    """

    name, kd, fd = "random", "kd_random", "fd_random"
    weights_sha256: str | None = None  # features depend on the reference: they are not cached

    def __init__(self, reference: Images) -> None:
        if min(reference.shape[1:3]) < _LEAST_SIDE:
            raise FeaturesError(
                f"Random features need images of {_LEAST_SIDE} px or more; found"
                f" {reference.shape[2]} x {reference.shape[1]}. Use evaluate.features: pixels."
            )
        alike = FeaturesError(
            f"Random features need two different reference images; found {len(reference)}."
            " Hold more out, or give a network: evaluate.features: PATH."
        )
        if len(reference) < 2:
            raise alike
        channels = reference.shape[3]
        random = np.random.Generator(np.random.Philox(key=SEED))
        self._k1, self._k2 = (
            _filters(random, *shape) for shape in ((_FIRST, channels), (_SECOND, _FIRST))
        )
        self._b1 = torch.from_numpy(random.standard_normal(_FIRST).astype(np.float32))
        self._mean, covariance = _colours(reference)
        self._whitening = _whitening(covariance)
        blocks = self._blocks(reference)
        if not any(block.std(axis=0).max() > 0 for block in blocks):
            raise alike
        self._offset = np.concatenate([block.mean(axis=0) for block in blocks])
        spread = np.concatenate([_spread(block) for block in blocks])
        # One factor: the reference's mean squared length is D, as the cubic kernel expects.
        standard = (np.concatenate(blocks, axis=1) - self._offset) / spread
        self._spread = spread * np.sqrt(np.mean(standard**2))

    def describe(self) -> dict[str, Any]:
        weights = (self._k1, self._k2, self._b1)
        digest = hashlib.sha256(b"".join(part.numpy().tobytes() for part in weights))
        return {
            "kind": "random",
            "name": self.name,
            "label": "a fixed network with random weights",
            "weights_sha256": None,
            "resize": "none: every scale of the image",
            "seed": SEED,
            "network_sha256": digest.hexdigest(),
            "dimensions": len(self._offset),
        }

    def __call__(self, images: Images) -> Vectors:
        if not len(images):
            return np.zeros((0, len(self._offset)))
        vectors: Vectors = np.concatenate(self._blocks(images), axis=1)
        standard: Vectors = (vectors - self._offset) / self._spread
        return standard

    def _blocks(self, images: Images) -> list[Vectors]:
        """(N, channels * places) for each scale, layer and statistic."""
        parts = [self._batch(images[at : at + _BATCH]) for at in range(0, len(images), _BATCH)]
        return [np.concatenate(block) for block in zip(*parts, strict=True)]

    def _batch(self, images: Images) -> list[Vectors]:
        pixels = (np.asarray(images, dtype=np.float64) / 255.0 - self._mean) @ self._whitening
        y = torch.from_numpy(pixels.astype(np.float32).transpose(0, 3, 1, 2).copy())
        found = []
        while min(y.shape[2:]) >= _LEAST_SIDE:
            answers = _answers(y, self._k1, self._b1)
            found += _statistics(answers)
            found += _statistics(_answers(functional.avg_pool2d(answers, 2), self._k2, None))
            y = functional.avg_pool2d(y, 2)
        return found


def _colours(images: Images) -> tuple[Vectors, Vectors]:
    """Mean (C,) and covariance (C, C) of the pixels, in [0, 1]; from whole numbers, exactly.

    Summed some images at a time: as floats, 5,000 images of 256 px would take 8 GB.
    """
    channels = images.shape[3]
    total, square = np.zeros(channels, np.int64), np.zeros((channels, channels), np.int64)
    for at in range(0, len(images), _BATCH):
        pixels = np.asarray(images[at : at + _BATCH]).reshape(-1, channels).astype(np.int64)
        total += pixels.sum(axis=0)
        square += pixels.T @ pixels
    n = int(np.prod(images.shape[:3]))
    # n square - total total^T, in Python's whole numbers: in 64 bits it may overflow.
    spread = n * square.astype(object) - np.outer(total.astype(object), total.astype(object))
    covariance = (spread / (n * (n - 1))).astype(np.float64) / 255.0**2
    return total / n / 255.0, covariance


def _whitening(covariance: Vectors) -> Vectors:
    """(C, C): turns colours into independent ones of equal spread, the faint ones less."""
    values, axes = np.linalg.eigh(covariance)
    values = values.clip(min=0.0)
    floor = _COLOUR_FLOOR**2 * values.max()
    whitening: Vectors = (axes / np.sqrt(values + floor if floor > 0 else 1.0)) @ axes.T
    return whitening


def _filters(random: np.random.Generator, count: int, channels: int) -> torch.Tensor:
    """Normal weights (count, channels, 3, 3), each filter of length 1."""
    weights = random.standard_normal((count, channels, 3, 3))
    lengths = np.sqrt(np.sum(weights**2, axis=(1, 2, 3), keepdims=True))
    return torch.from_numpy((weights / lengths).astype(np.float32))


def _answers(y: torch.Tensor, filters: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    """|filters * y + bias|^(1/2), edges mirrored; (B, channels, h, w)."""
    padded = functional.pad(y, (1, 1, 1, 1), "reflect")
    return functional.conv2d(padded, filters, bias).abs().sqrt()


def _statistics(answers: torch.Tensor) -> list[Vectors]:
    """Mean and standard deviation over each quarter: two of (B, channels * 4)."""
    mean = functional.adaptive_avg_pool2d(answers, _GRID)
    square = functional.adaptive_avg_pool2d(answers * answers, _GRID)
    deviation = (square - mean * mean).clamp(min=0.0).sqrt()
    return [part.flatten(1).to(torch.float64).numpy() for part in (mean, deviation)]


def _spread(block: Vectors) -> Vectors:
    """Standard deviation of each feature, with that of the block as a floor."""
    variance = block.var(axis=0)
    floor = _FLOOR**2 * variance.mean()
    spread: Vectors = np.sqrt(variance + floor if floor > 0 else np.ones_like(variance))
    return spread
