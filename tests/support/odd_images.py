"""Images that are odd, and usable: each with exactly the pixels that it must give."""

import os
import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
from odd_files import (
    SIDE,
    Odd,
    eight,
    flat,
    gray3,
    holes,
    noise,
    over,
    picture,
    printed,
    ramp,
)
from PIL import Image, PngImagePlugin
from raw_files import Array, chunk, png, pnm, put, raw_png, rows, saved, tiff, with_chunk

_DEEP = "16-bit values scaled by 1/257"
_CLEAR = "alpha composited"
_FRAMES = "first of several frames"


def _good(
    kind: str,
    name: str,
    format: str,
    data: bytes,
    pixels: Array,
    note: str | None = None,
    within: int = 0,
) -> Odd:
    return Odd(kind, name, data, format, None, note, pixels, within)


def _jpeg(
    seed: int, kind: str, name: str, behind: bytes = b"", note: str | None = None, **options: Any
) -> Odd:
    data = saved(Image.fromarray(ramp(seed)), "JPEG", quality=100, **options)
    return _good(kind, name, "JPEG", data + behind, ramp(seed), note, within=1)


def _deep() -> list[Odd]:
    gray, colour, ten = noise(20, top=65535), noise(21, 3, top=65535), noise(23, top=1023)
    sides = [np.ascontiguousarray(np.rot90(gray, turn)) for turn in range(4)]
    one, three, four = colour, colour[::-1].copy(), colour[:, ::-1].copy()
    white, wide = noise(24), "16-bit colour"
    return [
        _good("16 bit", "big.png", "PNG", png(sides[0], 16), gray3(eight(sides[0])), _DEEP),
        _good("16 bit", "low.tif", "TIFF", tiff(sides[1], 16, 1), gray3(eight(sides[1])), _DEEP),
        _good("16 bit", "b.tif", "TIFF", tiff(sides[2], 16, 1, ">"), gray3(eight(sides[2])), _DEEP),
        _good("16 bit", "p.pgm", "PPM", pnm(sides[3], 65535), gray3(eight(sides[3])), _DEEP),
        _good("10 bit", "ten.pgm", "PPM", pnm(ten, 1023), gray3(eight(ten, 1023)), _DEEP),
        _good(wide, "deep colour.png", "PNG", png(one, 16), eight(one), _DEEP),
        _good(wide, "deep colour.tif", "TIFF", tiff(three, 16, 2), eight(three), _DEEP),
        _good(wide, "deep colour.ppm", "PPM", pnm(four, 65535), eight(four)),
        _good("interlaced", "laced.png", "PNG", png(noise(46, 3), lace=True), noise(46, 3)),
        _good("zero is white", "white.tif", "TIFF", tiff(white, 8, 0), gray3(255 - white)),
    ]


def _transparent() -> list[Odd]:
    alpha, colour, gray = noise(30), noise(31, 3), noise(32)
    other, third, fourth = noise(33, 3), noise(34, 3), noise(35, 3)
    webp = Image.fromarray(np.dstack([third, alpha]))
    opaque = np.dstack([fourth, np.full_like(alpha, 255)])
    key, tone = other[2, 3], int(gray[4, 5])
    marks = [
        chunk(b"tRNS", struct.pack(">HHH", *map(int, key))),
        chunk(b"tRNS", struct.pack(">H", tone)),
    ]
    at_key = holes(other, (other == key).all(axis=2))
    at_tone = holes(gray3(gray), gray == tone)
    tinted = tiff(np.dstack([other, alpha]), 8, 2, extra=2)
    soft = saved(webp, "WEBP", lossless=True, exact=True)
    over_gray = over(gray3(gray), alpha)
    with_gray = png(np.dstack([gray, alpha]))
    return [
        _good("RGBA", "a.png", "PNG", png(np.dstack([colour, alpha])), over(colour, alpha), _CLEAR),
        _good("RGBA", "a.tif", "TIFF", tinted, over(other, alpha), _CLEAR),
        _good("RGBA", "a.webp", "WEBP", soft, over(third, alpha), _CLEAR),
        _good("RGBA", "opaque.png", "PNG", png(opaque), fourth),
        _good("LA", "gray alpha.png", "PNG", with_gray, over_gray, _CLEAR),
        _good("tRNS in RGB", "key colour.png", "PNG", png(other, 8, marks[0]), at_key, _CLEAR),
        _good("tRNS in gray", "key gray.png", "PNG", png(gray, 8, marks[1]), at_tone, _CLEAR),
    ]


def _few_colours() -> list[Odd]:
    indices, palette = noise(40, top=6), np.ascontiguousarray(noise(41, 3)[0, :7])
    note, kind, glass = "mode P converted", "palette", "palette with alpha"
    sides = [np.ascontiguousarray(np.rot90(indices, turn)) for turn in range(4)]
    images = [Image.fromarray(side, "P") for side in sides]
    for image in images:
        image.putpalette(palette.tobytes())
    colours = [palette[side] for side in sides]
    alpha = np.array([0, 40, 80, 120, 160, 200, 255], np.uint8)
    clear = [saved(images[side], "PNG", transparency=3) for side in (0, 1)]
    clear[1] = saved(images[1], "GIF", transparency=3)
    shaded = saved(images[2], "PNG", transparency=alpha.tobytes())
    opened = [holes(colours[side], sides[side] == 3) for side in (0, 1)]
    both = f"{note}; {_CLEAR}"
    bits, four, two = noise(42, top=1), noise(43, top=15), noise(44, top=3)
    fax = saved(Image.fromarray(bits.T.astype(bool)), "TIFF", compression="group4")
    line = png_of_bits(bits, 1)
    return [
        _good(kind, "palette.png", "PNG", saved(images[0], "PNG"), colours[0], note),
        _good(kind, "palette.gif", "GIF", saved(images[1], "GIF"), colours[1], note),
        _good(kind, "palette.bmp", "BMP", saved(images[2], "BMP"), colours[2], note),
        _good(kind, "palette.tif", "TIFF", saved(images[3], "TIFF"), colours[3], note),
        _good(glass, "holes.png", "PNG", clear[0], opened[0], both),
        _good(glass, "holes.gif", "GIF", clear[1], opened[1], both),
        _good(glass, "glass.png", "PNG", shaded, over(colours[2], alpha[sides[2]]), both),
        _good("1 bit", "1 bit.png", "PNG", line, gray3(255 * bits), "mode 1 converted"),
        _good("1 bit", "fax.tif", "TIFF", fax, gray3(255 * bits.T), "mode 1 converted"),
        _good("2 and 4 bits", "4 bits.png", "PNG", png_of_bits(four, 4), gray3(17 * four)),
        _good("2 and 4 bits", "2 bits.png", "PNG", png_of_bits(two, 2), gray3(85 * two)),
        _good("gray", "gray.png", "PNG", png(noise(45)), gray3(noise(45))),
    ]


def png_of_bits(values: Array, depth: int) -> bytes:
    return raw_png(SIDE, SIDE, depth, 0, chunk(b"IDAT", zlib.compress(rows(values, depth))))


def _other_colours() -> list[Odd]:
    note, ink = "mode CMYK converted", noise(50, 4)
    adobe = [  # inverted, with Adobe's marker
        saved(Image.fromarray(flat(seed, 4), "CMYK"), "JPEG", quality=100) for seed in (1, 2)
    ]
    # The same bytes with Adobe's transform 2: what is stored is Y, Cb, Cr and K, inverted.
    ycck = put(adobe[1], adobe[1].index(b"Adobe") + 11, b"\2")
    y, cb, cr, left = np.moveaxis(255.0 - flat(2, 4), 2, 0)
    rgb = [y + 1.402 * (cr - 128), y - 0.344136 * (cb - 128) - 0.714136 * (cr - 128)]
    rgb.append(y + 1.772 * (cb - 128))
    # libjpeg's C is 255 - R, and what is stored is 255 - C again: R is 255 - stored.
    from_ycck = (255 - np.clip(np.rint(np.stack(rgb, axis=2)), 0, 255)) * left[..., None] / 255
    shown = np.rint(from_ycck).astype(np.uint8)
    lab = saved(Image.new("LAB", (SIDE, SIDE), (255, 128, 128)), "TIFF")
    white = np.full((SIDE, SIDE, 3), 255, np.uint8)
    profile = saved(picture(55), "PNG", icc_profile=bytes(3000))
    broken = with_chunk(png(noise(56, 3)), chunk(b"iCCP", b"k\0\0garbage"))
    unused, ignored = "profile is not applied", "colour profile ignored: it cannot be read"
    return [
        _good("CMYK", "ink.tif", "TIFF", tiff(ink, 8, 5), printed(ink), note),
        _good("CMYK", "adobe.jpg", "JPEG", adobe[0], printed(flat(1, 4)), note, 1),
        _good("YCCK", "ycck.jpg", "JPEG", ycck, shown, note, 1),
        _good("Lab", "lab.tif", "TIFF", lab, white, "mode LAB converted", 1),
        _jpeg(1, "JPEG", "baseline.jpg"),
        _jpeg(2, "JPEG", "progressive.jpg", progressive=True),
        _jpeg(3, "JPEG", "restarts.jpg", restart_marker_rows=1),
        _jpeg(4, "JPEG", "small chroma.jpg", subsampling=2),
        _jpeg(5, unused, "profile.jpg", note=ignored, icc_profile=bytes(200_000)),
        _good(unused, "profile.png", "PNG", profile, noise(55, 3), ignored),
        _good(unused, "no profile.png", "PNG", broken, noise(56, 3)),
    ]


UPRIGHT: dict[int, Callable[[Array], Array]] = {  # upright -> as stored
    1: lambda x: x,
    2: lambda x: x[:, ::-1],
    3: lambda x: x[::-1, ::-1],
    4: lambda x: x[::-1],
    5: lambda x: x.transpose(1, 0, 2),
    6: lambda x: np.rot90(x, 1),
    7: lambda x: np.rot90(x, 2).transpose(1, 0, 2),
    8: lambda x: np.rot90(x, -1),
}


def _exif(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def _turned() -> list[Odd]:
    found = []
    for orientation, undo in UPRIGHT.items():
        note = f"EXIF orientation {orientation} applied" if orientation > 1 else None
        exif = _exif(orientation)
        for place, format in enumerate(("PNG", "TIFF", "WEBP")):
            pixels = noise(60 + 10 * place + orientation, 3)
            stored = Image.fromarray(np.ascontiguousarray(undo(pixels)))
            lossless = {"lossless": True} if format == "WEBP" else {}
            header = exif if format == "TIFF" else exif.tobytes()
            data = saved(stored, format, exif=header, **lossless)
            name = f"turned {orientation}.{format.lower()}"
            found.append(_good("EXIF orientation", name, format, data, pixels, note))
    for orientation in (0, 9, 65535):
        seed = 90 + orientation % 7
        data = saved(picture(seed), "PNG", exif=_exif(orientation).tobytes())
        found.append(_good("no orientation", f"{orientation}.png", "PNG", data, noise(seed, 3)))
    text = PngImagePlugin.PngInfo()
    text.add_itxt("XML:com.adobe.xmp", '<rdf:Description tiff:Orientation="3"/>')
    data, note = saved(picture(110), "PNG", pnginfo=text), "EXIF orientation 3 applied"
    upright = noise(110, 3)[::-1, ::-1]
    found.append(_good("XMP orientation", "xmp.png", "PNG", data, upright, note))
    return found


def _garbage() -> list[Odd]:
    """EXIF that is none: pixels are pixels all the same."""
    ifd = b"Exif\0\0II*\0\x08\0\0\0"
    garbage = {
        "text": b"Exif\0\0garbage",
        "cut": ifd,
        "huge count": ifd + b"\xff\xff",
        "loop": ifd + b"\1\0\x69\x87\4\0\1\0\0\0\x08\0\0\0\x08\0\0\0",
        "string": ifd + b"\1\0\x12\1\2\0\2\0\0\x006\0\0\0\0\0\0\0",
        "float": ifd + b"\1\0\x12\1\x0b\0\1\0\0\0\0\0\xc0@\0\0\0\0",
    }
    found = []
    for seed, (name, raw) in enumerate(garbage.items(), 100):
        data = saved(picture(seed), "PNG", exif=raw)
        found.append(_good("EXIF garbage", f"exif {name}.png", "PNG", data, noise(seed, 3)))
        found.append(_jpeg(seed, "EXIF garbage", f"exif {name}.jpg", exif=raw))
    return found


def _several() -> list[Odd]:
    def frames(format: str, images: list[Array], **options: Any) -> bytes:
        first, *later = map(Image.fromarray, images)
        return saved(first, format, save_all=True, append_images=later, **options)

    several, damaged = "several frames", "a later frame is damaged"
    colours = [noise(seed, 3) for seed in range(120, 128)]
    grays = [noise(seed) for seed in range(130, 134)]
    apng, tif = frames("PNG", colours[3:6]), frames("TIFF", colours[4:7])
    gif, mpo = frames("GIF", grays[1:]), frames("MPO", [ramp(180), ramp(181)], quality=100)
    webp = frames("WEBP", colours[2:5], lossless=True)
    note = f"mode P converted; {_FRAMES}"  # Pillow's GIF writer adds a palette
    return [
        _good(several, "frames.png", "PNG", frames("PNG", colours), colours[0], _FRAMES),
        _good(several, "pages.tif", "TIFF", frames("TIFF", colours[1:]), colours[1], _FRAMES),
        _good(several, "frames.webp", "WEBP", webp, colours[2], _FRAMES),
        _good(several, "frames.gif", "GIF", frames("GIF", grays), gray3(grays[0]), note),
        _good(several, "lenses.jpg", "MPO", mpo, ramp(180), _FRAMES, 1),
        _good(damaged, "cut.png", "PNG", apng[: len(apng) * 2 // 3], colours[3], _FRAMES),
        _good(damaged, "cut.tif", "TIFF", tif[: len(tif) * 2 // 3], colours[4], _FRAMES),
        _good(damaged, "cut.gif", "GIF", gif[:-250], gray3(grays[1]), note),
    ]


def _shapes() -> list[Odd]:
    wide = np.random.default_rng(31).integers(0, 256, (SIDE, 40, 3), np.uint8)
    found = [
        _good("crop", "w.png", "PNG", png(wide), wide[:, 12:28], "cropped 40x16 to 16x16"),
        _good("1x1", "1x1.png", "PNG", png(flat(3)[:1, :1]), flat(3), "resized 1x1 to 16x16"),
    ]
    for seed, (width, height) in enumerate([(10_000, 1), (1, 10_000)], 4):
        name, colour = f"{width}x{height}", tuple(map(int, flat(seed)[0, 0]))
        data = saved(Image.new("RGB", (width, height), colour), "PNG")
        note = f"cropped {name} to 1x1; resized 1x1 to 16x16"
        found.append(_good("extreme shape", f"{name}.png", "PNG", data, flat(seed), note))
    return found


NAMES = {
    "decomposed": ["käse.png", "ka\u0308se.png"],  # the same to the eye
    "dotted": ["dotted.name.v2.png"],
    "spaces": [" with spaces .png", "tab\tin it.png", "new\nline.png"],
    "dash": ["-rf.png"],
    "unicode": ["猫😺.png", "\u202egnp.txt.png"],  # the other is shown from right to left
    "case": ["case.png", "CASE.png", "UPPER.PNG"],
    "long": ["x" * 251 + ".png"],
    "for a shell": ["semi;colon'\"`quote`.png", "%2e%2e%2f.png", "back\\slash.png", "con.png"],
    "no unicode": [os.fsdecode(b"caf\xe9.png")],  # Latin-1
}


def _named() -> list[Odd]:
    pairs = [(kind, name) for kind, names in NAMES.items() for name in names]
    bmp, behind = saved(picture(192), "BMP"), "trailing garbage"
    scripts, archive = b"<script>" * 99, b"PK\5\6" + bytes(18)
    return [
        *[
            _good(f"name: {kind}", name, "PNG", png(noise(seed, 3)), noise(seed, 3))
            for seed, (kind, name) in enumerate(pairs, 200)
        ],
        _good("wrong extension", "a png.jpg", "PNG", png(noise(190, 3)), noise(190, 3)),
        _jpeg(191, "wrong extension", "a jpeg.png"),
        _good("wrong extension", "a bmp.txt", "BMP", bmp, noise(192, 3)),
        _good("no extension", "image", "PNG", png(noise(193, 3)), noise(193, 3)),
        _good(behind, "behind.png", "PNG", png(noise(194, 3)) + scripts, noise(194, 3)),
        _good(behind, "zip.png", "PNG", png(noise(195, 3)) + archive, noise(195, 3)),
        _jpeg(196, behind, "behind.jpg", bytes(999)),
    ]


GOOD = [
    *_deep(),
    *_transparent(),
    *_few_colours(),
    *_other_colours(),
    *_turned(),
    *_garbage(),
    *_several(),
    *_shapes(),
    *_named(),
]
