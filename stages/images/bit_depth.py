"""depth: pixels of more than 8 bits become 8, each value rounded to the nearest.

Pillow keeps 16 bits of a gray image and leaves the scaling to us. Of colour it has 8 bits only and
drops the low bytes, so those are decoded once more, with the two bytes of a value exchanged.
"""

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

NOTE = "16-bit values scaled by 1/257"

# TIFF 6.0, sections 8 and 19.
_BITS_PER_SAMPLE, _PHOTOMETRIC, _SAMPLE_FORMAT = 258, 262, 339
_WHITE_IS_ZERO, _SIGNED = 0, 2

# How Pillow reads 16-bit colour -> how it reads the low bytes instead. "N" is libtiff's word for
# the machine's own order, and so is "=" numpy's.
_NATIVE_IS_LITTLE = np.dtype("=u2") == np.dtype("<u2")
_LOW = {
    f"{colours};16{order}": f"{colours};16{other}"
    for colours in ("RGB", "RGBX", "RGBA", "CMYK")
    for order, other in (("L", "B"), ("B", "L"), ("N", "B" if _NATIVE_IS_LITTLE else "L"))
} | {"LA;16B": "RGBA"}  # gray high, gray low, alpha high, alpha low


def raw_mode(image: Image.Image) -> str | None:
    """How Pillow will read the file, if that loses low bytes; asked before the pixels are loaded.

    Premultiplied 16-bit colour is not among them: its division by alpha is Pillow's.
    """
    for tile in getattr(image, "tile", ())[:1]:
        mode = tile.args if isinstance(tile.args, str) else tile.args[0]
        return mode if mode in _LOW else None
    return None


def from_colour(image: Image.Image, data: bytes, raw: str) -> Image.Image:
    """A loaded image of 16-bit channels -> modes RGB, RGBA, LA or CMYK.

    data: the file; raw: what `raw_mode` said of it.
    """
    assert image.format is not None
    with Image.open(io.BytesIO(data), formats=[image.format]) as again:
        again.tile = [
            tile._replace(args=_LOW[raw] if isinstance(tile.args, str) else _changed(tile.args))
            for tile in getattr(again, "tile", ())
        ]
        low = np.asarray(again)
    if raw == "LA;16B":
        values = low[..., ::2].astype(np.int64) * 256 + low[..., 1::2]
        return Image.fromarray(_scaled(values))
    values = np.asarray(image).astype(np.int64) * 256 + low
    scaled = Image.fromarray(_scaled(values), image.mode)
    hidden = image.info.get("transparency")
    if image.mode == "RGB" and isinstance(hidden, tuple):
        scaled.putalpha(_opaque((values != hidden).any(axis=2)))
    return scaled


def _changed(args: tuple[Any, ...]) -> tuple[Any, ...]:
    return (_LOW[args[0]], *args[1:])


def from_gray(image: Image.Image) -> Image.Image:
    """Mode I;16 or such -> L, or LA where one value is marked transparent."""
    values = np.asarray(image).astype(np.int64)
    tags = _tags(image)
    top = 4095 if tags.get(_BITS_PER_SAMPLE) == (12,) else 65535
    stored = top - values if tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO else values
    scaled = Image.fromarray(_scaled(stored, top))
    hidden = image.info.get("transparency")
    if isinstance(hidden, int):
        scaled.putalpha(_opaque(values != hidden))
    return scaled


def is_signed(image: Image.Image) -> bool:
    """Whether a TIFF's samples may be negative; Pillow shows those of 8 bits as unsigned."""
    return _SIGNED in _tags(image).get(_SAMPLE_FORMAT, ())


def _tags(image: Image.Image) -> Any:
    return getattr(image, "tag_v2", {})


def _scaled(values: NDArray[np.int64], top: int = 65535) -> NDArray[np.uint8]:
    """0..top -> 0..255, to the nearest."""
    scaled: NDArray[np.uint8] = ((510 * values + top) // (2 * top)).astype(np.uint8)
    return scaled


def _opaque(where: NDArray[np.bool_]) -> Image.Image:
    return Image.fromarray(np.where(where, 255, 0).astype(np.uint8))
