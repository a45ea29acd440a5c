"""Files that are no image, or no whole one: each with the reason that its row must give."""

import struct
import zlib

from odd_files import SIDE, Odd, noise, picture
from PIL import Image
from raw_files import (
    chunk,
    flipped,
    gif,
    marker,
    png,
    put,
    raw_png,
    rows,
    saved,
    tiff,
    with_chunk,
)

_TWICE = "^more than twice the pixels that ingest.max_pixels allows$"
_RANGE = "pixels .mode .+. have no fixed range; save it as 8 or 16 bit$"
_FOREIGN = "^not an image in a known format; it begins with b"
_TRUNCATED = "truncated|Truncated|broken data|not enough|could not create|^damaged or unsupported"
_WHOLE = {
    kind: saved(picture(1), kind)
    for kind in ("PNG", "JPEG", "GIF", "TIFF", "BMP", "PPM", "JPEG2000", "WEBP")
}


def _pixels(data: bytes) -> bytes:
    return chunk(b"IDAT", zlib.compress(data))


def _cut() -> list[Odd]:
    unread = {("GIF", 0.5), ("JPEG", 0.5), ("WEBP", 0.5), ("WEBP", 0.9), ("WEBP", 1)}
    return [
        Odd(
            f"cut {kind}",
            f"cut {part}.{kind.lower()}",
            data[: int(part * len(data)) - 3],
            format=None if (kind, part) in unread else kind,
            reason=_TRUNCATED,
        )
        for kind, data in _WHOLE.items()
        for part in (0.5, 0.9, 1)
    ]


def _no_image() -> list[Odd]:
    foreign = {
        "vector.svg.png": b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>',
        "postscript.jpg": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(x) print\n%%EOF\n",
        "document.jpg": b"%PDF-1.4\n1 0 obj\n<< /Type /Catalog >>\nendobj\n",
        "phone.heic": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(99),
        "icon.png": saved(picture(9), "ICO"),
        "layers.png": b"8BPS\0\1" + bytes(99),
        "metafile.png": b"\xd7\xcd\xc6\x9a" + bytes(99),
        "newer.jpg": b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(99),
        "film.png": b"\0\0\0\x18ftypmp42" + bytes(99),
        "archive.jpg": b"PK\x03\x04" + bytes(99),
        "array.png": b"\x93NUMPY\1\0" + bytes(99),
        "pickle.png": b"\x80\x04cos\nsystem\n.",
        "texture.png": saved(picture(9), "DDS"),
    }
    text = {
        "text.png": b"just some text",
        "page.jpg": b"<!DOCTYPE html><h1>404 Not Found</h1>",
        "pointer.png": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
    }
    magic = {
        "magic.png": b"\x89PNG\r\n\x1a\n",
        "magic.gif": b"GIF89a",
        "magic.tif": b"II*\0\x08\0\0\0",
        "magic.webp": b"RIFF\0\0\0\0WEBPVP8 ",
    }
    droppings = {
        "Thumbs.db": b"\xd0\xcf\x11\xe0" + bytes(99),
        "desktop.ini": b"[.ShellClassInfo]\r\n",
        "half.png.crdownload": png(noise(198, 3))[:20],
    }
    hidden = {".hidden.png": png(noise(197, 3)), "__MACOSX/._a.png": b"\0\5\x16\7" + bytes(99)}
    return [
        Odd("nothing", "empty.jpg", b"", reason=r"^empty file \(0 bytes\)$"),
        Odd("nothing", "zeros.png", bytes(4096), reason=_FOREIGN),
        *[Odd("text", name, data, reason=_FOREIGN) for name, data in text.items()],
        *[
            Odd("only a magic number", name, data, reason="^damaged or uns|could not create")
            for name, data in magic.items()
        ],
        *[Odd(f"foreign: {name}", name, data, reason=_FOREIGN) for name, data in foreign.items()],
        *[
            Odd("left by tools", name, data, reason="^not an image$")
            for name, data in droppings.items()
        ],
        *[Odd("hidden", name, data, reason="^hidden file$") for name, data in hidden.items()],
    ]


def _bad_png() -> list[Odd]:
    whole = png(noise(2, 3))
    palette = raw_png(8, 8, 8, 3, chunk(b"PLTE", bytes(48)), _pixels(bytes(72)))
    zipped = zlib.compress(bytes(16 << 20), 9)
    bombs = {
        "text": chunk(b"zTXt", b"k\0\0" + zipped),
        "international text": chunk(b"iTXt", b"k\0\1\0\0\0" + zipped),
        "profile": chunk(b"iCCP", b"k\0\0" + zipped),
    }
    many = chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(1_000_000), 9)) * 70
    crc, part, header = "bad checksum", "parts of a PNG missing", "impossible header"
    no_palette = raw_png(8, 8, 8, 3, _pixels(bytes(72)))
    half = raw_png(SIDE, SIDE, 8, 2, _pixels(rows(noise(5, 3)[:8])))
    filter_9 = raw_png(SIDE, SIDE, 8, 2, _pixels(b"\x09" + bytes(48)))
    in_pixels = whole.index(b"IDAT") + 9
    return [
        Odd(crc, "crc of header.png", flipped(whole, 29), reason="^damaged.*IHDR"),
        Odd(crc, "other width.png", flipped(whole, 19), reason="^damaged.*IHDR"),
        Odd(crc, "crc of palette.png", flipped(palette, 41), reason="^damaged.*PLTE"),
        Odd(crc, "other pixels.png", flipped(whole, in_pixels), "PNG", "broken data stream"),
        Odd(crc, "crc of last.png", flipped(whole, len(whole) - 13), "PNG", "bad checksum of a p"),
        Odd(part, "no end.png", whole[:-12], "PNG", r"its end \(IEND\) is missing"),
        Odd(part, "no pixels.png", raw_png(8, 8, 8, 2), "PNG", "cannot load this image"),
        Odd(part, "no palette.png", no_palette, "PNG", "^AssertionError: the decoder gave no r"),
        Odd(part, "half the rows.png", half, "PNG", "rows are missing|truncated"),
        Odd(header, "no width.png", raw_png(0, 8, 8, 2, _pixels(b"")), reason="^damaged"),
        Odd(header, "3 bits.png", raw_png(8, 8, 3, 2, _pixels(b"")), reason="^damaged"),
        Odd(header, "filter 9.png", filter_9, "PNG", "unrecognized data stream"),
        *[
            Odd("text bomb", f"{name} bomb.png", with_chunk(whole, bomb), reason="data too large")
            for name, bomb in bombs.items()
        ],
        Odd("text bomb", "many texts.png", with_chunk(whole, many), reason="Too much memory"),
    ]


def _pixel_bombs() -> list[Odd]:
    few = _pixels(bytes(99))
    jpeg = _WHOLE["JPEG"]
    sizes = struct.pack("<ii", 50_000, 50_000)
    files = {
        "bomb.png": raw_png(60_000, 60_000, 8, 2, few),
        "bomb.gif": gif((20_000, 20_000), (20_000, 20_000)),
        "bomb frame.gif": gif((8, 8), (20_000, 20_000)),
        "bomb.bmp": put(_WHOLE["BMP"], 18, sizes),
        "bomb.ppm": b"P5 99999 99999 255 ",
        "bomb.qoi": b"qoif" + struct.pack(">IIBB", 60_000, 60_000, 3, 0),
        "bomb.tif": tiff(noise(6), 8, 1, changed={256: 60_000, 257: 60_000}),
        "bomb.webp": put(saved(picture(6), "WEBP", lossless=True), 21, b"\xfe\xff\xfe\x0f"),
        "bomb.jpg": put(jpeg, marker(jpeg, 0xC0) + 5, b"\xff\xff\xff\xff"),
    }
    above = "^1001x1000 is 1,001,000 pixels, above ingest.max_pixels 1,000,000$"
    return [
        *[Odd("pixel bomb", name, data, reason=_TWICE) for name, data in files.items()],
        Odd("pixel bomb", "just above.png", raw_png(1001, 1000, 1, 0, few), "PNG", above),
    ]


def _bad_jpeg() -> list[Odd]:
    whole = _WHOLE["JPEG"]
    frame = marker(whole, 0xC0)
    lies, foreign = "JPEG that lies", "JPEG of another process"
    renamed = whole.replace(b"\xff\xdb", b"\xff\xe5")
    return [
        Odd(lies, "no end.jpg", whole[:-2], "JPEG", "truncated"),
        Odd(lies, "long segment.jpg", put(whole, frame + 2, b"\xff\xff"), reason="Truncated File"),
        Odd(lies, "no height.jpg", put(whole, frame + 5, b"\0\0"), reason="^damaged"),
        Odd(lies, "two channels.jpg", put(whole, frame + 9, b"\2"), reason="^damaged"),
        Odd(lies, "no tables.jpg", renamed, "JPEG", "broken data stream"),
        Odd(lies, "second start.jpg", b"\xff\xd8" + whole, "JPEG", "broken data stream"),
        Odd(lies, "starts late.jpg", b"\n" + whole, reason=_FOREIGN),
        Odd(foreign, "lossless.jpg", put(whole, frame + 1, b"\xc3"), "JPEG", "broken data stream"),
        Odd(foreign, "12 bit.jpg", put(whole, frame + 4, b"\x0c"), reason="^damaged or unsupp"),
    ]


def _bad_values() -> list[Odd]:
    gray, colour = noise(8), noise(8, 3)
    ranges, lies, foreign = "no fixed range", "TIFF that lies", "TIFF not decoded"
    real, whole = f"^floating-point {_RANGE}", f"integer {_RANGE}"
    bits = put(_WHOLE["BMP"], 28, b"\x0d\0")
    return [
        Odd(ranges, "float.tif", tiff(gray.astype("f4"), 32, 1, sample=3), "TIFF", real),
        Odd(ranges, "float.pfm", b"Pf 2 2 -1.0\n" + bytes(16), "PPM", real),
        Odd(ranges, "long.tif", tiff(gray.astype("i4"), 32, 1, sample=2), "TIFF", whole),
        Odd(ranges, "unsigned long.tif", tiff(gray.astype("u4"), 32, 1), "TIFF", whole),
        Odd(ranges, "signed.tif", tiff(gray.astype("i2"), 16, 1, sample=2), "TIFF", whole),
        Odd(ranges, "signed byte.tif", tiff(gray.astype("i1"), 8, 1, sample=2), "TIFF", whole),
        Odd(foreign, "double.tif", tiff(gray.astype("f8"), 64, 1, sample=3), reason="^damaged"),
        Odd(foreign, "floats.tif", tiff(colour.astype("f4"), 32, 2, sample=3), reason="^damaged"),
        Odd(lies, "far strip.tif", tiff(gray, 8, 1, changed={273: 1 << 30}), "TIFF", "truncated"),
        Odd(lies, "short strip.tif", tiff(gray, 8, 1, changed={278: 4}), "TIFF", "strips are mis"),
        Odd("BMP that lies", "13 bits.bmp", bits, reason="Unsupported BMP pixel depth"),
    ]


def _bad_frames() -> list[Odd]:
    """The first frame of a WEBP cannot be read without the file's end."""
    later = [Image.fromarray(noise(seed, 3)) for seed in (171, 172)]
    whole = saved(picture(170), "WEBP", save_all=True, append_images=later, lossless=True)
    return [Odd("a later frame is damaged", "cut.webp", whole[:-200], reason="could not create")]


BAD = [
    *_cut(),
    *_no_image(),
    *_bad_png(),
    *_pixel_bombs(),
    *_bad_jpeg(),
    *_bad_values(),
    *_bad_frames(),
]
