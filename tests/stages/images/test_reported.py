"""Images as users of other tools reported them, each with the pixels that it must give."""

import io
import struct
from typing import Any

import numpy as np
import pytest
import raw_files
import tifffile
from odd_images import png_of_bits
from PIL import Image
from raw_files import Array, chunk, saved, with_chunk

from scoremix.stages.images.decode import Decoded, decode, pillow_limits
from scoremix.stages.images.preparation import Preparation

SIDE = 16
BLUE = (0, 0, 255)
HOW = Preparation(SIDE, "crop", False, BLUE, 1_000_000)


def decoded(data: bytes) -> Decoded:
    with pillow_limits(HOW.max_pixels):
        return decode(lambda: data, HOW)


def noise(*channels: int, top: int = 255) -> Array:
    random = np.random.default_rng(21)
    return random.integers(0, top + 1, (SIDE, SIDE, *channels), dtype=np.uint8)


def stored_tiff(pixels: Array, **options: Any) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, pixels, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_the_transparent_value_of_gray_png_is_one_of_its_own_depth(depth: int) -> None:
    top = 2**depth - 1
    values = noise(top=top)
    for key in range(top + 1):
        file = with_chunk(png_of_bits(values, depth), chunk(b"tRNS", struct.pack(">H", key)))
        wanted = np.repeat((values.astype(int) * 255 // top)[..., None], 3, axis=2)
        wanted[values == key] = BLUE
        result = decoded(file)
        assert result.pixels is not None and (result.pixels == wanted).all(), (depth, key)
        assert "alpha composited" in str(result.note)


def test_the_transparent_value_has_no_more_bits_than_the_image() -> None:
    """17 in 4 bits is 1 (PNG, section 11.3.2.1); Pillow takes it for the gray 17 of the pixels."""
    values = noise(top=15)
    file = with_chunk(png_of_bits(values, 4), chunk(b"tRNS", struct.pack(">H", 17)))
    result = decoded(file)
    assert result.pixels is not None
    assert ((result.pixels == BLUE).all(axis=2) == (values == 1)).all()


@pytest.mark.parametrize("channels", [3, 4])
def test_qoi_is_read(channels: int) -> None:
    colour = noise(channels)
    if channels == 4:
        colour[..., 3] = 255 * (colour[..., 3] > 99)
    result = decoded(saved(Image.fromarray(colour), "QOI"))
    wanted = colour[..., :3].copy()
    if channels == 4:
        wanted[colour[..., 3] == 0] = BLUE
    assert result.reason is None and result.format == "QOI"
    assert result.pixels is not None and (result.pixels == wanted).all()


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("layout", [{"tile": (16, 16)}, {"rowsperstrip": 8}])
@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_tiles_that_were_never_written_are_missed(
    compression: str | None, layout: dict[str, Any], planar: str
) -> None:
    """A sparse TIFF has offset 0 for them, where its header is; that is no image."""
    colour = np.random.default_rng(22).integers(1, 256, (32, 32, 3), dtype=np.uint8)
    laid = np.moveaxis(colour, -1, 0) if planar == "separate" else colour
    options = {"photometric": "rgb", "planarconfig": planar, "compression": compression}
    file = bytearray(stored_tiff(np.ascontiguousarray(laid), **options, **layout))
    with tifffile.TiffFile(io.BytesIO(file)) as opened:
        page: Any = opened.pages[0]
        tags = page.tags
        names = ("TileOffsets", "TileByteCounts") if "tile" in layout else _STRIPS
        for name in names:
            tag = tags[name]
            size = {3: 2, 4: 4}[int(tag.dtype)]
            struct.pack_into("<H" if size == 2 else "<I", file, tag.valueoffset + 2 * size, 0)
    result = decoded(bytes(file))
    assert result.pixels is None
    assert "never written (a sparse TIFF)" in str(result.reason) or compression


_STRIPS = ("StripOffsets", "StripByteCounts")


def test_a_colour_map_of_8_bit_values_is_not_black() -> None:
    random = np.random.default_rng(23)
    index, small = noise(), random.integers(0, 256, (3, 256), dtype=np.uint16)
    file = stored_tiff(index, photometric="palette", colormap=small)
    result = decoded(file)
    assert result.pixels is not None
    assert (result.pixels == np.moveaxis(small[:, index], 0, -1)).all()
    assert "colour map of 8-bit values" in str(result.note)
    large = small * 256 + 7
    result = decoded(stored_tiff(index, photometric="palette", colormap=large))
    assert result.pixels is not None
    assert (result.pixels == np.moveaxis(small[:, index], 0, -1)).all()
    assert "8-bit" not in str(result.note)


def bmp(colour: Array, alpha: Array) -> bytes:
    """32 bits with a mask for alpha: the header of BITMAPV4HEADER."""
    pixels = np.dstack([colour[..., ::-1], alpha])[::-1].tobytes()
    header = struct.pack("<IiiHHIIiiII", 108, SIDE, SIDE, 1, 32, 3, len(pixels), 2835, 2835, 0, 0)
    header += struct.pack("<4I", 0xFF0000, 0xFF00, 0xFF, 0xFF000000) + bytes(108 - 40 - 16)
    size = 14 + len(header)
    return b"BM" + struct.pack("<IHHI", size + len(pixels), 0, 0, size) + header + pixels


def test_a_bmp_whose_alpha_is_empty_is_opaque() -> None:
    colour = noise(3)
    result = decoded(bmp(colour, np.zeros((SIDE, SIDE), np.uint8)))
    assert result.pixels is not None and (result.pixels == colour).all()
    assert result.note == "alpha ignored: it is 0 everywhere"
    half = np.zeros((SIDE, SIDE), np.uint8)
    half[:8] = 255
    result = decoded(bmp(colour, half))
    assert result.pixels is not None
    assert (result.pixels[:8] == colour[:8]).all() and (result.pixels[8:] == BLUE).all()


@pytest.mark.parametrize("palette_first", [False, True])
def test_a_page_of_another_mode_than_its_thumbnail(palette_first: bool) -> None:
    """libtiff's decoder keeps the state of the page that was opened first."""
    random = np.random.default_rng(24)
    colour, index = noise(3), noise()
    palette = random.integers(0, 65536, (3, 256), dtype=np.uint16)
    pages: list[tuple[Array, dict[str, Any]]] = [
        (colour, {"photometric": "rgb"}),
        (index, {"photometric": "palette", "colormap": palette}),
    ]
    shown = [colour, np.moveaxis((palette >> 8)[:, index], 0, -1)]
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as writer:
        for number, (pixels, options) in enumerate(pages[::-1] if palette_first else pages):
            small = pixels[:8, :8] if number == 0 else pixels
            kind = {"subfiletype": 1 - number, "compression": "zlib"}
            writer.write(np.ascontiguousarray(small), **options, **kind)
    result = decoded(buffer.getvalue())
    assert result.pixels is not None and (result.pixels == shown[not palette_first]).all()


def test_the_orientation_behind_the_pixels_of_a_png_counts() -> None:
    """macOS puts eXIf after IDAT, where Pillow finds it once the pixels are read."""
    upright = noise(3)
    stored = np.ascontiguousarray(upright[::-1, ::-1])
    exif = Image.Exif()
    exif[0x0112] = 3
    file = raw_files.png(stored)
    file = file[:-12] + chunk(b"eXIf", exif.tobytes()[6:]) + file[-12:]
    result = decoded(file)
    assert result.pixels is not None and (result.pixels == upright).all()
