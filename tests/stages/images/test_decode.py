"""Bytes -> prepared pixels: what Pillow alone would get wrong, and what is refused."""

import hashlib
import io
import struct
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFile

from scoremix.stages.images.decode import Decoded, decode, pillow_limits
from scoremix.stages.images.preparation import Preparation

PLAIN = Preparation(
    resolution=8, fit="crop", gray=False, background=(255, 255, 255), max_pixels=1_000_000
)


@pytest.fixture(autouse=True)
def limits() -> Iterator[None]:
    with pillow_limits(PLAIN.max_pixels):
        yield


def encoded(image: Image.Image, format: str = "PNG", **options: Any) -> Callable[[], bytes]:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue


def prepared(read: Callable[[], bytes], **changes: Any) -> Decoded:
    return decode(read, Preparation(**{**vars(PLAIN), **changes}))


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def test_an_image_of_the_right_size_is_left_alone() -> None:
    pixels = noise(8, 8, 3)
    result = prepared(encoded(Image.fromarray(pixels)))
    assert result.pixels is not None and (result.pixels == pixels).all()
    assert (result.format, result.mode, result.width, result.height) == ("PNG", "RGB", 8, 8)
    assert result.note is None and result.reason is None and not result.gray


def test_16_bit_is_scaled_and_not_clipped() -> None:
    values = np.linspace(0, 65535, 64).reshape(8, 8).astype(np.uint16)
    result = prepared(encoded(Image.fromarray(values)))
    assert result.pixels is not None and result.gray
    assert (result.pixels[:, :, 0] == np.rint(values / 257)).all()
    assert result.note == "16-bit values scaled by 1/257"


def test_16_bit_pgm_and_tiff_too() -> None:
    values = np.arange(64, dtype=np.uint16).reshape(8, 8) * 1040
    pgm = b"P5\n8 8\n65535\n" + values.astype(">u2").tobytes()
    for read in (lambda: pgm, encoded(Image.fromarray(values), "TIFF")):
        result = prepared(read)
        assert result.pixels is not None, result.reason
        assert (result.pixels[:, :, 2] == np.rint(values / 257)).all()


@pytest.mark.parametrize(("dtype", "mode"), [(np.float32, "F"), (np.int32, "I")])
def test_pixels_without_a_range_are_refused(dtype: type, mode: str) -> None:
    result = prepared(encoded(Image.fromarray(np.ones((8, 8), dtype)), "TIFF"))
    assert result.pixels is None and result.mode == mode
    assert "no fixed range" in str(result.reason)


def test_alpha_is_composited_on_the_background() -> None:
    rgba = np.zeros((8, 8, 4), np.uint8)
    rgba[:4] = (200, 0, 0, 255)
    rgba[4:] = (0, 0, 0, 0)
    result = prepared(encoded(Image.fromarray(rgba)), background=(0, 0, 255))
    assert result.pixels is not None
    assert (result.pixels[:4] == (200, 0, 0)).all() and (result.pixels[4:] == (0, 0, 255)).all()
    assert result.note == "alpha composited"


def test_gray_alpha_and_transparent_palette() -> None:
    la = Image.merge("LA", (Image.new("L", (8, 8), 10), Image.new("L", (8, 8), 0)))
    palette = Image.new("P", (8, 8), 3)
    palette.putpalette([0, 0, 0] * 3 + [9, 9, 9])
    for read in (encoded(la), encoded(palette, transparency=3)):
        result = prepared(read)
        assert result.pixels is not None and (result.pixels == 255).all()
        assert "alpha composited" in str(result.note)


def test_opaque_alpha_changes_nothing_worth_a_note() -> None:
    result = prepared(encoded(Image.new("RGBA", (8, 8), (1, 2, 3, 255))))
    assert result.pixels is not None and (result.pixels == (1, 2, 3)).all() and result.note is None


@pytest.mark.parametrize("format", ["PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_once(orientation: int, format: str) -> None:
    upright = noise(8, 8, 3)
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright),  # shown after a quarter turn clockwise
        7: np.rot90(upright, 2).transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    options: dict[str, Any] = {"exif": exif.tobytes() if format != "TIFF" else exif}
    if format == "WEBP":
        options["lossless"] = True
    result = prepared(encoded(Image.fromarray(np.ascontiguousarray(stored)), format, **options))
    assert result.pixels is not None and (result.pixels == upright).all()
    wanted = None if orientation == 1 else f"EXIF orientation {orientation} applied"
    assert result.note == wanted


def test_garbage_in_exif_does_not_cost_the_image() -> None:
    result = prepared(encoded(Image.new("RGB", (8, 8)), "JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff"))
    assert result.pixels is not None and result.reason is None


@pytest.mark.parametrize("mode", ["CMYK", "P", "1", "L", "YCbCr"])
def test_other_modes_are_accepted(mode: str) -> None:
    format = {"CMYK": "JPEG", "YCbCr": "TIFF"}.get(mode, "PNG")
    result = prepared(encoded(Image.new("RGB", (8, 8), (255, 255, 255)).convert(mode), format))
    assert result.pixels is not None and (result.pixels >= 253).all()
    assert result.note == (None if mode == "L" else f"mode {result.mode} converted")


def test_the_first_frame_of_an_animation() -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue", "green")]
    for format in ("GIF", "PNG", "WEBP", "TIFF"):
        options = {"lossless": True} if format == "WEBP" else {}
        read = encoded(frames[0], format, save_all=True, append_images=frames[1:], **options)
        result = prepared(read)
        assert result.pixels is not None and (result.pixels == (255, 0, 0)).all(), format
        assert "first of several frames" in str(result.note)


def test_the_content_counts_and_not_the_name() -> None:
    assert prepared(encoded(Image.new("RGB", (8, 8)), "JPEG")).format == "JPEG"
    data = encoded(Image.new("RGB", (8, 8), "red"))() + b"trailing garbage"
    assert prepared(lambda: data).reason is None


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "TIFF", "GIF", "BMP"])
def test_truncated_files_are_rejected(format: str) -> None:
    data = encoded(Image.fromarray(noise(64, 64, 3)), format)()
    result = prepared(lambda: data[: len(data) // 2])
    assert result.pixels is None and result.reason and "\n" not in result.reason
    assert " at 0x" not in result.reason


def test_truncated_files_are_rejected_even_where_another_library_allows_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    data = encoded(Image.fromarray(noise(64, 64, 3)), "JPEG")()
    with pillow_limits(PLAIN.max_pixels):
        assert prepared(lambda: data[: len(data) // 2]).pixels is None
    assert ImageFile.LOAD_TRUNCATED_IMAGES


def test_a_bomb_is_stopped_at_its_header() -> None:
    assert prepared(encoded(Image.new("1", (2000, 2000)))).reason == (
        "more than twice the pixels that ingest.max_pixels allows"
    )
    assert prepared(encoded(Image.new("1", (1001, 1000)))).reason == (
        "1001x1000 is 1,001,000 pixels, above ingest.max_pixels 1,000,000"
    )


@pytest.mark.parametrize("size", [(31, 90), (90, 31)])
def test_a_short_side_below_the_policy_is_refused(size: tuple[int, int]) -> None:
    read = encoded(Image.new("RGB", size))
    result = prepared(read, min_side=32)
    assert result.reason == "short side 31 px is below ingest.min_side 32"
    assert result.excluded and result.pixels is None and (result.width, result.height) == size
    assert prepared(read, min_side=31).pixels is not None


@pytest.mark.parametrize("size", [(41, 10), (10, 41)])
def test_an_aspect_ratio_above_the_policy_is_refused(size: tuple[int, int]) -> None:
    read = encoded(Image.new("RGB", size))
    result = prepared(read, max_aspect=4.0)
    assert result.reason == "aspect ratio 4.1 is above ingest.max_aspect 4"
    assert result.excluded and result.pixels is None
    assert prepared(read, max_aspect=4.1).pixels is not None


def test_the_policies_look_at_the_header_before_decoding_and_damage_is_none_of_them() -> None:
    data = encoded(Image.fromarray(noise(64, 64, 3)), "JPEG")()[:-500]
    assert prepared(lambda: data, min_side=65).excluded
    damaged = prepared(lambda: data, min_side=64, max_aspect=1.0)
    assert damaged.reason and not damaged.excluded
    bomb = prepared(encoded(Image.new("1", (1001, 1000))), min_side=2000)
    assert "ingest.max_pixels" in str(bomb.reason) and not bomb.excluded


@pytest.mark.parametrize("gray", [False, True])
def test_the_prepared_pixels_are_hashed(gray: bool) -> None:
    result = prepared(encoded(Image.fromarray(noise(9, 12, 3))), gray=gray)
    assert result.pixels is not None and result.pixels.shape == (8, 8, 1 if gray else 3)
    wanted = hashlib.sha256(bytes(result.pixels.ravel())).hexdigest()
    assert result.pixel_sha256 == wanted
    assert prepared(lambda: b"").pixel_sha256 is None


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty file (0 bytes)"),
        (b"<!DOCTYPE html><html>404", "not an image in a known format; it begins with b'<!DOCTYPE"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not an image in a known format"),
    ],
)
def test_what_is_no_image_is_rejected(data: bytes, reason: str) -> None:
    assert str(prepared(lambda: data).reason).startswith(reason)


def test_an_unreadable_file_is_rejected_without_its_path() -> None:
    def read() -> bytes:
        raise PermissionError(13, "Permission denied", "/home/somebody/secret.png")

    assert prepared(read).reason == "PermissionError: Permission denied"


def test_crop_takes_the_middle() -> None:
    pixels = noise(8, 12, 3)
    result = prepared(encoded(Image.fromarray(pixels)))
    assert result.pixels is not None and (result.pixels == pixels[:, 2:10]).all()
    assert result.note == "cropped 12x8 to 8x8"


def test_pad_keeps_everything_on_the_background() -> None:
    pixels = noise(4, 8, 3)
    result = prepared(encoded(Image.fromarray(pixels)), fit="pad", background=(1, 2, 3))
    assert result.pixels is not None and (result.pixels[2:6] == pixels).all()
    assert (result.pixels[:2] == (1, 2, 3)).all() and (result.pixels[6:] == (1, 2, 3)).all()
    assert result.note == "padded to 8x8"


def test_pad_takes_very_long_images() -> None:
    result = prepared(encoded(Image.new("RGB", (100_000, 1), "red")), fit="pad")
    assert result.pixels is not None and (result.pixels != 255).any()


def test_stretch_uses_everything() -> None:
    image = Image.fromarray(noise(16, 24, 3))
    result = prepared(encoded(image), fit="stretch")
    wanted = np.asarray(image.resize((8, 8), Image.Resampling.LANCZOS))
    assert result.pixels is not None and (result.pixels == wanted).all()
    assert result.note == "resized 24x16 to 8x8"


def test_shrinking_is_antialiased() -> None:
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    result = prepared(encoded(Image.fromarray(stripes)))
    assert result.pixels is not None
    assert np.abs(result.pixels[:, 1:-1].astype(int) - 127).max() <= 2


def test_gray_is_pillows_luminance() -> None:
    image = Image.fromarray(noise(8, 8, 3))
    result = prepared(encoded(image), gray=True)
    assert result.pixels is not None and result.pixels.shape == (8, 8, 1)
    assert (result.pixels[:, :, 0] == np.asarray(image.convert("L"))).all()
    assert result.note == "colour removed"


def test_gray_from_gray_loses_nothing_on_either_way() -> None:
    read = encoded(Image.fromarray(noise(20, 31)))
    one, three = prepared(read, gray=True), prepared(read)
    assert one.pixels is not None and three.pixels is not None and three.gray
    assert (one.pixels == three.pixels).all() and one.note == three.note


@pytest.mark.parametrize("transparent", [False, True])
def test_a_gif_frame_smaller_than_its_screen_lies_on_the_background(transparent: bool) -> None:
    """What the frame does not cover is transparent, as browsers show it, and not colour 0."""
    gray = np.random.default_rng(4).integers(1, 250, (4, 4), dtype=np.uint8)
    options = {"transparency": int(gray[1, 1])} if transparent else {}
    buffer = io.BytesIO()
    Image.fromarray(gray).save(buffer, "GIF", optimize=False, **options)
    data = bytearray(buffer.getvalue())
    start = data.index(b"\x2c", 13 + 3 * 256)
    struct.pack_into("<HH", data, 6, 8, 8)  # the screen
    struct.pack_into("<HH", data, start + 1, 2, 3)  # left and top of the frame
    how = Preparation(8, "crop", False, (0, 0, 255), 1_000_000)
    with pillow_limits(how.max_pixels):
        result = decode(lambda: bytes(data), how)
    wanted = np.tile(np.array([0, 0, 255], np.uint8), (8, 8, 1))
    wanted[3:7, 2:6] = gray[..., None]
    if transparent:
        wanted[3:7, 2:6][gray == gray[1, 1]] = (0, 0, 255)
    assert result.pixels is not None and (result.pixels == wanted).all()
    assert "frame 4x4 at 2,3 of a GIF of 8x8" in str(result.note)
