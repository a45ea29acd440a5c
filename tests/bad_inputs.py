"""Files as users have them: damaged, odd, hostile; each with what must become of it."""

import io
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, PngImagePlugin

SIDE = 16
RANDOM = np.random.default_rng(11)
SMOOTH = Image.fromarray(RANDOM.integers(0, 256, (4, 4, 3), dtype=np.uint8)).resize((SIDE, SIDE))
RGB = np.asarray(SMOOTH)
GRAY = np.ascontiguousarray(RGB[..., 0])
BACKGROUND = (10, 200, 60)


@dataclass(frozen=True)
class Expected:
    """What must become of a file."""

    data: bytes
    reason: str | None = None  # a fragment; None: it is accepted
    pixels: np.ndarray | None = None  # (16, 16, 3) of an accepted one, exactly
    note: str = ""  # a fragment


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png(pixels: np.ndarray, **options: Any) -> bytes:
    return encoded(Image.fromarray(pixels), "PNG", **options)


def unlike(seed: int) -> np.ndarray:
    """Pixels that no other file has, so that nothing is a duplicate."""
    return np.random.default_rng(1000 + seed).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def raw_png(header: bytes, *chunks: bytes) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(chunks) + chunk(b"IEND", b"")


def png_header(width: int, height: int, depth: int = 8, colour: int = 2) -> bytes:
    return struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)


def flipped_bit(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def gray3(gray: np.ndarray) -> np.ndarray:
    return np.repeat(gray[..., None], 3, axis=2)


def damaged() -> dict[str, Expected]:
    whole = {kind: encoded(SMOOTH, kind) for kind in ("PNG", "JPEG", "GIF", "TIFF", "WEBP", "BMP")}
    cut = "truncated|not an image|broken|not enough|unrecognized|decod|EOF|unpack|image file"
    files = {
        f"cut {kind} {part}.{kind.lower()}": Expected(data[: int(len(data) * part)], cut)
        for kind, data in whole.items()
        for part in (0.4, 0.9)
    }
    place = whole["PNG"].index(b"IDAT") + 8
    files |= {
        "bad crc header.png": Expected(flipped_bit(whole["PNG"], 17), "not an image|checksum|CRC"),
        "bad crc pixels.png": Expected(flipped_bit(whole["PNG"], place), "checksum|CRC|broken"),
        "no pixels.png": Expected(raw_png(png_header(8, 8)), "truncated|cannot|no"),
        "empty.jpg": Expected(b"", r"empty file \(0 bytes\)"),
        "text.png": Expected(b"just some text", "not an image"),
        "page.jpg": Expected(b"<!DOCTYPE html><h1>404</h1>", "not an image.*DOCTYPE"),
        "zeros.jpg": Expected(bytes(5000), "not an image"),
        "only magic.jpg": Expected(b"\xff\xd8\xff\xe0", "not an image|truncated"),
        "only magic.png": Expected(b"\x89PNG\r\n\x1a\n", "not an image|truncated"),
    }
    return files


def refused() -> dict[str, Expected]:
    floats = Image.fromarray(RANDOM.random((SIDE, SIDE)).astype(np.float32))
    integers = Image.fromarray(RANDOM.integers(0, 99999, (SIDE, SIDE), dtype=np.int32))
    text = PngImagePlugin.PngInfo()
    text.add_text("bomb", "a" * (80 << 20), zip=True)
    bomb = zlib.compress(bytes(10_000), 9)
    vector = b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'
    postscript = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(x) print\n%%EOF\n"
    return {
        "float.tif": Expected(encoded(floats, "TIFF"), "floating-point pixels"),
        "integers.tif": Expected(encoded(integers, "TIFF"), "32-bit or signed integer"),
        "text bomb.png": Expected(
            png(unlike(1), pnginfo=text), "Decompressed data|too large|memory"
        ),
        "bomb.png": Expected(
            raw_png(png_header(10_000, 10_001), chunk(b"IDAT", bomb)), "max_pixels"
        ),
        "huge bomb.png": Expected(
            raw_png(png_header(60_000, 60_000), chunk(b"IDAT", bomb)), "max_pixels"
        ),
        "bomb.gif": Expected(
            b"GIF89a" + struct.pack("<HHBBB", 20_000, 20_000, 0, 0, 0) + b"\x3b",
            "max_pixels|not an image|no more images|image file",
        ),
        "vector.png": Expected(vector, "not an image"),
        "postscript.jpg": Expected(postscript, "not an image"),
        "document.jpg": Expected(b"%PDF-1.4\n1 0 obj\n", "not an image"),
        "phone.heic": Expected(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "not an image"),
        "icon.png": Expected(encoded(SMOOTH, "ICO"), "not an image"),
        "archive.jpg": Expected(b"PK\x03\x04" + bytes(30), "not an image"),
    }


def accepted() -> dict[str, Expected]:
    """Odd files with exactly the pixels that they must give."""
    files: dict[str, Expected] = {}

    def add(name: str, data: bytes, pixels: np.ndarray, note: str = "") -> None:
        files[name] = Expected(data, None, pixels, note)

    deep = RANDOM.integers(0, 65536, (SIDE, SIDE), dtype=np.uint16)
    scaled = gray3(np.rint(deep / 257).astype(np.uint8))
    add("deep.png", png(deep), scaled, "16-bit values scaled by 1/257")
    deep = deep[::-1].copy()
    deep_tiff = encoded(Image.fromarray(deep), "TIFF")
    add("deep.tif", deep_tiff, gray3(np.rint(deep / 257).astype(np.uint8)), "16-bit")
    deep = deep.T.copy()
    deep_pgm = f"P5 {SIDE} {SIDE} 65535\n".encode() + deep.astype(">u2").tobytes()
    add("deep.pgm", deep_pgm, gray3(np.rint(deep / 257).astype(np.uint8)), "16-bit")

    alpha = RANDOM.integers(0, 256, (SIDE, SIDE), dtype=np.uint8)
    colour = unlike(2)
    part = alpha[..., None] / 255
    over = colour * part + np.array(BACKGROUND) * (1 - part)
    add("alpha.png", png(np.dstack([colour, alpha])), over, "alpha composited")
    tone = unlike(3)[..., 0]
    over = gray3(tone) * part + np.array(BACKGROUND) * (1 - part)
    add("gray alpha.png", png(np.dstack([tone, alpha])), over, "alpha composited")

    cmyk = RANDOM.integers(0, 256, (SIDE, SIDE, 4), dtype=np.uint8)
    ink = 255 - cmyk.astype(float)
    printed = ink[..., :3] * ink[..., 3:] / 255
    add("ink.tif", encoded(Image.fromarray(cmyk, "CMYK"), "TIFF"), printed, "mode CMYK converted")

    indices = RANDOM.integers(0, 7, (SIDE, SIDE), dtype=np.uint8)
    palette = RANDOM.integers(0, 256, (7, 3), dtype=np.uint8)
    image = Image.fromarray(indices, "P")
    image.putpalette(palette.tobytes())
    add("palette.png", encoded(image, "PNG"), palette[indices], "mode P converted")
    holes = palette[indices].copy()
    holes[indices == 3] = BACKGROUND
    add("holes.png", encoded(image, "PNG", transparency=3), holes, "alpha composited")
    turned = image.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    add("palette.gif", encoded(turned, "GIF"), palette[indices[::-1]], "mode P converted")

    bits = RANDOM.integers(0, 2, (SIDE, SIDE)).astype(bool)
    one_bit = encoded(Image.fromarray(bits), "PNG")
    add("bits.png", one_bit, gray3(bits * np.uint8(255)), "mode 1 converted")
    add("gray.png", png(unlike(4)[..., 0]), gray3(unlike(4)[..., 0]))

    for orientation, undo in UPRIGHT.items():
        exif = Image.Exif()
        exif[0x0112] = orientation
        pixels = unlike(20 + orientation)
        data = png(undo(pixels), exif=exif.tobytes())
        note = f"EXIF orientation {orientation}" if orientation > 1 else ""
        add(f"turned {orientation}.png", data, pixels, note)
    add("exif garbage.png", png(unlike(5), exif=b"Exif\0\0garbage"), unlike(5))

    frames = [Image.fromarray(unlike(seed)) for seed in (6, 7, 8)]
    several = {"save_all": True, "append_images": frames[1:]}
    animated = encoded(frames[0], "PNG", **several)
    add("animated.png", animated, unlike(6), "first of several frames")
    lossless = encoded(frames[1], "WEBP", save_all=True, append_images=frames[2:], lossless=True)
    add("animated.webp", lossless, unlike(7), "first of several frames")
    pages = encoded(frames[2], "TIFF", save_all=True, append_images=frames[:1])
    add("pages.tif", pages, unlike(8), "first of several frames")

    add("a png.jpg", png(unlike(9)), unlike(9))
    add("no ending", png(unlike(10)), unlike(10))
    add("garbage behind.png", png(unlike(11)) + bytes(999), unlike(11))
    add("UPPER.PNG", png(unlike(12)), unlike(12))
    add("profile.png", png(unlike(13), icc_profile=bytes(3000)), unlike(13))
    for place, name in enumerate(NAMES):
        add(name, png(unlike(40 + place)), unlike(40 + place))
    return files


UPRIGHT: dict[int, Callable[[np.ndarray], np.ndarray]] = {  # upright -> as stored
    1: lambda x: x,
    2: lambda x: x[:, ::-1],
    3: lambda x: x[::-1, ::-1],
    4: lambda x: x[::-1],
    5: lambda x: x.transpose(1, 0, 2),
    6: lambda x: np.rot90(x, 1),
    7: lambda x: np.rot90(x, 2).transpose(1, 0, 2),
    8: lambda x: np.rot90(x, -1),
}
NAMES = [
    "käse.png",
    "ka\u0308se.png",  # the same to the eye, decomposed
    "dotted.name.v2.png",
    "with space.png",
    "new\nline.png",
    "-dash.png",
    "猫😺.png",
    "case.png",
    "CASE.png",
    "x" * 251 + ".png",
    "semi;colon'\"quote.png",
]
FILES = damaged() | refused() | accepted()
