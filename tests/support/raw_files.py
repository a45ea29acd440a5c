"""Image files built byte by byte, for what no library writes: 16-bit colour, lies, damage."""

import io
import struct
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

Array = np.ndarray[Any, Any]

# Adam7: first column and row, and the steps.
PASSES = (
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
)
_COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}  # of PNG, by channels


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def put(data: bytes, place: int, patch: bytes) -> bytes:
    assert 0 <= place and place + len(patch) <= len(data)
    return data[:place] + patch + data[place + len(patch) :]


def flipped(data: bytes, place: int) -> bytes:
    """One bit of the byte at `place` the other way round."""
    return put(data, place, bytes([data[place] ^ 1]))


# --- PNG


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def raw_png(
    width: int, height: int, depth: int, colour: int, *chunks: bytes, lace: bool = False
) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, lace)
    return b"".join((b"\x89PNG\r\n\x1a\n", chunk(b"IHDR", header), *chunks, chunk(b"IEND", b"")))


def rows(pixels: Array, depth: int = 8, lace: bool = False) -> bytes:
    """(H, W) or (H, W, C) -> unfiltered rows, in the order of Adam7 if `lace`."""
    parts = []
    for left, top, across, down in PASSES if lace else ((0, 0, 1, 1),):
        for row in pixels[top::down, left::across]:
            if row.size and depth < 8:
                bits = row[:, None] >> np.arange(depth - 1, -1, -1) & 1
                parts.append(b"\0" + np.packbits(bits.astype(np.uint8)).tobytes())
            elif row.size:
                parts.append(b"\0" + row.astype(f">u{depth // 8}").tobytes())
    return b"".join(parts)


def png(pixels: Array, depth: int = 8, *before: bytes, lace: bool = False) -> bytes:
    """Gray, gray + alpha, RGB or RGBA; `before`: chunks that precede the pixels."""
    colour = _COLOUR_TYPES[1 if pixels.ndim == 2 else pixels.shape[2]]
    data = chunk(b"IDAT", zlib.compress(rows(pixels, depth, lace)))
    height, width = pixels.shape[:2]
    return raw_png(width, height, depth, colour, *before, data, lace=lace)


def with_chunk(data: bytes, *chunks: bytes) -> bytes:
    """Chunks set in after the header of a PNG."""
    return data[:33] + b"".join(chunks) + data[33:]


# --- TIFF


def tiff(
    pixels: Array,
    bits: int,
    photometric: int,
    order: str = "<",
    sample: int = 1,
    extra: int | None = None,
    changed: dict[int, int] | None = None,
) -> bytes:
    """One uncompressed strip. sample: 1 unsigned, 2 signed, 3 float; `changed`: tags that lie."""
    height, width = pixels.shape[:2]
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    data = pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()  # type: ignore[arg-type]
    longs = {256: width, 257: height, 273: 8, 278: height, 279: len(data)}
    shorts = {259: 1, 262: photometric, 277: channels}
    tags: dict[int, tuple[str, Sequence[int]]] = {
        **{tag: ("I", [(changed or {}).get(tag, value)]) for tag, value in longs.items()},
        **{tag: ("H", [value]) for tag, value in shorts.items()},
        258: ("H", [bits] * channels),
        339: ("H", [sample] * channels),
    }
    if extra is not None:
        tags[338] = ("H", [extra])
    table, behind = struct.pack(order + "H", len(tags)), b""
    start = 8 + len(data) + 2 + 12 * len(tags) + 4
    for tag, (kind, values) in sorted(tags.items()):
        packed = struct.pack(f"{order}{len(values)}{kind}", *values)
        table += struct.pack(order + "HHI", tag, 3 if kind == "H" else 4, len(values))
        if len(packed) > 4:
            table += struct.pack(order + "I", start + len(behind))
            behind += packed
        else:
            table += packed.ljust(4, b"\0")
    mark = b"II*\0" if order == "<" else b"MM\0*"
    return mark + struct.pack(order + "I", 8 + len(data)) + data + table + bytes(4) + behind


# --- others


def pnm(pixels: Array, top: int) -> bytes:
    """Gray (H, W) or RGB (H, W, 3), 0..top."""
    kind = "P5" if pixels.ndim == 2 else "P6"
    values = pixels.astype(">u2" if top > 255 else "u1").tobytes()
    return f"{kind} {pixels.shape[1]} {pixels.shape[0]} {top}\n".encode() + values


def gif(screen: tuple[int, int], frame: tuple[int, int]) -> bytes:
    """A GIF whose header promises these sizes, with one pixel of data."""
    return (
        b"GIF89a"
        + struct.pack("<HHBBB", *screen, 0, 0, 0)
        + b"\x2c"
        + struct.pack("<HHHHB", 0, 0, *frame, 0x80)
        + bytes(6)
        + b"\x02\x02\x4c\x01\x00\x3b"
    )


def marker(jpeg: bytes, code: int) -> int:
    """Where the first segment of that code begins."""
    return jpeg.index(bytes([0xFF, code]))
