"""Every image of a shard decoded, and its pixels compared with what the manifest promises.

A hash of the file tells that it is the one that was written; this tells that what was written is
the image: right pixels, right size, readable by the decoder that is installed here.
"""

import hashlib
import io
from collections.abc import Iterator
from typing import Any, BinaryIO


def wrong_pixels(tar: BinaryIO, rows: list[dict[str, Any]]) -> Iterator[str]:
    """Of a tar's manifest rows, those whose image does not decode to their pixels.

    rows: a shard's, whose `offset` and `size` hold; the file's own hash is compared elsewhere.
    """
    for row in rows:
        tar.seek(row["offset"])
        fault = _fault(tar.read(row["size"]), row)
        if fault:
            yield f"image {row['key']} {fault}"


def _fault(data: bytes, row: dict[str, Any]) -> str | None:
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
