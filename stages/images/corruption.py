"""Finds damage in PNG and TIFF files that Pillow decodes without an error.

Pillow stops reading once it has, or believes to have, every row: it checks neither the checksums
of a PNG's pixel chunks nor the chunks that must follow them, and rows that were never stored stay
zero. JPEG has no such marks: a file cut off and closed again looks whole.
"""

import struct
import zlib

from PIL import Image

_SIGNATURE = 8  # bytes
_CHUNK_HEADER = struct.Struct(">I4s")  # length and type of a chunk
_BLOCK = 1 << 20  # bytes inflated at once
_STRIP_OFFSETS, _TILE_OFFSETS = 273, 324  # tags of TIFF
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by colour type
# The seven interlacing passes: first column and row, and the steps (PNG, section 8.1).
_ADAM7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2)]
_ADAM7.append((0, 1, 1, 2))


def png_damage(data: bytes, image: Image.Image) -> str | None:
    """What is wrong with the PNG file `data`, decoded as `image`; None if it is whole.

    Of an animation, only the first frame is checked.
    """
    pixels: list[memoryview] = []
    view, offset, kind = memoryview(data), _SIGNATURE, b""
    while not (kind == b"IEND" or (pixels and kind == b"fcTL")):
        if offset + 12 > len(data):
            return "file is truncated: its end (IEND) is missing"
        length, kind = _CHUNK_HEADER.unpack_from(data, offset)
        end = offset + 8 + length
        if kind == b"IDAT":
            if data[end : end + 4] != zlib.crc32(view[offset + 4 : end]).to_bytes(4, "big"):
                return "bad checksum of a pixel chunk (IDAT)"
            pixels.append(view[offset + 8 : end])
        offset = end + 4
    if offset > len(data):
        return "file is truncated in its last chunk"
    # Inflating a second time is too slow to do it for every image.
    interlaced = data[_SIGNATURE + 20] == 1
    if (interlaced or _ends_in_zeros(image)) and not _inflates_to(pixels, _expected_bytes(data)):
        return "rows are missing from the pixel data"
    return None


def _ends_in_zeros(image: Image.Image) -> bool:
    """Whether the last row is zero and may be missing; one corner decides for most images."""
    corner = image.getpixel((image.width - 1, image.height - 1))
    if any(corner) if isinstance(corner, tuple) else corner:
        return False
    return not any(image.crop((0, image.height - 1, image.width, image.height)).tobytes())


def tiff_damage(image: Image.Image) -> str | None:
    """What is wrong with a TIFF, opened but not loaded: strips or tiles that are not there.

    A sparse file gives those that were never written the offset 0, where its header is (GDAL's
    SPARSE_OK): uncompressed, Pillow takes that for pixels.
    """
    tags = getattr(image, "tag_v2", {})
    offsets = (tags.get(_STRIP_OFFSETS), tags.get(_TILE_OFFSETS))
    if any(isinstance(places, tuple) and 0 in places for places in offsets):
        return "strips or tiles were never written (a sparse TIFF)"
    stored = 0
    for tile in getattr(image, "tile", ()):
        left, top, right, bottom = tile.extents or (0, 0, *image.size)
        stored += (right - left) * (bottom - top)
    return "strips are missing from the pixel data" if stored < image.width * image.height else None


def _inflates_to(chunks: list[memoryview], expected: int) -> bool:
    """Whether the stream holds so many bytes; inflates no more than that, and keeps none."""
    stream, count = zlib.decompressobj(), 0
    for chunk in chunks:
        rest: memoryview | bytes = chunk
        while rest and count < expected:
            count += len(stream.decompress(rest, _BLOCK))
            rest = stream.unconsumed_tail
    return count >= expected or count + len(stream.flush()) >= expected


def _expected_bytes(data: bytes) -> int:
    """Bytes of all rows as the header has them, each with its filter byte."""
    width, height, depth, colour, _, _, interlaced = struct.unpack_from(
        ">IIBBBBB", data, _SIGNATURE + 8
    )
    count = 0
    for left, top, across, down in _ADAM7 if interlaced else [(0, 0, 1, 1)]:
        columns = -((left - width) // across) if width > left else 0
        rows = -((top - height) // down) if height > top else 0
        if columns:
            count += rows * (1 + (columns * depth * _CHANNELS[colour] + 7) // 8)
    return count
