"""More than 8 bits: every value becomes its nearest, in whatever order and file the bytes lie."""

import struct
import zlib

import numpy as np
import pytest
import raw_files
from PIL import Image
from raw_files import Array, chunk

from scoremix.stages.images.decode import Decoded, decode, pillow_limits
from scoremix.stages.images.preparation import Preparation

HOW = Preparation(16, "crop", False, (0, 0, 255), 1_000_000)


def decoded(data: bytes) -> Decoded:
    with pillow_limits(HOW.max_pixels):
        return decode(lambda: data, HOW)


def deep(*channels: int) -> Array:
    random = np.random.default_rng(3)
    return random.integers(0, 65536, (16, 16, *channels), dtype=np.uint16)


def nearest(values: Array, top: int = 65535) -> Array:
    return np.rint(values * (255 / top)).astype(np.uint8)


@pytest.mark.parametrize("lace", [False, True])
def test_colour_in_png_keeps_its_low_bytes(lace: bool) -> None:
    values = deep(3)
    result = decoded(raw_files.png(values, 16, lace=lace))
    assert result.pixels is not None and (result.pixels == nearest(values)).all()
    assert (nearest(values) != values >> 8).mean() > 0.2, "or dropping them would be as good"
    assert result.note == "16-bit values scaled by 1/257" and result.mode == "RGB"


@pytest.mark.parametrize("filter", range(5))
def test_every_png_filter_is_undone_on_both_bytes(filter: int) -> None:
    """A row that is stored filtered gives what Pillow's high bytes and arithmetic say."""
    values = np.repeat(deep(3)[:1], 16, axis=0)
    plain = values.astype(">u2").view(np.uint8).reshape(16, -1).astype(int)
    left = np.pad(plain, ((0, 0), (6, 0)))[:, :-6]
    above = np.pad(plain, ((1, 0), (0, 0)))[:-1]
    corner = np.pad(plain, ((1, 0), (6, 0)))[:-1, :-6]
    guess = left + above - corner
    near = [abs(guess - part) for part in (left, above, corner)]
    paeth = np.where(
        (near[0] <= near[1]) & (near[0] <= near[2]),
        left,
        np.where(near[1] <= near[2], above, corner),
    )
    predicted = [np.zeros_like(plain), left, above, (left + above) // 2, paeth][filter]
    stored = ((plain - predicted) % 256).astype(np.uint8)
    data = b"".join(bytes([filter]) + row.tobytes() for row in stored)
    file = raw_files.raw_png(16, 16, 16, 2, chunk(b"IDAT", zlib.compress(data)))
    result = decoded(file)
    assert result.pixels is not None and (result.pixels == nearest(values)).all()


def test_the_transparent_colour_of_a_16_bit_png_is_one_of_16_bits() -> None:
    values = deep(3)
    values[3, 4] = values[5, 6] = (1000, 2000, 3000)
    values[7, 8] = (1000, 2000, 3001)  # the same in its high bytes
    marked = chunk(b"tRNS", struct.pack(">HHH", 1000, 2000, 3000))
    result = decoded(raw_files.png(values, 16, marked))
    wanted = nearest(values)
    wanted[3, 4] = wanted[5, 6] = HOW.background
    assert result.pixels is not None and (result.pixels == wanted).all()
    assert result.note == "16-bit values scaled by 1/257; alpha composited"


@pytest.mark.parametrize("channels", [2, 4])
def test_alpha_of_16_bits_in_png(channels: int) -> None:
    values = deep(channels)
    values[..., -1] = np.where(values[..., -1] < 30000, 0, 65535)
    result = decoded(raw_files.png(values, 16))
    wanted = np.broadcast_to(nearest(values)[..., :-1], (16, 16, 3)).copy()
    wanted[values[..., -1] == 0] = HOW.background
    assert result.pixels is not None and (result.pixels == wanted).all()


@pytest.mark.parametrize("order", "<>")
def test_tiff_in_both_byte_orders(order: str) -> None:
    gray, colour, ink, padded = deep(), deep(3), deep(4), deep(4)
    alpha = deep(4)
    alpha[..., 3] = 65535
    for data, wanted in (
        (raw_files.tiff(gray, 16, 1, order), nearest(gray)[..., None]),
        (raw_files.tiff(colour, 16, 2, order), nearest(colour)),
        (raw_files.tiff(padded, 16, 2, order, extra=0), nearest(padded)[..., :3]),
        (raw_files.tiff(alpha, 16, 2, order, extra=2), nearest(alpha)[..., :3]),
    ):
        result = decoded(data)
        assert result.pixels is not None and (result.pixels == wanted).all(), result.reason
    result = decoded(raw_files.tiff(ink, 16, 5, order))
    left = 255 - nearest(ink).astype(float)
    assert result.pixels is not None
    assert (result.pixels == np.rint(left[..., :3] * left[..., 3:] / 255)).all()


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_deflate"])
def test_compressed_gray_tiff(compression: str) -> None:
    values = deep()
    result = decoded(raw_files.saved(Image.fromarray(values), "TIFF", compression=compression))
    assert result.pixels is not None and (result.pixels == nearest(values)[..., None]).all()


def test_tiff_whose_zero_is_white() -> None:
    values = deep()
    result = decoded(raw_files.tiff(values, 16, 0))
    assert result.pixels is not None
    assert (result.pixels == nearest(65535 - values)[..., None]).all()


def test_tiff_of_12_bits_is_scaled_from_12_bits() -> None:
    values = deep() >> 4
    pairs = values.reshape(16, 8, 2)
    packed = np.stack(
        [pairs[..., 0] >> 4, (pairs[..., 0] & 15) << 4 | pairs[..., 1] >> 8, pairs[..., 1] & 255],
        axis=2,
    ).astype(np.uint8)
    file = raw_files.tiff(packed.reshape(16, 24), 12, 1, changed={256: 16})
    result = decoded(file)
    assert result.pixels is not None, result.reason
    assert (result.pixels == nearest(values, 4095)[..., None]).all()


def test_signed_bytes_are_refused_as_larger_signed_values_are() -> None:
    for kind, bits in ((np.int8, 8), (np.int16, 16), (np.int32, 32)):
        result = decoded(raw_files.tiff(deep().astype(kind), bits, 1, sample=2))
        assert "signed integer pixels" in str(result.reason) and result.pixels is None
