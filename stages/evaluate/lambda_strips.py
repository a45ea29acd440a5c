"""Strips of the same pairs at five weights: mixup above, the method below.

The most telling picture of a method: the ends are the parents as the method leaves them, and what
lies between is a ghost of both, or an image.
"""

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from ...manifests.errors import Interrupted, ScoreMixError
from ...manifests.files.atomic import write_bytes
from ...manifests.plan.methods import CLASS_METHODS, ONE_PARENT
from ..common.progress import Progress
from .baseline import MIXUP
from .contact_sheet import FAINT, INK, cell_size, load_font, picture
from .regenerate import TracedBatch
from .row_sample import MIXED_LAMBDA, fold_lambda

LAMBDAS = (0.0, 0.25, 0.5, 0.75, 1.0)  # weights of parent 1
PAIRS = 4

_GAP, _MARGIN, _LABEL, _HEADER = 4, 16, 76, 28
_BETWEEN = 18  # pixels between two pairs
_SHRINK = 2 / 3  # of the contact sheet's cells: the strips of two pairs fit a page side by side

Images = NDArray[np.uint8]


def choose_pairs(rows: pa.Table, order: NDArray[np.int64]) -> pa.Table:
    """Rows of up to four pairs of different images, at each of the five weights: (5 P) rows.

    order: a random permutation of the rows; judged rows alone are taken. Keys and seeds stay, so
    all images of a pair have the same noise.
    """
    folded, methods = fold_lambda(rows), rows["method"].to_pylist()
    first, second = (rows[name].to_numpy() for name in ("row_1", "row_2"))
    used: set[int] = set()
    places: list[int] = []
    for place in order.tolist():
        pair = {int(first[place]), int(second[place])}
        mixes = folded[place] >= MIXED_LAMBDA and methods[place] not in ONE_PARENT | CLASS_METHODS
        if mixes and len(pair) == 2 and not pair & used and len(places) < PAIRS:
            places.append(place)
            used |= pair
    chosen = rows.take(pa.array(np.repeat(places, len(LAMBDAS)), pa.int64()))
    weights = pa.array(np.tile(LAMBDAS, len(places)), chosen.schema.field("lambda").type)
    return chosen.set_column(chosen.schema.get_field_index("lambda"), "lambda", weights)


def draw_lambda_strips(
    rows: pa.Table,
    order: NDArray[np.int64],
    execute: Callable[[pa.Table], Iterator[TracedBatch]],
    path: Path,
    method: str,
    progress: Progress,
) -> None:
    """Writes the strips; of no pair, or where the method makes no such image, there is no file.

    Raises:
        Interrupted: a stop was requested.
        StorageError: the file cannot be written.
    """
    path.unlink(missing_ok=True)
    chosen = choose_pairs(rows, order)
    if not chosen.num_rows:
        return
    try:
        batches = list(execute(chosen))
    except Interrupted:
        raise
    except ScoreMixError as error:
        progress.note(f"evaluate: no strips of lambda were drawn: {error}")
        return
    strips = {"mixup": np.concatenate([batch.mixup for batch in batches])}
    if method not in MIXUP:
        strips[method] = np.concatenate([batch.final for batch in batches])
    write_bytes(path, strips_png(strips))


def strips_png(strips: dict[str, Images]) -> bytes:
    """A PNG of strips: name -> uint8 (5 P, H, W, C), five weights of a pair after each other."""
    pairs = len(next(iter(strips.values()))) // len(LAMBDAS)
    height, width = next(iter(strips.values())).shape[1:3]
    large = cell_size(width, height)
    cell = (round(large[0] * _SHRINK), round(large[1] * _SHRINK)) if min(large) >= 96 else large
    columns = 1 if pairs == 1 else 2
    block = (
        _LABEL + len(LAMBDAS) * (cell[0] + _GAP),
        len(strips) * (cell[1] + _GAP) + _BETWEEN,
    )
    lines = -(-pairs // columns)
    size = (
        2 * _MARGIN + columns * block[0] + (columns - 1) * _MARGIN,
        2 * _MARGIN + _HEADER + lines * block[1] - _BETWEEN,
    )
    sheet = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(sheet)
    for pair in range(pairs):
        left = _MARGIN + (pair % columns) * (block[0] + _MARGIN)
        top = _MARGIN + _HEADER + (pair // columns) * block[1]
        if pair < columns:
            _draw_weights(draw, left, top - 8, cell[0])
        for line, (name, images) in enumerate(strips.items()):
            y = top + line * (cell[1] + _GAP)
            middle = (left + _LABEL - 8, y + cell[1] // 2)
            draw.text(middle, name.split(",")[0], fill=INK, font=load_font(13), anchor="rm")
            for at in range(len(LAMBDAS)):
                x = left + _LABEL + at * (cell[0] + _GAP)
                sheet.paste(picture(images[pair * len(LAMBDAS) + at], cell), (x, y))
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG")
    return buffer.getvalue()


def _draw_weights(draw: ImageDraw.ImageDraw, left: int, line: int, width: int) -> None:
    draw.text((left + _LABEL - 8, line), "lambda", fill=FAINT, font=load_font(13), anchor="rs")
    for at, weight in enumerate(LAMBDAS):
        middle = left + _LABEL + at * (width + _GAP) + width // 2
        draw.text((middle, line), f"{weight:g}", fill=INK, font=load_font(13), anchor="ms")
