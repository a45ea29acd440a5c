"""Decodes image files whole and records what each is: size, mode, format, damage.

The format is found by content. Only formats that Pillow decodes in this process count: for an .eps
or a .pdf it would start other programs.
"""

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from PIL import Image, UnidentifiedImageError

from ..common.progress import Progress
from ..images.bit_depth import is_deep
from ..images.decode import EXTENSIONS, pillow_limits
from ..images.decode_pool import DecodePool
from ..images.input import Input
from ..images.tiff import has_planes
from ..images.unusable import explain
from ..sources.base import TooLarge
from .file_index import FileIndex

MAX_PIXELS = 100_000_000  # width x height; no trainer takes an image of 10,000 x 10,000
_FORMATS = "AVIF BMP DDS GIF ICO JPEG JPEG2000 MPO PNG PPM QOI SGI TIFF WEBP XBM XPM".split()
_BY_ENDING = {".tga": "TGA", ".pcx": "PCX"}  # their content has no magic number
_THREADS = 8
_BIT_DEPTH = 24  # of a PNG: signature 8, length 4, "IHDR" 4, width 4, height 4
_ORIENTATION_TAG = 0x0112
_WIDE = ("I", "F")


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """One file. `problem` is the rule that it breaks, and then the rest may be unknown."""

    width: int = 0  # pixels
    height: int = 0
    mode: str = ""  # Pillow's
    format: str = ""
    wide: bool = False  # more than 8 bits a channel
    planes: bool = False  # and the channels lie apart
    alpha: bool = False
    animated: bool = False
    turned: bool = False  # by EXIF
    problem: str | None = None
    detail: str = ""

    @property
    def size(self) -> str:
        """Width and height in pixels, as "64x64"."""
        return f"{self.width}x{self.height}"


def pillow_endings() -> frozenset[str]:
    """Lower-case endings of file names that Pillow, and so the stylegan reader, calls images."""
    Image.init()
    return frozenset(Image.EXTENSION)


def ending(name: str) -> str:
    """ ".PNG" of "a/b.PNG", as os.path.splitext has it: a leading dot is no ending."""
    base = name.rsplit("/", 1)[-1].lstrip(".")
    dot = base.rfind(".")
    return base[dot:] if dot >= 0 else ""


def is_meant_as_image(name: str, facts: dict[str, ImageFacts]) -> bool:
    """Whether a file is meant as an image: it is one, or has the name of one that is not decoded.

    Photos in HEIC are that, where Pillow has no plugin for them.
    """
    found = facts.get(name)
    if found is None:
        return False
    return found.problem != "not-an-image" or ending(name).lower() in EXTENSIONS


def read_image_facts(index: FileIndex, progress: Progress) -> dict[str, ImageFacts]:
    """Decodes every member that is named like an image; name -> facts, equal facts shared."""
    endings = pillow_endings() | EXTENSIONS
    images = [one for one in index.members if ending(one.name).lower() in endings]
    found = decode_all(((one.name, one) for one in images), len(images), progress)
    return dict(found)


def decode_all(
    items: Iterable[tuple[str, Input]], total: int, progress: Progress
) -> Iterator[tuple[str, ImageFacts]]:
    """(name, facts) in the order of `items`, decoded in threads, few of them in memory."""
    shared: dict[ImageFacts, ImageFacts] = {}
    with (
        pillow_limits(MAX_PIXELS),
        DecodePool(_THREADS) as pool,
        progress.task("check", total, "images") as advance,
    ):
        for name, facts in pool.map(_decode_input, items):
            advance(1)
            yield name, shared.setdefault(facts, facts)


def _decode_input(item: tuple[str, Input]) -> tuple[str, ImageFacts]:
    name, image = item
    try:
        if image.refused:
            return name, ImageFacts(problem="unreadable", detail=image.refused)
        return name, decode_one(image.read(), ending(name).lower())
    except TooLarge as error:
        return name, ImageFacts(problem="too-large", detail=str(error))
    except Exception as error:  # a broken zip member raises its codec's many types
        return name, ImageFacts(problem="unreadable", detail=explain(error))


def decode_one(data: bytes, name_ending: str = "") -> ImageFacts:
    """The facts of a file's bytes; never raises for what they hold."""
    if not data:
        return ImageFacts(problem="empty-file", detail="0 bytes")
    try:
        formats = [*_FORMATS, _BY_ENDING.get(name_ending, "PNG")]
        known = [name for name in formats if name in Image.OPEN]
        image = Image.open(io.BytesIO(data), formats=known)
    except UnidentifiedImageError:
        return ImageFacts(problem="not-an-image", detail=f"begins with {data[:8]!r}")
    except Image.DecompressionBombError:
        return ImageFacts(problem="too-large", detail=f"more than {MAX_PIXELS:,} pixels")
    except Exception as error:
        return ImageFacts(problem="damaged-image", detail=explain(error))
    with image:
        return _decoded(image, data)


def _decoded(image: Image.Image, data: bytes) -> ImageFacts:
    width, height = image.size
    if width * height > MAX_PIXELS:
        return ImageFacts(problem="too-large", detail=f"{width}x{height}")
    form, mode, deep, planes = image.format or "", image.mode, is_deep(image), has_planes(image)
    try:
        animated = getattr(image, "n_frames", 1) > 1 and form != "MPO"
        turned = image.getexif().get(_ORIENTATION_TAG, 1) not in (0, 1)
        image.load()
    except Exception as error:
        return ImageFacts(problem="damaged-image", detail=explain(error))
    deep_png = form == "PNG" and data[_BIT_DEPTH : _BIT_DEPTH + 1] == b"\x10"
    wide = deep or deep_png or mode in _WIDE or mode.startswith("I;")
    alpha = image.has_transparency_data
    return ImageFacts(width, height, mode, form, wide, deep and planes, alpha, animated, turned)
