"""Encodes pixels as PNG: with Pillow, or several times faster with ISA-L and one fixed filter.

Both are lossless; sizes and bytes differ, so the encoder is part of the recipe.
"""

import functools
import io
import struct
import zlib
from collections.abc import Callable
from importlib import metadata
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, features

from ...manifests.extras import require

Pixels = NDArray[np.uint8]
Encoder = Literal["pillow", "isal"]

_ZLIB_LEVEL = 6  # of Pillow's
_ISAL_LEVEL = 1  # 2 and 3 save a thousandth
_FILTER_UP = 2  # the difference to the row above (PNG, section 9.2)


def select_encoder(name: str) -> Callable[[Pixels], bytes]:
    """The function uint8 (H, W, 1 or 3) -> PNG bytes, mode L or RGB, that `name` stands for.

    Raises:
        ConfigError: `isal` without its package.
    """
    if name in ("auto", "pillow"):
        return encode_with_pillow
    require("isal", "fast", "write.encoder: isal", instead="set write.encoder: pillow")
    return encode_with_isal


def to_pil(pixels: Pixels) -> Image.Image:
    """uint8 (H, W), (H, W, 1) or (H, W, 3) -> an image of mode L or RGB."""
    return Image.fromarray(pixels[:, :, 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels)


def encode_with_pillow(pixels: Pixels) -> bytes:
    """uint8 (H, W, 1 or 3) -> PNG."""
    image = to_pil(pixels)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=_ZLIB_LEVEL)
    return buffer.getvalue()


def encode_with_isal(pixels: Pixels) -> bytes:
    """uint8 (H, W, 1 or 3) -> PNG. Releases the interpreter lock while it compresses."""
    isal_zlib = _isal()
    height, width, channels = pixels.shape
    flat = pixels.reshape(height, width * channels)
    rows = np.empty((height, 1 + width * channels), np.uint8)
    rows[:, 0] = _FILTER_UP
    rows[0, 1:] = flat[0]
    np.subtract(flat[1:], flat[:-1], out=rows[1:, 1:])
    data = isal_zlib.compress(rows, _ISAL_LEVEL)
    check = struct.pack(">I", isal_zlib.crc32(data, _IDAT_CHECK))
    length = struct.pack(">I", len(data))
    return b"".join(
        (_signature_and_header(width, height, channels), length, b"IDAT", data, check, _END)
    )


def encoder_version(encoder: Encoder) -> str:
    """Version of the library that compresses: with the pixels it determines an image's bytes."""
    if encoder == "pillow":
        return str(features.version("zlib"))
    try:
        return metadata.version("isal")
    except metadata.PackageNotFoundError:
        return "none"


@functools.cache
def _isal() -> Any:
    from isal import isal_zlib

    return isal_zlib


@functools.cache
def _signature_and_header(width: int, height: int, channels: int) -> bytes:
    """Signature and header: 8 bits a channel, not interlaced."""
    colour = {1: 0, 3: 2}[channels]
    header = struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


_IDAT_CHECK = zlib.crc32(b"IDAT")
_END = _chunk(b"IEND", b"")
