"""Scales pixels of more than 8 bits to 8, each value rounded to the nearest.

Pillow keeps 16 bits of a gray image and leaves the scaling to us. It keeps 8 bits of a colour
channel and drops the low byte, so colour is decoded once more with the two bytes exchanged.
"""

import io
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

NOTE = "16-bit values scaled by 1/257"
_BAND = 1 << 20  # values that are computed with at once

# TIFF 6.0, sections 8 and 19.
_BITS_PER_SAMPLE, _PHOTOMETRIC, _SAMPLE_FORMAT = 258, 262, 339
_WHITE_IS_ZERO, _SIGNED = 0, 2

# Pillow's raw mode of 16-bit colour -> the one that gives the low bytes instead. The machine's own
# byte order is "N" in libtiff and "=" in NumPy.
_NATIVE_IS_LITTLE = np.dtype("=u2") == np.dtype("<u2")
_LOW_BYTES = {
    f"{colours};16{order}": f"{colours};16{other}"
    for colours in ("RGB", "RGBX", "RGBA", "RGBa", "CMYK")
    for order, other in (("L", "B"), ("B", "L"), ("N", "B" if _NATIVE_IS_LITTLE else "L"))
} | {"LA;16B": "RGBA"}  # gray high, gray low, alpha high, alpha low


_Stored = TypeVar("_Stored", np.uint8, np.uint16)


def raw_mode(image: Image.Image) -> str | None:
    """Pillow's raw mode for this file if it drops low bytes, else None. Call before load()."""
    for tile in getattr(image, "tile", ())[:1]:
        # QOI's decoder has no arguments.
        mode = tile.args if isinstance(tile.args, str) else next(iter(tile.args or ()), None)
        return mode if mode in _LOW_BYTES else None
    return None


def scale_colour(image: Image.Image, data: bytes, raw: str) -> Image.Image:
    """A loaded image of 16-bit channels -> modes RGB, RGBA, LA or CMYK.

    data: the file; raw: its `raw_mode`.
    """
    if raw.startswith("RGBa"):  # Pillow has divided the high bytes by alpha: read them once more
        plain = raw.replace("a", "A")
        high = _decode_as(image, data, plain)
        values = _joined(high, _decode_as(image, data, _LOW_BYTES[plain]))
        return image_of(divide_by_alpha(values), "RGBA")
    low = _decode_as(image, data, _LOW_BYTES[raw])
    if raw == "LA;16B":
        return image_of(_joined(low[..., ::2], low[..., 1::2]), "LA")
    values = _joined(np.asarray(image), low)
    scaled = image_of(values, image.mode)
    transparent = image.info.get("transparency")
    if image.mode == "RGB" and isinstance(transparent, tuple):
        scaled.putalpha(_alpha_mask((values != transparent).any(axis=2)))
    return scaled


def scale_transparent_gray(image: Image.Image, data: bytes) -> None:
    """Scales the transparent value (tRNS) of a loaded gray PNG of 2 or 4 bits as its pixels are.

    Pillow scales the pixels to 0..255 and keeps the value as the file `data` has it, which then
    is another gray or none (PNG, section 11.3.2.1: it is a sample at the image's bit depth).
    """
    depth, colour_type = data[24], data[25]
    value = image.info.get("transparency")
    if image.mode == "L" and colour_type == 0 and depth < 8 and isinstance(value, int):
        top = 2**depth - 1
        image.info["transparency"] = (value & top) * 255 // top


def _decode_as(image: Image.Image, data: bytes, raw: str) -> NDArray[np.uint8]:
    """The pixels of the file under another raw mode: its decoder's first argument."""
    assert image.format is not None
    with Image.open(io.BytesIO(data), formats=[image.format]) as other:
        if image.tell():  # a later page of a TIFF
            other.seek(image.tell())
        other.tile = [
            tile._replace(args=raw if isinstance(tile.args, str) else (raw, *tile.args[1:]))
            for tile in getattr(other, "tile", ())
        ]
        return np.asarray(other)


def _joined(high: NDArray[np.uint8], low: NDArray[np.uint8]) -> NDArray[np.uint16]:
    values = high.astype(np.uint16)
    values <<= 8
    values |= low
    return values


def image_of(values: NDArray[np.uint16], mode: str) -> Image.Image:
    """Channels of 16 bits, (H, W, C) -> an 8-bit image of `mode`: L, LA, RGB, RGBA or CMYK."""
    scaled = _in_bands(_scaled, values)
    height, width = scaled.shape[:2]
    return Image.frombytes(mode, (width, height), scaled.tobytes())


def divide_by_alpha(values: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """Premultiplied channels of 16 bits, alpha last -> not premultiplied; 0 under no alpha."""

    def divided(values: NDArray[np.int64]) -> NDArray[np.uint16]:
        alpha = values[..., -1:]
        divisor = np.maximum(alpha, 1)
        colours = np.minimum((2 * 65535 * values[..., :-1] + divisor) // (2 * divisor), 65535)
        both = np.concatenate([np.where(alpha > 0, colours, 0), alpha], axis=-1)
        return both.astype(np.uint16)

    return _in_bands(divided, values)


def keeps_no_depth(image: Image.Image, raw: str | None) -> bool:
    """Whether a TIFF of more than 8 bits has become one of 8, by a raw mode not known here."""
    deep = max(_tags(image).get(_BITS_PER_SAMPLE, (1,))) > 8
    return deep and raw is None and not image.mode.startswith(("I", "F"))


def scale_gray(image: Image.Image) -> Image.Image:
    """A gray image of more than 8 bits (I;16, ...) -> L, or LA where one value is transparent."""
    values = np.asarray(image)
    tags = _tags(image)
    top = 4095 if tags.get(_BITS_PER_SAMPLE) == (12,) else 65535
    inverted = tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO
    scaled = Image.fromarray(
        _in_bands(lambda band: _scaled(top - band if inverted else band, top), values)
    )
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        scaled.putalpha(_alpha_mask(values != transparent))
    return scaled


def is_deep(image: Image.Image) -> bool:
    """Whether a file, opened and not loaded, has more than 8 bits a channel, as far as is known."""
    return raw_mode(image) is not None or max(_tags(image).get(_BITS_PER_SAMPLE, (1,))) > 8


def is_signed(image: Image.Image) -> bool:
    """Whether a TIFF's samples may be negative; Pillow takes those of 8 bits for unsigned."""
    return _SIGNED in _tags(image).get(_SAMPLE_FORMAT, ())


def _tags(image: Image.Image) -> Any:
    return getattr(image, "tag_v2", {})


def _in_bands(
    change: Callable[[NDArray[np.int64]], NDArray[_Stored]], values: NDArray[Any]
) -> NDArray[_Stored]:
    """`change` of an image, some rows of 64-bit numbers at a time: all of them would be large."""
    rows = max(1, _BAND // max(1, values[:1].size))
    bands = (values[top : top + rows].astype(np.int64) for top in range(0, len(values), rows))
    return np.concatenate([change(band) for band in bands])


def _scaled(values: NDArray[np.int64], top: int = 65535) -> NDArray[np.uint8]:
    """0..top -> 0..255, to the nearest."""
    scaled: NDArray[np.uint8] = ((510 * values + top) // (2 * top)).astype(np.uint8)
    return scaled


def _alpha_mask(opaque: NDArray[np.bool_]) -> Image.Image:
    return Image.fromarray(np.where(opaque, 255, 0).astype(np.uint8))
