"""Draws the samples nearest to training images, each above its nearest training image."""

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ...manifests.files.atomic import write_bytes
from ...manifests.files.durable import remove_file
from ..images.png import to_pil

_CELL = 96  # pixels at least; smaller images are magnified by a whole factor
_GAP = 4

Images = NDArray[np.uint8]


def draw_nearest_pairs(pairs: list[tuple[Images, Images]], path: Path) -> None:
    """Writes a PNG of two rows: samples, and below each its nearest training image.

    pairs: uint8 (H, W, C) twice, nearest first; none: an earlier picture is removed.

    Raises:
        StorageError: the file cannot be written.
    """
    if not pairs:
        remove_file(path)
        return
    height, width = pairs[0][0].shape[:2]
    factor = max(1, -(-_CELL // max(height, width)))
    cell = (width * factor, height * factor)
    size = (len(pairs) * (cell[0] + _GAP) - _GAP, 2 * cell[1] + _GAP)
    sheet = Image.new("RGB", size, "white")
    for column, pair in enumerate(pairs):
        for row, pixels in enumerate(pair):
            image = to_pil(pixels)
            shown = image.convert("RGB").resize(cell, Image.Resampling.NEAREST)
            sheet.paste(shown, (column * (cell[0] + _GAP), row * (cell[1] + _GAP)))
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG")
    write_bytes(path, buffer.getvalue())
