"""What a file of the tables is, and the pixels in it, from numpy alone."""

from dataclasses import dataclass

import numpy as np
from PIL import Image
from raw_files import Array

SIDE = 16
BACKGROUND = (10, 200, 60)  # under transparency
MAX_PIXELS = 1_000_000


@dataclass(frozen=True)
class Odd:
    """A file and what must become of it: rejected if it has a reason, else an image."""

    kind: str
    name: str
    data: bytes
    format: str | None = None  # the real one; of a bad file, if its header could be read
    reason: str | None = None  # a part of it, as a regular expression
    note: str | None = None  # the whole of it
    pixels: Array | None = None  # uint8 (16, 16, 3)
    within: int = 0  # of every value, for lossy formats


def noise(seed: int, *channels: int, top: int = 255) -> Array:
    """Pixels that no other seed gives, 0..top."""
    kind = np.uint16 if top > 255 else np.uint8
    return np.random.default_rng([17, seed]).integers(0, top + 1, (SIDE, SIDE, *channels), kind)


def picture(seed: int) -> Image.Image:
    return Image.fromarray(noise(seed, 3))


def ramp(seed: int) -> Array:
    """A soft ramp, which lossy formats keep."""
    first = np.random.default_rng([19, seed]).integers(60, 200, 3)
    return (first + np.arange(SIDE)[:, None, None] * np.ones((1, SIDE, 1))).astype(np.uint8)


def flat(seed: int, channels: int = 3) -> Array:
    colour = np.random.default_rng([29, seed]).integers(20, 120, channels)
    return np.broadcast_to(colour, (SIDE, SIDE, channels)).astype(np.uint8)


def gray3(gray: Array) -> Array:
    return np.repeat(gray[..., None], 3, axis=2)


def eight(values: Array, top: int = 65535) -> Array:
    """0..top to 0..255, to the nearest."""
    return np.rint(values * (255 / top)).astype(np.uint8)


def over(colour: Array, alpha: Array) -> Array:
    """`colour` with `alpha` 0..255 before the background, to the nearest."""
    part = alpha[..., None].astype(int)
    mixed = colour * part + np.array(BACKGROUND) * (255 - part)
    return ((2 * mixed + 255) // 510).astype(np.uint8)


def holes(colour: Array, where: Array) -> Array:
    return np.where(where[..., None], np.uint8(BACKGROUND), colour)


def printed(ink: Array) -> Array:
    """(H, W, 4) CMYK without a profile: (255 - C) (255 - K) / 255 and so on, to the nearest."""
    left = 255 - ink.astype(int)
    return ((2 * left[..., :3] * left[..., 3:] + 255) // 510).astype(np.uint8)
