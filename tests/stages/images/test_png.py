"""Both encoders: every pixel back, by two readers; what is written is a plain PNG."""

import io
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import tiny
from in_process import cli
from PIL import Image

from scoremix.manifests.errors import ConfigError
from scoremix.manifests.files.atomic import read_parquet
from scoremix.stages.images import png

pytest.importorskip("isal", reason="the extra `fast` is not installed")

SHAPES = [(1, 1, 1), (1, 1, 3), (8, 8, 1), (8, 8, 3), (3, 7, 3), (64, 64, 3), (1, 300, 1)]


@pytest.mark.parametrize("encoder", ["pillow", "isal"])
@pytest.mark.parametrize("shape", SHAPES)
def test_every_pixel_comes_back(shape: tuple[int, ...], encoder: str) -> None:
    random = np.random.default_rng(3)
    smooth = np.cumsum(random.integers(-3, 4, shape), axis=0).astype(np.uint8)  # wraps around
    for pixels in (random.integers(0, 256, shape, dtype=np.uint8), smooth, smooth * 0 + 255):
        data = png.select_encoder(encoder)(pixels)
        with Image.open(io.BytesIO(data)) as image:
            assert image.mode == ("L" if shape[2] == 1 else "RGB")
            assert np.array_equal(np.asarray(image).reshape(shape), pixels)


def test_the_file_is_what_the_standard_says() -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (5, 6, 3), dtype=np.uint8)
    data = png.encode_with_isal(pixels)
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    place, found = 8, {}
    while place < len(data):
        size, kind = struct.unpack(">I4s", data[place : place + 8])
        body = data[place + 8 : place + 8 + size]
        (check,) = struct.unpack(">I", data[place + 8 + size : place + 12 + size])
        assert check == zlib.crc32(kind + body)
        found[kind] = body
        place += 12 + size
    assert list(found) == [b"IHDR", b"IDAT", b"IEND"]
    rows = np.frombuffer(zlib.decompress(found[b"IDAT"]), np.uint8).reshape(5, 19)
    assert (rows[:, 0] == 2).all()  # the filter Up
    assert np.array_equal(np.cumsum(rows[:, 1:], axis=0, dtype=np.uint8).reshape(5, 6, 3), pixels)


def test_a_corpus_by_the_fast_encoder(tmp_path: Path) -> None:
    """The same pixels, in other files, of another recipe; checked to the last pixel."""
    tiny.make_images(tmp_path / "images")
    options = [*tiny.options(), "--set", "generate.method=mixup", "--quiet"]
    tables = {}
    for encoder in ("pillow", "isal"):
        place = ["--data", tmp_path / "images", "--out", tmp_path / encoder]
        assert cli("augment", *place, *options, "--set", f"write.encoder={encoder}") == 0
        assert cli("verify", "--deep", tmp_path / encoder) == 0
        tables[encoder] = read_parquet(tmp_path / encoder / "manifest.parquet")
    slow, fast = tables["pillow"], tables["isal"]
    assert slow["pixel_sha256"].equals(fast["pixel_sha256"])
    assert not slow["recipe_digest"].equals(fast["recipe_digest"])


def test_a_missing_package_is_reported_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "isal", None)
    with pytest.raises(ConfigError, match=r"scoremix-pipeline\[fast\]"):
        png.select_encoder("isal")
    tiny.make_images(tmp_path / "images")
    place = ["--data", tmp_path / "images", "--out", tmp_path / "shards"]
    assert cli("augment", *place, *tiny.options(), "--set", "write.encoder=isal") == 2
    assert "scoremix-pipeline[fast]" in capsys.readouterr().err
    assert not (tmp_path / "shards").exists()
