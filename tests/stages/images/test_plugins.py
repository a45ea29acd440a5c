"""Formats of further packages: read where these are installed, else named with the pip line."""

import importlib.util
import io
import sys
from collections.abc import Iterator
from types import ModuleType

import numpy as np
import pytest
from PIL import Image, ImageFile

from scoremix.stages.images import plugins
from scoremix.stages.images.decode import Decoded, decode, pillow_limits
from scoremix.stages.images.input import names_image
from scoremix.stages.images.preparation import Preparation

HOW = Preparation(8, "crop", False, (0, 0, 255), 1_000_000)
HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"
JXL = b"\0\0\0\x0cJXL \r\n\x87\n"
HAS_HEIF = importlib.util.find_spec("pillow_heif") is not None
HAS_JXL = importlib.util.find_spec("pillow_jxl") is not None


def decoded(data: bytes) -> Decoded:
    with pillow_limits(HOW.max_pixels):
        return decode(lambda: data, HOW)


@pytest.fixture
def registry() -> Iterator[None]:
    """Pillow's formats as they were, afterwards."""
    plugins.register()  # a module that is imported already does not register again
    formats = dict(Image.OPEN), list(Image.ID)
    plugins.register.cache_clear()
    yield
    Image.OPEN.clear()
    Image.OPEN.update(formats[0])
    Image.ID[:] = formats[1]
    plugins.register.cache_clear()


@pytest.mark.parametrize(
    ("data", "package", "is_there"),
    [
        (HEIC, "pillow-heif", HAS_HEIF),
        (JXL, "pillow-jxl-plugin", HAS_JXL),
        (b"\xff\x0a\x10\x10", "pillow-jxl-plugin", HAS_JXL),
    ],
)
def test_the_package_that_is_missing_is_named(data: bytes, package: str, is_there: bool) -> None:
    if is_there:
        pytest.skip(f"{package} is installed")
    assert str(decoded(data).reason).endswith(
        f"is read with another package: pip install {package}"
    )


def test_an_avif_without_its_decoder_names_its_package(registry: None) -> None:
    Image.init()
    Image.OPEN.pop("AVIF", None)
    if importlib.util.find_spec("pillow_avif") is None:
        reason = decoded(b"\0\0\0\x18ftypavif\0\0\0\0").reason
        assert "AVIF is read with another package: pip install pillow-avif-plugin" in str(reason)


def test_a_package_that_is_installed_is_used(
    registry: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a package of that name which knows one image."""

    class Known(ImageFile.ImageFile):
        format = "HEIF"

        def _open(self) -> None:
            self._mode, self._size = "RGB", (8, 8)
            self.tile = [ImageFile._Tile("raw", (0, 0, 8, 8), len(HEIC), ("RGB", 0, 1))]

    def register_heif_opener() -> None:
        Image.register_open("HEIF", Known, lambda head: head[4:12] == b"ftypheic")

    module = ModuleType("pillow_heif")
    module.register_heif_opener = register_heif_opener  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pillow_heif", module)
    Image.OPEN.pop("HEIF", None)
    pixels = np.random.default_rng(2).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    result = decoded(HEIC + pixels.tobytes())
    assert result.pixels is not None, result.reason
    assert (result.pixels == pixels).all() and result.format == "HEIF"


@pytest.mark.parametrize("kind", ["HEIF", "JXL"])
def test_real_files_where_the_packages_are_installed(kind: str) -> None:
    pytest.importorskip({"HEIF": "pillow_heif", "JXL": "pillow_jxl"}[kind])
    plugins.register()
    pixels = np.full((8, 8, 3), (200, 60, 30), np.uint8)
    buffer = io.BytesIO()
    options = {"quality": 100} if kind == "HEIF" else {"lossless": True}
    Image.fromarray(pixels).save(buffer, kind, **options)
    result = decoded(buffer.getvalue())
    assert result.pixels is not None, result.reason
    assert np.abs(result.pixels.astype(int) - pixels).max() <= 4


def test_their_names_claim_images() -> None:
    assert all(map(names_image, ("a.heic", "a.heif", "a.avif", "a.jxl")))
