"""What a PNG or TIFF lacks, wherever Pillow does not notice."""

import struct
import time
import zlib

import numpy as np
import pytest
import raw_files
from PIL import Image
from raw_files import chunk

from scoremix.stages.images.decode import decode, pillow_limits
from scoremix.stages.images.preparation import Preparation

HOW = Preparation(8, "crop", False, (255, 255, 255), 1_000_000)
NOISE = np.random.default_rng(5).integers(0, 256, (64, 64, 3), dtype=np.uint8)


def reason(data: bytes) -> str | None:
    with pillow_limits(HOW.max_pixels):
        result = decode(lambda: data, HOW)
    assert (result.pixels is None) == (result.reason is not None)
    return result.reason


def stored(data: bytes, width: int, height: int, depth: int, colour: int, lace: bool) -> bytes:
    pixels = chunk(b"IDAT", zlib.compress(data))
    return raw_files.raw_png(width, height, depth, colour, pixels, lace=lace)


def test_a_png_may_be_cut_nowhere() -> None:
    whole = raw_files.png(NOISE[:8, :8])
    assert reason(whole) is None
    for length in range(len(whole)):
        assert reason(whole[:length]), length


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "BMP", "TIFF", "PPM"])
def test_nor_may_others(kind: str) -> None:
    whole = raw_files.saved(Image.fromarray(NOISE[:16, :16]), kind)
    assert reason(whole) is None
    for length in range(0, len(whole), 7):
        assert reason(whole[:length]), length
    assert reason(whole[:-1])


@pytest.mark.parametrize("lace", [False, True])
@pytest.mark.parametrize(("depth", "colour"), [(1, 0), (8, 0), (8, 6), (16, 2)])
def test_black_images_are_whole_with_all_their_rows_only(
    depth: int, colour: int, lace: bool
) -> None:
    channels = {0: 1, 2: 3, 6: 4}[colour]
    for width in range(1, 10):
        for height in range(1, 10):
            shape = (height, width) if channels == 1 else (height, width, channels)
            data = raw_files.rows(np.zeros(shape, np.uint8), depth, lace)
            assert reason(stored(data, width, height, depth, colour, lace)) is None
            assert reason(stored(data[:-1], width, height, depth, colour, lace))


def test_rows_that_were_never_stored() -> None:
    """Pillow 13 takes this file and leaves the lower half black."""
    data = raw_files.rows(NOISE[:8, :16])
    found = reason(stored(data, 16, 16, 8, 2, False))
    assert found and ("rows are missing" in found or "truncated" in found)


def test_checksums_of_pixel_chunks() -> None:
    stream = zlib.compress(raw_files.rows(NOISE[:8, :8]))
    parts = [chunk(b"IDAT", stream[:50]), chunk(b"IDAT", stream[50:])]
    assert reason(raw_files.raw_png(8, 8, 8, 2, *parts)) is None
    for part in (0, 1):
        wrong = list(parts)
        wrong[part] = raw_files.flipped(wrong[part], len(wrong[part]) - 1)
        assert reason(raw_files.raw_png(8, 8, 8, 2, *wrong)), part


def test_counting_rows_does_not_inflate_a_bomb() -> None:
    """30 MB of stream that would give 30 GB: the count ends where the image does."""
    deflate = zlib.compressobj(9)
    block = deflate.compress(bytes(1 << 20)) + deflate.flush(zlib.Z_FULL_FLUSH)
    once = deflate.compress(bytes(1 << 20)) + deflate.flush(zlib.Z_FULL_FLUSH)
    data = chunk(b"IDAT", block + once * 30_000)
    file = raw_files.raw_png(8, 8, 8, 2, data)
    begin = time.perf_counter()
    reason(file)
    assert time.perf_counter() - begin < 2, "inflating it all takes ten times as long"


def test_later_frames_of_an_animation_are_not_asked_for() -> None:
    frames = [Image.fromarray(np.roll(NOISE, shift, axis=0)) for shift in (0, 1, 2)]
    whole = raw_files.saved(frames[0], "PNG", save_all=True, append_images=frames[1:])
    first = whole.index(b"fdAT")
    assert reason(whole[: first + 100]) is None
    assert reason(whole[: whole.index(b"IDAT") + 100])


@pytest.mark.parametrize("rows", [1, 15])
def test_strips_that_do_not_cover_a_tiff(rows: int) -> None:
    gray = NOISE[:16, :16, 0]
    assert reason(raw_files.tiff(gray, 8, 1)) is None
    wrong = raw_files.tiff(gray, 8, 1, changed={278: rows})
    assert reason(wrong) == "strips are missing from the pixel data"


def test_a_damaged_file_of_a_known_format_differs_from_an_unknown_format() -> None:
    header = raw_files.flipped(raw_files.png(NOISE), 29)
    assert reason(header) == (
        "damaged or unsupported PNG (SyntaxError: broken PNG file (bad header checksum in b'IHDR'))"
    )
    assert str(reason(struct.pack(">I", 7) * 9)).startswith("not an image in a known format")
    palette = raw_files.raw_png(8, 8, 8, 3, chunk(b"IDAT", zlib.compress(bytes(72))))
    assert reason(palette) == "AssertionError: the decoder gave no reason"


def test_a_jpeg_cut_off_and_closed_again_looks_whole() -> None:
    """The limit of what can be known: the format has no checksum, and libjpeg fills in gray."""
    whole = raw_files.saved(Image.fromarray(NOISE), "JPEG")
    half = whole[: len(whole) // 2]
    assert reason(half) and reason(half + b"\xff\xd9") is None
