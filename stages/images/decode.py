"""decode: a file's bytes become prepared pixels, or a reason why they could not.

The format is found by content, never by extension. What Pillow alone would do silently and wrongly
is done here on purpose: 16-bit values are scaled and not clipped, float images refused, alpha
composited, the EXIF orientation applied, truncated files rejected, and the size in the header is
checked before any pixel is decoded.
"""

import contextlib
import hashlib
import io
import re
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, UnidentifiedImageError
from PIL.Image import Resampling, Transpose

from . import bit_depth, corruption

Fit = Literal["crop", "pad", "stretch"]

# Formats that are told by a magic number and decoded in this process; EPS and WMF are not.
_FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "QOI", "TIFF", "WEBP")

# A file of such a name claims to be an image: if it is not, that counts as a bad input.
EXTENSIONS = frozenset(
    ".apng .avif .avifs .bmp .gif .heic .heif .j2k .jfif .jp2 .jpe .jpeg .jpg .mpo .pbm .pgm .png"
    " .pnm .ppm .qoi .tif .tiff .webp".split()
)

_ORIENTATION_TAG = 0x0112
_UPRIGHT = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}
_REASON_LENGTH = 200  # characters


class Unusable(Exception):
    """Our own refusal of an input; the message is the whole reason."""


class LeftOut(Unusable):
    """A refusal that the user's options ask for: nothing is wrong with the input."""


@dataclass(frozen=True)
class Preparation:
    """What every image is brought to: uint8 (resolution, resolution, 1 if gray else 3)."""

    resolution: int  # side in pixels
    fit: Fit
    gray: bool  # one channel, Pillow's L = 0.299 R + 0.587 G + 0.114 B
    background: tuple[int, int, int]  # under transparency, and around a padded image
    max_pixels: int  # width x height in the header
    min_side: int | None = None  # short side in the header, at least
    max_aspect: float | None = None  # long side / short side in the header, at most
    patch_side: int = 0  # of patches, in pixels of the image they are cut from


@dataclass(slots=True)
class Decoded:
    """What became of one input; `pixels` is None exactly where `reason` says why.

    The facts are those of sources.parquet: size and sha256 of the bytes as read; format, mode,
    width and height of the file before preparation; `note`, what preparation changed.
    """

    pixels: NDArray[np.uint8] | None = None  # (R, R, C)
    gray: bool = False  # R == G == B in every prepared pixel
    reason: str | None = None
    bytes: int | None = None
    sha256: str | None = None
    format: str | None = None
    mode: str | None = None
    width: int | None = None
    height: int | None = None
    note: str | None = None
    policy: bool = False  # the reason is an option of the user's, and no damage
    pixel_sha256: str | None = None  # of `pixels`
    phash: int | None = None  # see duplicates.py


@contextlib.contextmanager
def pillow_limits(max_pixels: int) -> Iterator[None]:
    """Pillow's process-wide switches as decoding needs them, put back afterwards.

    `max_pixels` also guards images inside images; whoever set LOAD_TRUNCATED_IMAGES meant
    something else than a training set.
    """
    limit, truncated = Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES
    Image.init()  # here and not in threads, which would race for it
    Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES = max_pixels, False
    try:
        with warnings.catch_warnings():
            # What matters of an input is in its row; Pillow would say it again for every file.
            warnings.filterwarnings("ignore", module=r"PIL\.")
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            yield
    finally:
        Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES = limit, truncated


def decode(
    read: Callable[[], bytes], how: Preparation, patch: tuple[float, float] | None = None
) -> Decoded:
    """Reads and prepares one input. Never raises: whatever goes wrong becomes the reason.

    patch: take a square of how.patch_side instead of the whole image; its place, left and top, as
    parts in [0, 1) of where it can be.
    """
    result = Decoded()
    try:
        data = read()
        result.bytes, result.sha256 = len(data), hashlib.sha256(data).hexdigest()
        with _open(data) as image:
            result.format, result.mode = image.format, image.mode
            result.width, result.height = image.size
            pixels, notes = _prepare(image, data, how, patch)
        result.note = "; ".join(notes) or None
        result.gray = how.gray or _is_gray(pixels)
        result.pixel_sha256 = hashlib.sha256(pixels.reshape(-1).data).hexdigest()
        result.pixels = pixels
    except Exception as error:  # decoders raise what they like, and a bad file never stops a run
        result.reason = explain(error)
        result.policy = isinstance(error, LeftOut)
    return result


def side_in_header(read: Callable[[], bytes]) -> int | None:
    """Short side in pixels as the header has it; None if this is no image that we know."""
    try:
        with _open(read()) as image:
            return min(image.size)
    except Exception:  # unreadable is an answer here; the reason comes with decode
        return None


def explain(error: Exception) -> str:
    """An exception in one line, without what differs from run to run (addresses, paths)."""
    if isinstance(error, Unusable):
        return str(error)
    text = str(error)
    if isinstance(error, OSError) and error.strerror:
        text = error.strerror
    text = " ".join(re.sub(r"<[^<>]* at 0x[0-9a-fA-F]+>", "the data", text).split())
    text = text or "the decoder gave no reason"
    return f"{type(error).__name__}: {text}"[:_REASON_LENGTH].rstrip(": ")


def _open(data: bytes) -> Image.Image:
    if not data:
        raise Unusable("empty file (0 bytes)")
    # A Pillow built without AVIF, say, does not know that name at all.
    known = [name for name in _FORMATS if name in Image.OPEN]
    try:
        return Image.open(io.BytesIO(data), formats=known)
    except UnidentifiedImageError:
        raise Unusable(_unknown(data, known)) from None
    except Image.DecompressionBombError:  # above twice the limit, Pillow does not tell the size
        raise Unusable("more than twice the pixels that ingest.max_pixels allows") from None


def _unknown(data: bytes, formats: list[str]) -> str:
    """Why none of the formats opened it: Pillow keeps to itself what it found on the way."""
    for name in formats:
        factory, accepts = Image.OPEN[name]
        if accepts is None or accepts(data[:16]) is not True:
            continue
        try:
            factory(io.BytesIO(data), "").close()
        except Exception as error:  # what it raises is the answer
            return f"damaged or unsupported {name} ({explain(error)})"
    return f"not an image in a known format; it begins with {data[:16]!r}"


def _prepare(
    image: Image.Image, data: bytes, how: Preparation, patch: tuple[float, float] | None
) -> tuple[NDArray[np.uint8], list[str]]:
    """The image opened from `data` -> pixels (R, R, C) and what was changed on the way."""
    width, height = image.size
    if width * height > how.max_pixels:
        raise Unusable(
            f"{width}x{height} is {width * height:,} pixels, above ingest.max_pixels"
            f" {how.max_pixels:,}"
        )
    if how.min_side is not None and min(width, height) < how.min_side:
        raise LeftOut(f"short side {min(width, height)} px is below ingest.min_side {how.min_side}")
    aspect = max(width, height) / max(1, min(width, height))
    if how.max_aspect is not None and aspect > how.max_aspect:
        raise LeftOut(f"aspect ratio {aspect:.3g} is above ingest.max_aspect {how.max_aspect:g}")
    notes: list[str] = []
    raw = bit_depth.raw_mode(image)
    missing = corruption.in_tiff(image) if image.format == "TIFF" else None
    orientation = _load(image)
    missing = corruption.in_png(data, image) if image.format == "PNG" else missing
    if missing:
        raise Unusable(missing)
    if raw is None:
        plain = _to_rgb(image, how.background, notes)
    else:
        notes.append(bit_depth.NOTE)
        plain = _to_rgb(bit_depth.from_colour(image, data, raw), how.background, notes)
    if orientation in _UPRIGHT:
        notes.append(f"EXIF orientation {orientation} applied")
        # Pillow turns a TIFF by itself while loading it, and forgets the tag.
        if image.format != "TIFF":
            plain = plain.transpose(_UPRIGHT[orientation])
    if _is_animated(image):
        notes.append("first of several frames")
    if how.gray:
        pixels = np.asarray(plain)
        if not _is_gray(pixels):
            notes.append("colour removed")
        plain = plain.convert("L")
    if patch is not None:
        plain = _cut(plain, how.patch_side, patch, notes)
    plain = _fit(plain, how, notes)
    array = np.asarray(plain, dtype=np.uint8)
    return array.reshape(how.resolution, how.resolution, -1), notes


def _load(image: Image.Image) -> int | None:
    """Decodes all pixels (truncated data raises here) and gives the EXIF orientation."""
    before = _orientation(image) if image.format == "TIFF" else None
    image.load()
    return before or _orientation(image)


def _orientation(image: Image.Image) -> int | None:
    try:
        found = image.getexif().get(_ORIENTATION_TAG)
    except Exception:  # garbage in EXIF says nothing about the pixels
        return None
    return found if isinstance(found, int) else None


def _is_gray(pixels: NDArray[np.uint8]) -> bool:
    """R == G == B everywhere; most images that are not show it in their first row."""
    return all(bool((part == part[:, :, :1]).all()) for part in (pixels[:1], pixels))


def _is_animated(image: Image.Image) -> bool:
    try:
        return bool(getattr(image, "is_animated", False))
    except Exception:  # a later frame is damaged, so there is one; the first was decoded
        return True


def _to_rgb(image: Image.Image, background: tuple[int, int, int], notes: list[str]) -> Image.Image:
    """Any accepted mode -> RGB without loss of range."""
    mode = image.mode
    if mode.startswith("I;16") or (mode == "I" and image.format in ("PNG", "PPM")):
        image = bit_depth.from_gray(image)
        notes.append(bit_depth.NOTE)
    elif mode in ("F", "I") or mode.startswith("I;") or bit_depth.is_signed(image):
        kind = "floating-point" if mode == "F" else "32-bit or signed integer"
        raise Unusable(f"{kind} pixels (mode {mode}) have no fixed range; save it as 8 or 16 bit")
    elif mode not in ("RGB", "RGBA", "L", "LA"):
        notes.append(f"mode {mode} converted")
    if not image.has_transparency_data:
        return image if image.mode == "RGB" else image.convert("RGB")
    layer = image.convert("RGBA")
    lowest, _ = layer.getchannel("A").getextrema()
    if lowest == 255:
        return layer.convert("RGB")
    notes.append("alpha composited")
    base = Image.new("RGBA", layer.size, (*background, 255))
    return Image.alpha_composite(base, layer).convert("RGB")


def _fit(image: Image.Image, how: Preparation, notes: list[str]) -> Image.Image:
    """Brings `image` (RGB or L) to the square of the wanted side, Lanczos with antialiasing."""
    side, (width, height) = how.resolution, image.size
    if how.fit == "pad" and width != height:
        return _pad(image, how, notes)
    if how.fit == "crop" and width != height:
        short = min(width, height)
        left, top = (width - short) // 2, (height - short) // 2
        image = image.crop((left, top, left + short, top + short))
        notes.append(f"cropped {width}x{height} to {short}x{short}")
    if image.size != (side, side):
        notes.append(f"resized {image.width}x{image.height} to {side}x{side}")
        image = image.resize((side, side), Resampling.LANCZOS)
    return image


def _cut(
    image: Image.Image, side: int, patch: tuple[float, float], notes: list[str]
) -> Image.Image:
    if min(image.size) < side:
        raise LeftOut(f"short side {min(image.size)} px is below ingest.patches.size {side}")
    left, top = (
        int(part * (whole - side + 1)) for part, whole in zip(patch, image.size, strict=True)
    )
    notes.append(f"patch {side}x{side} at {left},{top}")
    return image.crop((left, top, left + side, top + side))


def _pad(image: Image.Image, how: Preparation, notes: list[str]) -> Image.Image:
    """The whole image in the middle of a square.

    Resized first: the square around a very long image would be larger than any limit, and the
    background must not ring into the image's border.
    """
    side, (width, height) = how.resolution, image.size
    scale = side / max(width, height)
    inner = max(1, round(width * scale)), max(1, round(height * scale))
    if image.size != inner:
        image = image.resize(inner, Resampling.LANCZOS)
        notes.append(f"resized {width}x{height} to {inner[0]}x{inner[1]}")
    square = Image.new("RGB", (side, side), how.background).convert(image.mode)
    square.paste(image, ((side - inner[0]) // 2, (side - inner[1]) // 2))
    notes.append(f"padded to {side}x{side}")
    return square
