"""The sheet of new classes: three images of each class that is mixed, and six of the new one."""

import io
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from ...manifests.errors import Interrupted, ScoreMixError
from ...manifests.files.atomic import write_bytes
from ...manifests.files.durable import remove_file
from ...manifests.files.rows import rows_where
from ...manifests.foreign_text import fit_to_print
from ...manifests.plan.new_classes import NewClass
from ...manifests.plan.random_streams import image_seed, stream
from ..common.progress import Progress
from .contact_sheet import FAINT, INK, cell_size, load_font, picture
from .regenerate import TracedBatch

CLASSES = 8  # new classes that are shown: from the first to the last chosen
REAL, NEW = 3, 6  # images of each member, and of the new class

_GAP, _MARGIN, _BETWEEN, _CAPTION = 4, 16, 20, 22
_SHRINK = 2 / 3  # of the contact sheet's cells

Images = NDArray[np.uint8]
Group = tuple[str, Images]  # caption, and up to so many images (n, H, W, C)


def draw_new_classes(
    plan: pa.Table,
    images: Images,
    new_classes: Sequence[NewClass],
    classes: Sequence[str],
    execute: Callable[[pa.Table], Iterator[TracedBatch]],
    seed: int,
    path: Path,
    progress: Progress,
) -> None:
    """Writes the sheet; without new classes there is no file.

    images: uint8 (N, H, W, C) training images, as plan rows number them. classes: names of the real
    ones.

    Raises:
        Interrupted: a stop was requested.
        StorageError: the file cannot be written.
    """
    remove_file(path)
    places = np.linspace(0, len(new_classes) - 1, min(CLASSES, len(new_classes))).astype(int)
    shown = [new_classes[place] for place in places]
    chosen = [_some(plan, one.id, NEW, seed) for one in shown]
    if not shown or not all(rows.num_rows for rows in chosen):
        return  # every image of such a class may be forgotten
    try:
        batches = list(execute(pa.concat_tables(chosen)))
    except Interrupted:
        raise
    except ScoreMixError as error:
        progress.note(f"evaluate: no sheet of new classes was drawn: {error}")
        return
    made = np.concatenate([batch.final for batch in batches])
    ids = np.concatenate([batch.rows["class_id"].to_numpy() for batch in batches])
    lines = []
    for one in shown:
        line: list[Group] = []
        for id_, weight in zip(one.classes, one.weights, strict=True):
            rows = _some(plan, id_, REAL, seed)["row_1"].to_numpy()
            line.append((f"{classes[id_]}, weight {weight:g}", images[rows]))
        apart = "" if one.distance is None else f", distance {one.distance:.2f}"
        lines.append([*line, (f"new: {one.name}{apart}", made[ids == one.id])])
    write_bytes(path, sheet_png(lines))


def _some(plan: pa.Table, class_id: int, count: int, seed: int) -> pa.Table:
    """Up to `count` rows of a class in plan order, seeded: the real images of a real class."""
    of_class = rows_where(plan, class_id=class_id)
    kept = rows_where(of_class, kind="real")
    of_class = kept if kept.num_rows else of_class
    random = stream(image_seed(seed, f"new-class-sheet-{class_id}"), "evaluate")
    return of_class.take(np.sort(random.permutation(of_class.num_rows)[:count]))


def sheet_png(lines: Sequence[Sequence[Group]]) -> bytes:
    """A PNG with a line per new class: groups of images side by side, each with its caption."""
    height, width = lines[0][0][1].shape[1:3]
    large = cell_size(width, height)
    cell = (round(large[0] * _SHRINK), round(large[1] * _SHRINK)) if min(large) >= 96 else large
    wide = [NEW if place == len(lines[0]) - 1 else REAL for place in range(len(lines[0]))]
    lefts = [_MARGIN]
    for count in wide:
        lefts.append(lefts[-1] + count * (cell[0] + _GAP) + _BETWEEN)
    block = _CAPTION + cell[1] + _BETWEEN // 2
    size = (lefts[-1] - _BETWEEN - _GAP + _MARGIN, 2 * _MARGIN + len(lines) * block)
    sheet = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(sheet)
    for number, line in enumerate(lines):
        top = _MARGIN + number * block
        for place, (caption, images) in enumerate(line):
            ink = INK if place == len(line) - 1 else FAINT
            room = wide[place] * (cell[0] + _GAP)
            text = _shortened(draw, fit_to_print(caption), room)
            draw.text((lefts[place], top), text, fill=ink, font=load_font(14))
            for at, pixels in enumerate(images):
                corner = (lefts[place] + at * (cell[0] + _GAP), top + _CAPTION)
                sheet.paste(picture(pixels, cell), corner)
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG")
    return buffer.getvalue()


def _shortened(draw: ImageDraw.ImageDraw, text: str, room: int) -> str:
    """The text, or as much of its beginning as fits into so many pixels."""
    font = load_font(14)

    def is_too_wide(shown: str) -> bool:
        return draw.textlength(shown, font=font) > room

    if not is_too_wide(text):
        return text
    lengths = range(1, len(text))
    kept = bisect_left(lengths, True, key=lambda length: is_too_wide(f"{text[:length]}..."))
    return f"{text[:kept]}..."
