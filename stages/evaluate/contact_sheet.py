"""Draws contact sheets: parents, and what was made of them, side by side with lambda."""

import io
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from ...manifests.files.atomic import write_bytes
from ...manifests.plan.methods import ONE_PARENT
from ..images.png import to_pil
from .row_sample import MIXED_LAMBDA

Images = NDArray[np.uint8]
SheetRow = tuple[dict[str, Any], Images, Images, Images]  # plan row, mixup, minimised, final

COLUMNS = ("parent 1", "parent 2", "mixup", "minimised", "final")

_SMALLEST_CELL, _LARGEST_CELL = 96, 256  # pixels; smaller images are magnified, larger reduced
_GAP, _MARGIN = 6, 16
_LABEL_WIDTH, _HEADER, _TITLE = 64, 26, 34
_LINE = 15  # pixels between the two lines of a header
_ROWS_IN_ONE_GROUP = 8  # more rows are set in two groups beside each other
_SMALLEST_FONT = 8
INK, FAINT = (20, 20, 20), (110, 110, 110)


def draw_sheet_rows(sheet: list[SheetRow], images: Images, path: Path, method: str) -> None:
    """Writes the contact sheet of some rows, the most mixed first.

    images: uint8 (N, H, W, C) training images, as plan rows number them.

    Raises:
        StorageError: the file cannot be written.
    """
    ordered = sorted(sheet, key=lambda row: abs(row[0]["lambda"] - 0.5))
    rows, *steps = zip(*ordered, strict=True)
    first, second = (np.stack([images[row[name]] for row in rows]) for name in ("row_1", "row_2"))
    mixup, minimised, final = (np.stack(step) for step in steps)
    lambdas = np.array([row["lambda"] for row in rows])
    title = f"{method}: lambda is the weight of parent 1"
    if method in ONE_PARENT:
        title = f"{method}: of parent 1 alone"
    contact_sheet(first, second, mixup, minimised, final, lambdas, path, title)


def choose_sheet_rows(
    folded: NDArray[np.float64], count: int, order: NDArray[np.int64]
) -> list[int]:
    """Indices of `count` rows: five of six spread evenly over folded lambda .1 to .5, if possible.

    folded: min(lambda, 1 - lambda), (n,); order: a random permutation of the n places.
    """
    mixed = [int(place) for place in order if folded[place] >= MIXED_LAMBDA]
    plain = [int(place) for place in order if folded[place] < MIXED_LAMBDA]
    count = min(count, len(folded))
    chosen = plain[: max(count // 6, count - len(mixed))]
    for target in np.linspace(MIXED_LAMBDA, 0.5, count - len(chosen)):
        nearest = min(mixed, key=lambda place: abs(folded[place] - target))
        mixed.remove(nearest)
        chosen.append(nearest)
    return chosen


def contact_sheet(
    parents_1: Images,
    parents_2: Images,
    mixup: Images,
    minimised: Images,
    final: Images,
    lambdas: NDArray[np.float64],
    path: Path,
    title: str,
) -> None:
    """Writes the sheet of the method's steps, as `draw_columns` does; one that changes no image of
    the step before has no column."""
    columns = dict(zip(COLUMNS, (parents_1, parents_2, mixup, minimised, final), strict=True))
    for before, step in (("minimised", "final"), ("mixup", "minimised")):
        if np.array_equal(columns[before], columns[step]):
            del columns[step]
    draw_columns(columns, lambdas, path, title)


def draw_columns(
    columns: Mapping[str, Images], lambdas: NDArray[np.float64], path: Path, title: str
) -> None:
    """Writes a PNG with one row per image and a named column per set of images.

    columns: name -> uint8 (B, H, W, C), gray or RGB; lambdas: (B,) weights of parent 1. Below 96 px
    images are magnified by a whole factor, pixel by pixel; above 256 px they are averaged down.

    Raises:
        ValueError: no rows, or columns of different length.
        StorageError: the file cannot be written.
    """
    rows = len(lambdas)
    lengths = [len(column) for column in columns.values()]
    if rows == 0 or any(length != rows for length in lengths):
        raise ValueError(f"a sheet of {rows} rows from columns of {lengths} images")
    height, width = next(iter(columns.values())).shape[1:3]
    cell = cell_size(width, height)
    groups = 1 if rows <= _ROWS_IN_ONE_GROUP else 2
    tall = -(-rows // groups)  # rows in a group
    group_width = _LABEL_WIDTH + len(columns) * (cell[0] + _GAP)
    size = (
        2 * _MARGIN + groups * group_width + (groups - 1) * _MARGIN,
        2 * _MARGIN + _TITLE + _HEADER + tall * (cell[1] + _GAP),
    )
    sheet = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(sheet)
    draw.text((_MARGIN, _MARGIN), title, fill=INK, font=load_font(20))
    for group in range(groups):
        left = _MARGIN + group * (group_width + _MARGIN)
        _draw_headers(draw, list(columns), left, _MARGIN + _TITLE, cell[0])
        for place, row in enumerate(range(group * tall, min(rows, (group + 1) * tall))):
            top = _MARGIN + _TITLE + _HEADER + place * (cell[1] + _GAP)
            middle = (left + _LABEL_WIDTH - 10, top + cell[1] // 2)
            draw.text(middle, f"{lambdas[row]:.2f}", fill=INK, font=load_font(16), anchor="rm")
            for index, images in enumerate(columns.values()):
                corner = (left + _LABEL_WIDTH + index * (cell[0] + _GAP), top)
                sheet.paste(picture(images[row], cell), corner)
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG")
    write_bytes(path, buffer.getvalue())


def _draw_headers(
    draw: ImageDraw.ImageDraw, names: Sequence[str], left: int, top: int, cell_width: int
) -> None:
    line = top + _HEADER - 8
    label = (left + _LABEL_WIDTH - 10, line)
    draw.text(label, "lambda", fill=FAINT, font=load_font(14), anchor="rs")
    for index, name in enumerate(names):
        middle = left + _LABEL_WIDTH + index * (cell_width + _GAP) + cell_width // 2
        size = 14
        lines = _header_lines(draw, name, cell_width)
        while size > _SMALLEST_FONT and _width(draw, lines, size) > cell_width:
            size -= 1  # a long name stays within its column
        for above, text in enumerate(reversed(lines)):
            place = (middle, line - above * _LINE)
            draw.text(place, text, fill=INK, font=load_font(size), anchor="ms")


def _header_lines(draw: ImageDraw.ImageDraw, name: str, cell_width: int) -> list[str]:
    """The name on one line, or on the two shortest where one is too narrow for it."""
    words = name.split(" ")
    if len(words) == 1 or _width(draw, [name], 14) <= cell_width:
        return [name]
    splits = [[" ".join(words[:n]), " ".join(words[n:])] for n in range(1, len(words))]
    return min(splits, key=lambda lines: _width(draw, lines, 14))


def _width(draw: ImageDraw.ImageDraw, lines: Sequence[str], size: int) -> float:
    return max(draw.textlength(text, font=load_font(size)) for text in lines)


def cell_size(width: int, height: int) -> tuple[int, int]:
    """Pixels (width, height) of a cell: a multiple of the image's, or at most 256 px a side."""
    short, long = min(width, height), max(width, height)
    if short < _SMALLEST_CELL:
        factor = -(-_SMALLEST_CELL // short)
        return width * factor, height * factor
    shrink = min(1.0, _LARGEST_CELL / long)
    return round(width * shrink), round(height * shrink)


def picture(pixels: Images, cell: tuple[int, int]) -> Image.Image:
    """uint8 (H, W, C) as an RGB picture of `cell` pixels (width, height)."""
    image = to_pil(pixels).convert("RGB")
    enlarging = cell[0] >= image.width
    return image.resize(cell, Image.Resampling.NEAREST if enlarging else Image.Resampling.BOX)


@cache
def load_font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The font of sheets, `size` pixels high."""
    return ImageFont.load_default(size=size)
