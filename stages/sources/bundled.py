"""The bundled sources digits, faces and pair, from packages: nothing is downloaded."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...manifests.extras import require
from ..images.input import Input
from .base import Source, encode_netpbm
from .folders import file_input

# The package that each comes with.
PACKAGES = {"digits": "scikit-learn", "faces": "scikit-image", "pair": "scikit-image"}
_DIGITS_LICENSE = "CC-BY-4.0"  # UCI, Optical Recognition of Handwritten Digits


def open_bundled(source: str) -> Source:
    """One of BUNDLED. Raises ConfigError where the package is missing."""
    return {"digits": digits, "faces": faces, "pair": pair}[source]()


def digits() -> Source:
    """1,797 scans of handwritten digits, 8x8 gray 0..16, ten classes, in scikit-learn's order."""
    data = require("sklearn.datasets", "demo", "ingest.source: digits").load_digits()
    inputs = [
        Input(
            f"{number:04d}.pgm", partial(_encode_pgm, scan / 16), None, str(label), _DIGITS_LICENSE
        )
        for number, (scan, label) in enumerate(zip(data.images, data.target, strict=True))
    ]
    return Source("the bundled 'digits'", inputs, resolution=8)


def faces() -> Source:
    """The first 100 of 200 crops, 25x25 gray 0..1: these are faces, the others are not."""
    crops = require("skimage.data", "demo", "ingest.source: faces").lfw_subset()[:100]
    inputs = [
        Input(f"{number:03d}.pgm", partial(_encode_pgm, crop)) for number, crop in enumerate(crops)
    ]
    return Source("the bundled 'faces'", inputs, resolution=24)


def pair() -> Source:
    """Two photographs in two classes, A (a cat, 451x300) and B (a coffee cup, 600x400)."""
    folder = Path(require("skimage.data", "demo", "ingest.source: pair").__file__).parent
    inputs = [
        file_input(name, str(folder / name), label, "CC0-1.0")
        for label, name in (("A", "chelsea.png"), ("B", "coffee.png"))
    ]
    return Source("the bundled 'pair'", inputs)


def _encode_pgm(values: NDArray[np.floating[Any]]) -> bytes:
    """[0, 1] (H, W) -> a binary PGM, whose bytes no version of any library can change."""
    return encode_netpbm(np.rint(values[..., None] * 255).astype(np.uint8))
