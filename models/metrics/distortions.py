"""Known damage to images, by which a feature extractor is tried: does it see what an eye sees?

Each function takes uint8 (N, H, W, C) and gives the same; equal seeds give equal images.
"""

import io
import math
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.nn import functional

Images = NDArray[np.uint8]
Distortion = Callable[[Images, np.random.Generator], Images]

_BLUR = 1.0  # standard deviation, in pixels of an image of 32 px or less
_SIDE = 32
_NOISE = 20.0  # grey levels
_GHOSTS = (0.1, 0.9)  # lambda
_PATCHES = 4  # a side
_QUALITY = 30
_PART_VALUES = 2**24


def grey_levels(images: Images, damaged: Images) -> float:
    """The root mean square of the change."""
    total = 0
    for part in _parts(images):
        change = damaged[part].astype(np.int64) - images[part]
        total += int(np.sum(change * change))
    return math.sqrt(total / images.size)


def _parts(images: Images) -> list[slice]:
    """Images that are changed at a time, in numbers of eight bytes: 128 MiB of them."""
    size = max(1, _PART_VALUES // int(np.prod(images.shape[1:])))
    return [slice(start, start + size) for start in range(0, len(images), size)]


def _in_parts(images: Images, change: Callable[[Images], Images]) -> Images:
    return np.concatenate([change(images[part]) for part in _parts(images)])


def blurred(images: Images, random: np.random.Generator) -> Images:
    """Gaussian blur of 1 px, in proportion more above 32 px."""
    sigma = _BLUR * max(1.0, min(images.shape[1:3]) / _SIDE)
    reach = int(3 * sigma + 1)
    offsets = torch.arange(-reach, reach + 1, dtype=torch.float64)
    kernel = torch.exp(-(offsets**2) / (2 * sigma**2))
    kernel /= kernel.sum()
    return _in_parts(images, partial(_convolved, kernel=kernel, reach=reach))


def _convolved(images: Images, kernel: torch.Tensor, reach: int) -> Images:
    """Each row and column of each image convolved with the kernel, whose half-width is `reach`."""
    x = torch.from_numpy(images.astype(np.float64)).permute(0, 3, 1, 2)
    shape = x.shape
    x = x.reshape(-1, 1, *shape[2:])
    x = functional.conv2d(
        functional.pad(x, (reach, reach, 0, 0), "replicate"), kernel.view(1, 1, 1, -1)
    )
    x = functional.conv2d(
        functional.pad(x, (0, 0, reach, reach), "replicate"), kernel.view(1, 1, -1, 1)
    )
    return _levels(x.reshape(shape).permute(0, 2, 3, 1).numpy())


def noisy(images: Images, random: np.random.Generator) -> Images:
    """Independent normal noise of 20 grey levels."""
    return _in_parts(images, lambda part: _levels(part + random.normal(0.0, _NOISE, part.shape)))


def faded(images: Images, random: np.random.Generator) -> Images:
    """Half the contrast, around each image's own mean."""

    def halved(part: Images) -> Images:
        mean = part.mean(axis=(1, 2, 3), keepdims=True)
        return _levels(mean + 0.5 * (part - mean))

    return _in_parts(images, halved)


def ghosts(images: Images, random: np.random.Generator) -> Images:
    """Mixup of each image with another, lambda uniform in [.1, .9]."""
    weights = random.uniform(*_GHOSTS, size=(len(images), 1, 1, 1))
    order = random.permutation(len(images))
    partners = np.empty_like(order)
    partners[order] = np.roll(order, 1)  # a cycle: no image is its own partner
    found = np.empty_like(images)
    for part in _parts(images):
        other = images[partners[part]]
        found[part] = _levels(weights[part] * images[part] + (1.0 - weights[part]) * other)
    return found


def shuffled(images: Images, random: np.random.Generator) -> Images:
    """A grid of 4 x 4 patches in random order; what is left at the edges stays."""
    height, width = (side // _PATCHES for side in images.shape[1:3])
    found = images.copy()
    places = [(i * height, j * width) for i in range(_PATCHES) for j in range(_PATCHES)]
    for image, source in zip(found, images, strict=True):
        for (y, x), place in zip(places, random.permutation(len(places)), strict=True):
            v, u = places[place]
            image[y : y + height, x : x + width] = source[v : v + height, u : u + width]
    return found


def compressed(images: Images, random: np.random.Generator) -> Images:
    """JPEG of quality 30."""
    found = np.empty_like(images)
    for at, image in enumerate(images):
        file = io.BytesIO()
        gray = image.shape[2] == 1
        Image.fromarray(image[:, :, 0] if gray else image).save(file, "JPEG", quality=_QUALITY)
        decoded = np.asarray(Image.open(file))
        found[at] = decoded[:, :, None] if gray else decoded
    return found


DISTORTIONS: dict[str, Distortion] = {
    "blur": blurred,
    "noise": noisy,
    "half the contrast": faded,
    "ghosts": ghosts,
    "shuffled patches": shuffled,
    "JPEG compression": compressed,
}


def _levels(values: NDArray[np.float64]) -> Images:
    return values.round().clip(0.0, 255.0).astype(np.uint8)
