"""damage: what is missing from a PNG or TIFF although Pillow decodes it without a word.

Pillow stops reading once it has, or believes to have, every row: it does not look at the checksums
of a PNG's pixel chunks nor for what must follow them, and rows that were never stored stay zero.
JPEG has no such marks: one that was cut and closed again cannot be told from a whole one.
"""

import struct
import zlib

from PIL import Image

_SIGNATURE = 8  # bytes
_HEAD = struct.Struct(">I4s")  # length and type of a chunk
_BLOCK = 1 << 20  # bytes inflated at once
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by colour type
# The seven passes of Adam7: first column and row, and the steps (PNG, section 8.1).
_PASSES = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2)]
_PASSES.append((0, 1, 1, 2))


def in_png(data: bytes, image: Image.Image) -> str | None:
    """What is wrong with the file `data`, of which Pillow made the loaded `image`; or None.

    Of an animation only the first frame is asked for.
    """
    pixels: list[memoryview] = []
    view, place, kind = memoryview(data), _SIGNATURE, b""
    while not (kind == b"IEND" or (pixels and kind == b"fcTL")):
        if place + 12 > len(data):
            return "file is truncated: its end (IEND) is missing"
        length, kind = _HEAD.unpack_from(data, place)
        end = place + 8 + length
        if kind == b"IDAT":
            if data[end : end + 4] != zlib.crc32(view[place + 4 : end]).to_bytes(4, "big"):
                return "bad checksum of a pixel chunk (IDAT)"
            pixels.append(view[place + 8 : end])
        place = end + 4
    if place > len(data):
        return "file is truncated in its last chunk"
    # Inflating a second time costs too much to be done for every image.
    interlaced = data[_SIGNATURE + 20] == 1
    if (interlaced or _ends_in_zeros(image)) and not _gives(pixels, _wanted(data)):
        return "rows are missing from the pixel data"
    return None


def _ends_in_zeros(image: Image.Image) -> bool:
    """Whether the last row may never have been stored; most images show it in their corner."""
    corner = image.getpixel((image.width - 1, image.height - 1))
    if any(corner) if isinstance(corner, tuple) else corner:
        return False
    return not any(image.crop((0, image.height - 1, image.width, image.height)).tobytes())


def in_tiff(image: Image.Image) -> str | None:
    """The same of an opened TIFF whose pixels are not loaded yet: do its strips cover it?"""
    stored = 0
    for tile in getattr(image, "tile", ()):
        left, top, right, bottom = tile.extents or (0, 0, *image.size)
        stored += (right - left) * (bottom - top)
    return "strips are missing from the pixel data" if stored < image.width * image.height else None


def _gives(chunks: list[memoryview], wanted: int) -> bool:
    """Whether the stream holds so many bytes; inflates no more than that, and keeps nothing."""
    stream, count = zlib.decompressobj(), 0
    for chunk in chunks:
        rest: memoryview | bytes = chunk
        while rest and count < wanted:
            count += len(stream.decompress(rest, _BLOCK))
            rest = stream.unconsumed_tail
    return count >= wanted or count + len(stream.flush()) >= wanted


def _wanted(data: bytes) -> int:
    """Bytes of all rows by the header, each with its filter byte."""
    width, height, depth, colour, _, _, interlaced = struct.unpack_from(
        ">IIBBBBB", data, _SIGNATURE + 8
    )
    count = 0
    for left, top, across, down in _PASSES if interlaced else [(0, 0, 1, 1)]:
        columns = -((left - width) // across) if width > left else 0
        rows = -((top - height) // down) if height > top else 0
        if columns:
            count += rows * (1 + (columns * depth * _CHANNELS[colour] + 7) // 8)
    return count
