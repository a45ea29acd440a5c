"""Pixel check (verify --deep): decodes every image and compares pixels with the manifest.

The hash of the file shows that it is the file that was written; this shows that the file holds the
right image, readable by the decoder that is installed here.
"""

import hashlib
import io
from collections.abc import Iterator
from typing import Any, BinaryIO


def wrong_pixels(tar: BinaryIO, rows: list[dict[str, Any]]) -> Iterator[str]:
    """Yields the images of a tar that do not decode to the pixels of their manifest rows.

    rows: of the shard; their `offset` and `size` are right. The tar's hash is compared elsewhere.
    """
    for row in rows:
        tar.seek(row["offset"])
        wrong = _difference(tar.read(row["size"]), row)
        if wrong:
            yield f"image {row['key']} {wrong}"


def _difference(data: bytes, row: dict[str, Any]) -> str | None:
    from PIL import Image  # lazily: `verify` without --deep needs no decoder

    try:
        with Image.open(io.BytesIO(data)) as image:
            image.load()
            size, pixels = image.size, image.tobytes()
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        return f"cannot be decoded: {error}"
    if size != (row["width"], row["height"]):
        return f"is {size[0]} x {size[1]} px, the manifest says {row['width']} x {row['height']}"
    if hashlib.sha256(pixels).hexdigest() != row["pixel_sha256"]:
        return "decodes to other pixels than those that were made"
    return None
