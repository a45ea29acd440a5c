"""Reads TIFF files whose channels lie apart (PlanarConfiguration 2), and describes layouts.

Pillow unpacks the planes of 16-bit colour as bytes of 8-bit colour, drops low bytes where they are
compressed, and fails at planes of alpha. Here every plane is read as a gray image of its own: a
directory that names its strips alone is put at the end of the file (TIFF 6.0, sections 2 and 8).
"""

import io
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin

from . import bit_depth, corruption
from .unusable import Unusable

# Tags of TIFF 6.0, sections 8 and 18.
_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _FILL_ORDER = 256, 257, 258, 259, 262, 266
_STRIP_OFFSETS, _ORIENTATION, _SAMPLES, _STRIP_ROWS, _STRIP_BYTES = 273, 274, 277, 278, 279
_PLANAR, _PREDICTOR, _COLOUR_MAP = 284, 317, 320
_TILE_WIDTH, _TILE_HEIGHT, _TILE_OFFSETS, _TILE_BYTES = 322, 323, 324, 325
_NEW_SUBFILE, _OLD_SUBFILE, _SUB_IFDS = 254, 255, 330
_REDUCED, _MASK = 1, 4  # bits of NewSubfileType
_MAX_PAGES = 1000  # that are looked at for the image behind a thumbnail
_OLD_REDUCED = 2  # SubfileType of older programs
_EXTRA_SAMPLES, _SAMPLE_FORMAT = 338, 339
_SEPARATE, _ASSOCIATED, _UNSPECIFIED = 2, 1, 0
_JPEG = (6, 7)
_COLOURS = {0: 1, 1: 1, 2: 3, 5: 4}  # channels by photometric interpretation: gray, RGB, CMYK
_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
_COPIED = (
    *(_WIDTH, _HEIGHT, _COMPRESSION, _FILL_ORDER, _ORIENTATION, _PREDICTOR),
    *(_STRIP_ROWS, _TILE_WIDTH, _TILE_HEIGHT),
)
REMEDY = "save it as interleaved RGB of 8 or 16 bits"


def seek_full_page(image: Image.Image) -> None:
    """Where the first page is a thumbnail, goes to the largest that is none.

    Raises:
        Unusable: there is no such page, and the image lies in a SubIFD, which Pillow does not read.
        DecompressionBombError: a page has more than twice the pixels that are allowed.
    """
    if not _is_thumbnail(image):
        return
    sizes: dict[int, int] = {}
    page = 1
    try:
        while page < _MAX_PAGES:
            image.seek(page)
            if not _is_thumbnail(image) and not _tags(image).get(_NEW_SUBFILE, 0) & _MASK:
                sizes[page] = image.width * image.height
            page += 1
    except Image.DecompressionBombError:
        raise
    except Exception:  # the end, or damage: pages up to there count
        pass
    image.seek(max(sizes, key=lambda number: (sizes[number], -number), default=0))
    if not sizes and _SUB_IFDS in _tags(image):
        raise Unusable(f"its pages are thumbnails, and the image is in a SubIFD; {REMEDY}")


def _is_thumbnail(image: Image.Image) -> bool:
    tags = _tags(image)
    return bool(tags.get(_NEW_SUBFILE, 0) & _REDUCED) or tags.get(_OLD_SUBFILE) == _OLD_REDUCED


def _tags(image: Image.Image) -> Any:
    return getattr(image, "tag_v2", {})


def has_planes(image: Image.Image) -> bool:
    """Whether the file's channels lie apart, other than in JPEG, which Pillow reads."""
    tags = _tags(image)
    apart = tags.get(_PLANAR, 1) == _SEPARATE and tags.get(_SAMPLES, 1) > 1
    return apart and tags.get(_COMPRESSION, 1) not in _JPEG


def read_planes(image: Image.Image, data: bytes) -> tuple[Image.Image, int]:
    """The image of modes L, LA, RGB, RGBA or CMYK, and the bits of its channels in the file.

    image: opened from `data` and not loaded; the orientation is applied.

    Raises:
        Unusable: other than 8 or 16 unsigned bits of gray, RGB or CMYK; gray of more planes than
            two; planes missing.
        Exception: whatever Pillow raises for damaged strips.
    """
    tags = _tags(image)
    samples, photometric = tags.get(_SAMPLES, 1), tags.get(_PHOTOMETRIC, 0)
    bits = set(tags.get(_BITS, (1,)))
    formats = set(tags.get(_SAMPLE_FORMAT, (1,)))
    colours = _COLOURS.get(photometric, 0)
    extra = tags.get(_EXTRA_SAMPLES, ())
    is_gray_stack = colours == 1 and samples > 2  # of bands: which is the gray one is not known
    if bits not in ({8}, {16}) or formats != {1} or not 0 < colours <= samples or is_gray_stack:
        raise Unusable(f"{describe(tags)} is not read; {REMEDY}")
    depth = bits.pop()
    kind = extra[0] if extra else (2 if samples > colours else _UNSPECIFIED)
    channels = colours + (kind != _UNSPECIFIED and photometric != 5)
    planes = [_read_plane(data, tags, number, samples, depth) for number in range(channels)]
    top = 2**depth - 1
    values = np.stack(planes, axis=2).astype(np.uint16)
    if photometric == 0:
        values[..., :colours] = top - values[..., :colours]
    return _assemble(values, depth, photometric == 5, kind == _ASSOCIATED), depth


def read_small_palette(image: Image.Image) -> bool:
    """Whether a loaded palette image has a colour map of 8-bit values, which is then put right.

    They have 16 bits (TIFF 6.0, section 5), of which Pillow takes the high ones. Some programs
    store 0..255, and all colours become black: where no value is larger, they are that, as libtiff
    has it (checkcmap in tif_getimage.c).
    """
    values = _tags(image).get(_COLOUR_MAP, ())
    if image.mode not in ("P", "PA") or len(values) % 3 or not 0 < max(values, default=0) < 256:
        return False
    image.putpalette(np.array(values, np.uint8).reshape(3, -1).T.tobytes())  # reds come first
    return True


def _assemble(values: NDArray[np.uint16], depth: int, is_ink: bool, premultiplied: bool) -> Any:
    """(H, W, channels) of 8 or 16 bits -> an 8-bit image."""
    channels = values.shape[2]
    mode = "CMYK" if is_ink else _MODES[channels]
    if depth == 16:
        if premultiplied and channels in (2, 4):
            values = bit_depth.divide_by_alpha(values)
        return bit_depth.image_of(values, mode)
    stored = mode[:-1] + "a" if premultiplied and mode in ("LA", "RGBA") else mode
    height, width = values.shape[:2]
    image = Image.frombytes(stored, (width, height), values.astype(np.uint8).tobytes())
    return image if stored == mode else image.convert(mode)


def _read_plane(data: bytes, tags: Any, number: int, samples: int, depth: int) -> NDArray[Any]:
    """(H, W) of one channel."""
    tiled = _TILE_OFFSETS in tags
    places, lengths = (_TILE_OFFSETS, _TILE_BYTES) if tiled else (_STRIP_OFFSETS, _STRIP_BYTES)
    offsets, sizes = tags.get(places, ()), tags.get(lengths, ())
    count = len(offsets) // samples
    if not count or len(offsets) % samples or len(sizes) != len(offsets):
        raise Unusable("strips are missing from the pixel data")
    part = slice(number * count, (number + 1) * count)
    entries: dict[int, list[int]] = {tag: [int(tags[tag])] for tag in _COPIED if tag in tags}
    entries |= {_BITS: [depth], _PHOTOMETRIC: [1], _SAMPLES: [1], _PLANAR: [1]}
    entries |= {places: list(offsets[part]), lengths: list(sizes[part])}
    file = _with_directory(data, entries)
    with Image.open(io.BytesIO(file), formats=["TIFF"]) as plane:
        if damage := corruption.tiff_damage(plane):
            raise Unusable(damage)
        return np.asarray(plane)


def _with_directory(data: bytes, entries: dict[int, list[int]]) -> bytes:
    """The file with a directory of these tags, all of type LONG, as its only one."""
    order = "<" if data[:2] == b"II" else ">"
    start = len(data) + len(data) % 2
    table = struct.pack(order + "H", len(entries))
    behind, place = b"", start + 2 + 12 * len(entries) + 4
    for tag, values in sorted(entries.items()):
        packed = struct.pack(f"{order}{len(values)}I", *values)
        table += struct.pack(order + "HHI", tag, 4, len(values))
        if len(values) > 1:
            table += struct.pack(order + "I", place + len(behind))
            behind += packed
        else:
            table += packed
    # A classic header, also over that of a BigTIFF, which is longer.
    header = data[:2] + struct.pack(order + "HI", 42, start)
    return b"".join((header, data[8:], bytes(start - len(data)), table, bytes(4), behind))


def describe(tags: Any) -> str:
    """The layout in words: "a TIFF of 16, 16 bits, photometric 1, extra samples 2, interleaved"."""
    bits = ", ".join(map(str, tags.get(_BITS, (1,))))
    extra = ", ".join(map(str, tags.get(_EXTRA_SAMPLES, ())))
    apart = tags.get(_PLANAR, 1) == _SEPARATE
    return (
        f"a TIFF of {bits} bits, photometric {tags.get(_PHOTOMETRIC, 0)},"
        f" {f'extra samples {extra}, ' if extra else ''}"
        f"{'in separate planes' if apart else 'interleaved'}"
    )


def describe_file(data: bytes) -> str | None:
    """The layout of the first image of a TIFF that Pillow does not open; None if unreadable."""
    if data[2:4] in (b"+\0", b"\0+"):
        return "a BigTIFF"
    try:
        file = io.BytesIO(data)
        directory = TiffImagePlugin.ImageFileDirectory_v2(data[:8])
        file.seek(directory.next)
        directory.load(file)
        return describe(directory) if _WIDTH in directory and _HEIGHT in directory else None
    except Exception:  # the answer is that there is none
        return None
