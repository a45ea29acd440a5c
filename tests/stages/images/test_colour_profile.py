"""ICC profiles: colours come out as sRGB, by the formulas of the standards, or a note says why."""

import io
import struct
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from scoremix.stages.images.decode import Decoded, decode, pillow_limits
from scoremix.stages.images.preparation import Preparation

Array = np.ndarray[Any, Any]
SIDE = 16
HOW = Preparation(SIDE, "crop", False, (0, 0, 255), 1_000_000)
# Primaries under D50 as (X, Y, Z) columns: sRGB (IEC 61966-2-1) and Display P3 (SMPTE EG 432-1).
SRGB = np.array([[0.4361, 0.3851, 0.1431], [0.2225, 0.7169, 0.0606], [0.0139, 0.0971, 0.7141]])
P3 = np.array([[0.5151, 0.2920, 0.1571], [0.2412, 0.6922, 0.0666], [-0.0011, 0.0419, 0.7841]])
WHITE = (0.9642, 1.0, 0.8249)


def profile(matrix: Array | None, gamma: float, name: bytes = b"test") -> bytes:
    """A version 2 profile: a matrix of primaries and a gamma, or gray without a matrix."""

    def xyz(values: Any) -> bytes:
        return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(65536 * value) for value in values))

    curve = b"curv\0\0\0\0" + struct.pack(">IHxx", 1, round(256 * gamma))
    text = b"desc\0\0\0\0" + struct.pack(">I", len(name) + 1) + name + bytes(80)
    tags = {b"desc": text, b"wtpt": xyz(WHITE), b"cprt": b"text\0\0\0\0none\0\0\0\0"}
    if matrix is None:
        tags[b"kTRC"] = curve
    else:
        for place, letter in enumerate((b"r", b"g", b"b")):
            tags |= {letter + b"XYZ": xyz(matrix[:, place]), letter + b"TRC": curve}
    table, body, start = b"", b"", 128 + 4 + 12 * len(tags)
    for tag, value in tags.items():
        value += bytes(-len(value) % 4)
        table += tag + struct.pack(">II", start + len(body), len(value))
        body += value
    space = b"GRAY" if matrix is None else b"RGB "
    head = struct.pack(
        ">I4sI4s4s4s", start + len(body), b"none", 0x02100000, b"mntr", space, b"XYZ "
    )
    head += bytes(12) + b"acsp" + bytes(28) + struct.pack(">3i", 63190, 65536, 54061)
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


def decoded(image: Image.Image, icc: bytes | None, kind: str = "PNG", **changes: Any) -> Decoded:
    buffer = io.BytesIO()
    image.save(buffer, kind, icc_profile=icc)
    how = Preparation(**{**vars(HOW), **changes})
    with pillow_limits(how.max_pixels):
        return decode(buffer.getvalue, how)


def colours(channels: int = 3) -> Array:
    return np.random.default_rng(1).integers(0, 256, (SIDE, SIDE, channels), dtype=np.uint8)


def as_srgb(values: Array, matrix: Array, gamma: float) -> Array:
    """uint8 (..., 3) -> sRGB levels (0..255), clipped to its gamut."""
    linear = (values / 255) ** gamma @ (np.linalg.inv(SRGB) @ matrix).T
    linear = np.clip(linear, 0, 1)
    encoded = np.where(linear < 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return 255 * encoded


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_display_p3_becomes_srgb(kind: str) -> None:
    values = colours()
    image = Image.fromarray(values)
    result = decoded(image, profile(P3, 2.2), kind)
    assert result.pixels is not None
    if kind != "WEBP":  # which is lossy by default
        wanted = as_srgb(values, P3, 2.2)
        assert np.abs(result.pixels - wanted).max() < 3
        assert np.abs(wanted - values).mean() > 5, "or leaving them alone would be as good"
    assert "colour profile test converted to sRGB" in str(result.note)
    kept = decoded(image, profile(P3, 2.2), kind, ignore_profile=True)
    plain = decoded(image, None, kind)
    assert kept.pixels is not None and (kept.pixels == plain.pixels).all()
    assert "profile" not in str(kept.note)


def test_a_profile_of_srgb_changes_nothing() -> None:
    values = colours()
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    result = decoded(Image.fromarray(values), icc)
    assert result.pixels is not None and (result.pixels == values).all() and result.note is None


def test_gray_stays_gray() -> None:
    gray = colours(1)[..., 0]
    for image, icc in (
        (Image.fromarray(gray), profile(None, 1.8)),
        (Image.fromarray(np.dstack([gray] * 3)), profile(P3, 1.8)),
    ):
        result = decoded(image, icc)
        assert result.gray and result.pixels is not None
        wanted = as_srgb(np.dstack([gray] * 3), SRGB, 1.8)
        assert np.abs(result.pixels - wanted).max() < 3
        assert "converted to sRGB" in str(result.note)


def test_alpha_is_kept_and_the_background_is_srgb_already() -> None:
    values = colours(4)
    values[..., 3] = np.where(values[..., 3] < 100, 0, 255)
    result = decoded(Image.fromarray(values), profile(P3, 2.2))
    wanted = as_srgb(values[..., :3], P3, 2.2)
    wanted[values[..., 3] == 0] = HOW.background
    assert result.pixels is not None and np.abs(result.pixels - wanted).max() < 3


@pytest.mark.parametrize(
    ("icc", "reason"),
    [(b"no profile", "cannot be read"), (profile(None, 1.8), "it is not of mode RGB")],
)
def test_a_profile_that_cannot_be_used_is_ignored_with_a_note(icc: bytes, reason: str) -> None:
    values = colours()
    result = decoded(Image.fromarray(values), icc)
    assert result.pixels is not None and (result.pixels == values).all()
    assert "colour profile" in str(result.note) and reason in str(result.note)
