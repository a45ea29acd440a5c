"""Decodes a file's bytes into prepared pixels, or gives the reason why it cannot.

The format is found by content, never by extension. Where Pillow alone would change pixels without
an error, this module decides: 16-bit values are scaled and not clipped, float images refused, alpha
composited, the EXIF orientation applied, truncated files rejected, and the size in the header is
checked before any pixel is decoded.
"""

import contextlib
import hashlib
import io
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, UnidentifiedImageError
from PIL.Image import Resampling, Transpose

from . import bit_depth, corruption, gif, plugins, tiff
from .colour import to_rgb
from .excess import refuse_excess
from .preparation import Preparation
from .unusable import ExcludedByOption, Unusable, explain

# Formats with a magic number that are decoded in this process; EPS and WMF are not.
_FORMATS = tuple("AVIF BMP GIF HEIF JPEG JPEG2000 JXL PNG PPM QOI TIFF WEBP".split())

# A file of such a name claims to be an image: if it is not, that counts as a bad input.
EXTENSIONS = frozenset(
    ".apng .avif .avifs .bmp .gif .heic .heif .j2k .jfif .jp2 .jpe .jpeg .jpg .jxl .mpo .pbm .pgm"
    " .png .pnm .ppm .qoi .tif .tiff .webp".split()
)

SEVERAL_FRAMES = "first of several frames"  # a note

_STRIP = 256  # rows that are hashed at once
_ORIENTATION_TAG = 0x0112
_ORIENTATIONS = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}


@dataclass(slots=True)
class Decoded:
    """The result for one input: `pixels`, or the `reason` why there are none.

    The other fields are columns of sources.parquet: size and sha256 of the bytes as read; format,
    mode, width and height of the file before preparation; `note`, what preparation changed.
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
    excluded: bool = False  # by an option of the user's: the reason is no damage
    pixel_sha256: str | None = None  # of `pixels`
    whole_sha256: str | None = None  # of a patch: of all pixels of the image it is cut from
    phash: int | None = None  # see similarity.py


@contextlib.contextmanager
def pillow_limits(max_pixels: int) -> Iterator[None]:
    """Sets Pillow's process-wide switches as decoding needs them, and restores them afterwards.

    `max_pixels` also limits images inside images. LOAD_TRUNCATED_IMAGES is off whatever the caller
    set: a training set has no use for half an image.
    """
    limit, truncated = Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES
    plugins.register()  # before threads decode: it is not thread-safe
    Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES = max_pixels, False
    try:
        with warnings.catch_warnings():
            # An input's row has its reason; warnings would repeat it for every file.
            warnings.filterwarnings("ignore", module=r"PIL\.")
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            yield
    finally:
        Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES = limit, truncated


def decode(
    read: Callable[[], bytes], preparation: Preparation, patch: tuple[float, float] | None = None
) -> Decoded:
    """Reads and prepares one input. Never raises: whatever goes wrong becomes the reason.

    patch: take a square of preparation.patch_side instead of the whole image; left and top of it
    are in [0, 1), as parts of the range that keeps it inside the image.
    """
    result = Decoded()
    try:
        data = read()
        result.bytes, result.sha256 = len(data), hashlib.sha256(data).hexdigest()
        with _open(data) as image:
            result.format, result.mode = image.format, image.mode
            result.width, result.height = image.size
            notes: list[str] = []
            plain = _load_plain(image, data, preparation, notes)
            if patch is not None:
                result.whole_sha256 = _hash_pixels(plain)
                plain = _cut_patch(plain, preparation.patch_side, patch, notes)
            pixels = _as_square_array(plain, preparation, notes)
        result.note = "; ".join(notes) or None
        result.gray = preparation.gray or _is_gray(pixels)
        result.pixel_sha256 = hashlib.sha256(pixels.reshape(-1).data).hexdigest()
        result.pixels = pixels
    except Exception as error:  # decoders raise any type, and a bad file never stops a run
        result.reason = explain(error)
        result.excluded = isinstance(error, ExcludedByOption)
    return result


def side_in_header(read: Callable[[], bytes]) -> int | None:
    """Short side in pixels as the header has it; None if it is no image of a known format."""
    size = size_in_header(read)
    return None if size is None else min(size)


def size_in_header(read: Callable[[], bytes]) -> tuple[int, int] | None:
    """Width and height in pixels, as side_in_header has the shorter."""
    try:
        with _open(read()) as image:
            return image.size
    except Exception:  # unreadable is an answer here; decode gives the reason
        return None


def _open(data: bytes) -> Image.Image:
    if not data:
        raise Unusable("empty file (0 bytes)")
    refuse_excess(data)
    # Pillow may be built without some of them, as AVIF; HEIF and JXL come with packages.
    known = [name for name in _FORMATS if name in Image.OPEN]
    try:
        image = Image.open(io.BytesIO(data), formats=known)
        if image.format == "TIFF":
            tiff.seek_full_page(image)
        return image
    except UnidentifiedImageError:
        raise Unusable(_why_unidentified(data, known)) from None
    except Image.DecompressionBombError:  # above twice the limit, without the size
        raise Unusable("more than twice the pixels that ingest.max_pixels allows") from None


def _why_unidentified(data: bytes, formats: list[str]) -> str:
    """Why none of the formats opened it: Pillow's own error does not say."""
    for name in formats:
        factory, accepts = Image.OPEN[name]
        if accepts is None or accepts(data[:16]) is not True:
            continue
        try:
            factory(io.BytesIO(data), "").close()
        except Exception as error:  # what it raises is the answer
            layout = tiff.describe_file(data) if name == "TIFF" else None
            if layout is not None and isinstance(error, SyntaxError):
                return f"damaged or unsupported {name} ({layout} is not read; {tiff.REMEDY})"
            return f"damaged or unsupported {name} ({explain(error)})"
    package = plugins.missing_for(data)
    more = f"; {package}" if package else ""
    return f"not an image in a known format; it begins with {data[:16]!r}{more}"


def _load_plain(
    image: Image.Image, data: bytes, preparation: Preparation, notes: list[str]
) -> Image.Image:
    """The image opened from `data` as RGB or L, upright; adds to `notes` what was changed."""
    _check_header(*image.size, preparation)
    loaded, orientation = _load(image, data, notes)
    profile = None if preparation.ignore_profile else image.info.get("icc_profile")
    plain = to_rgb(loaded, preparation.background, profile, notes)
    if orientation in _ORIENTATIONS:
        notes.append(f"EXIF orientation {orientation} applied")
        # Pillow turns a TIFF while loading it, and drops the tag.
        if image.format != "TIFF":
            plain = plain.transpose(_ORIENTATIONS[orientation])
    page = image.tell()
    if page:
        notes.append(f"page {page + 1}: the first is a thumbnail")
    elif _is_animated(image):
        notes.append(SEVERAL_FRAMES)
    if preparation.gray:
        pixels = np.asarray(plain)
        if not _is_gray(pixels):
            notes.append("colour removed")
        plain = plain.convert("L")
    return plain


def _hash_pixels(image: Image.Image) -> str:
    """sha256 of size and pixels, read in strips: a large image is not copied as a whole."""
    digest = hashlib.sha256(f"{image.mode} {image.width}x{image.height}".encode())
    for top in range(0, image.height, _STRIP):
        strip = image.crop((0, top, image.width, min(top + _STRIP, image.height)))
        digest.update(strip.tobytes())
    return digest.hexdigest()


def _as_square_array(
    image: Image.Image, preparation: Preparation, notes: list[str]
) -> NDArray[np.uint8]:
    """uint8 (R, R, C)."""
    array = np.asarray(_make_square(image, preparation, notes), dtype=np.uint8)
    return array.reshape(preparation.resolution, preparation.resolution, -1)


def _check_header(width: int, height: int, limits: Preparation) -> None:
    """Raises Unusable, before any pixel is decoded, for a size outside the limits."""
    if width * height > limits.max_pixels:
        raise Unusable(
            f"{width}x{height} is {width * height:,} pixels, above ingest.max_pixels"
            f" {limits.max_pixels:,}"
        )
    short, long = sorted((width, height))
    if limits.min_side is not None and short < limits.min_side:
        raise ExcludedByOption(f"short side {short} px is below ingest.min_side {limits.min_side}")
    aspect = long / max(1, short)
    if limits.max_aspect is not None and aspect > limits.max_aspect:
        raise ExcludedByOption(
            f"aspect ratio {aspect:.3g} is above ingest.max_aspect {limits.max_aspect:g}"
        )


def _load(image: Image.Image, data: bytes, notes: list[str]) -> tuple[Image.Image, int | None]:
    """Decodes all pixels of the image opened from `data`, and gives the EXIF orientation.

    Colour of more than 8 bits is scaled to 8. Raises Unusable, or what Pillow does, for damage.
    """
    before = _orientation(image) if image.format == "TIFF" else None
    if tiff.has_planes(image):
        loaded, depth = tiff.read_planes(image, data)
        notes += [bit_depth.NOTE] * (depth > 8)
        return loaded, before
    if image.format == "GIF" and (frame := gif.frame_inside(image)):
        notes.append("frame {2}x{3} at {0},{1} of a GIF of {4}x{5}".format(*frame, *image.size))
        return gif.only_frame(image, frame), before
    raw = bit_depth.raw_mode(image)
    damage = corruption.tiff_damage(image) if image.format == "TIFF" else None
    image.load()
    damage = corruption.png_damage(data, image) if image.format == "PNG" else damage
    if damage:
        raise Unusable(damage)
    if image.format == "PNG":
        bit_depth.scale_transparent_gray(image, data)
    if image.format == "TIFF" and tiff.read_small_palette(image):
        notes.append("colour map of 8-bit values")
    if image.format == "TIFF" and bit_depth.keeps_no_depth(image, raw):
        raise Unusable(f"{tiff.describe(getattr(image, 'tag_v2', {}))} is not read; {tiff.REMEDY}")
    orientation = before or _orientation(image)
    if raw is None:
        return image, orientation
    notes.append(bit_depth.NOTE)
    return bit_depth.scale_colour(image, data, raw), orientation


def _orientation(image: Image.Image) -> int | None:
    try:
        found = image.getexif().get(_ORIENTATION_TAG)
    except Exception:  # damaged EXIF is no damage of the pixels
        return None
    return found if isinstance(found, int) else None


def _is_gray(pixels: NDArray[np.uint8]) -> bool:
    """R == G == B everywhere; the first row decides for most images that are not gray."""
    return all(bool((part == part[:, :, :1]).all()) for part in (pixels[:1], pixels))


def _is_animated(image: Image.Image) -> bool:
    try:
        return bool(getattr(image, "is_animated", False))
    except Exception:  # a later frame is damaged, so there is one; the first was decoded
        return True


def _make_square(image: Image.Image, preparation: Preparation, notes: list[str]) -> Image.Image:
    """Crops, pads or stretches `image` (RGB or L) to a square and resizes it (Lanczos)."""
    side, (width, height) = preparation.resolution, image.size
    if preparation.fit == "pad" and width != height:
        return _pad(image, preparation, notes)
    if preparation.fit == "crop" and width != height:
        short = min(width, height)
        left, top = (width - short) // 2, (height - short) // 2
        image = image.crop((left, top, left + short, top + short))
        notes.append(f"cropped {width}x{height} to {short}x{short}")
    if image.size != (side, side):
        notes.append(f"resized {image.width}x{image.height} to {side}x{side}")
        image = image.resize((side, side), Resampling.LANCZOS)
    return image


def _cut_patch(
    image: Image.Image, side: int, patch: tuple[float, float], notes: list[str]
) -> Image.Image:
    if min(image.size) < side:
        raise ExcludedByOption(
            f"short side {min(image.size)} px is below ingest.patches.size {side}"
        )
    left, top = (
        int(part * (whole - side + 1)) for part, whole in zip(patch, image.size, strict=True)
    )
    notes.append(f"patch {side}x{side} at {left},{top}")
    return image.crop((left, top, left + side, top + side))


def _pad(image: Image.Image, preparation: Preparation, notes: list[str]) -> Image.Image:
    """The whole image in the middle of a square.

    It is resized first: the square around a very long image would be above every limit, and
    resizing must not mix the background into the image's border.
    """
    side, (width, height) = preparation.resolution, image.size
    scale = side / max(width, height)
    inner = max(1, round(width * scale)), max(1, round(height * scale))
    if image.size != inner:
        image = image.resize(inner, Resampling.LANCZOS)
        notes.append(f"resized {width}x{height} to {inner[0]}x{inner[1]}")
    square = Image.new("RGB", (side, side), preparation.background).convert(image.mode)
    square.paste(image, ((side - inner[0]) // 2, (side - inner[1]) // 2))
    notes.append(f"padded to {side}x{side}")
    return square
