"""Small files with which a decoder would spend minutes are refused; usual ones are read."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from scoremix.stages.images.excess import refuse_excess
from scoremix.stages.images.unusable import Unusable

PIXELS = Image.fromarray(np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8))


def encoded(kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    PIXELS.save(buffer, kind, **options)
    return buffer.getvalue()


def scans(count: int) -> bytes:
    """A progressive JPEG with its last scan repeated."""
    data = encoded("JPEG", progressive=True)
    place = data.rindex(b"\xff\xda")
    return data[:place] + data[place:-2] * count + data[-2:]


def chunks(count: int) -> bytes:
    data, empty = encoded("PNG"), struct.pack(">I4sI", 0, b"teSt", zlib.crc32(b"teSt"))
    return data[:33] + empty * count + data[33:]


BLANKS = {"comment": b"#" + b"x" * (1 << 17) + b"\n", "blanks": b" " * (1 << 17)}


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (scans(110), "a JPEG of more than 100 scans"),
        (chunks(11_000), "a PNG of more than 10,1"),
        (b"P6\n" + BLANKS["comment"] + b"2 2 255\n" + bytes(12), "a header of more than 64 KiB"),
        (b"P5 2 2" + BLANKS["blanks"] + b"255\n" + bytes(4), "a header of more than 64 KiB"),
    ],
)
def test_excess_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(Unusable, match=why):
        refuse_excess(data)


@pytest.mark.parametrize(
    "data",
    [
        scans(5),
        chunks(5_000),
        encoded("PNG"),
        encoded("PPM"),
        b"P6 300 300 255\n" + b"#" * 270_000,
        b"P4 3000 3000\n" + b"#" * 1_125_000,
        encoded("JPEG") + b"\xff\xda\x00\x02" * 500,  # a film after the image
        encoded("JPEG", comment=b"\xff\xda" * 500),
    ],
    ids=range(8),
)
def test_usual_files_are_read(data: bytes) -> None:
    refuse_excess(data)
    with Image.open(io.BytesIO(data)) as image:
        image.load()
