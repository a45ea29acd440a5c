"""Grids of images at random, not the best: real ones, and of the same rows mixup and what was made.

Rows of a grid are classes, where there are some. Made images are drawn among those with folded
lambda >= .1: the others look like a parent whatever the method.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from PIL import Image

from ...manifests.files.rows import rows_where
from ...manifests.plan.methods import ONE_PARENT
from ..evaluate.baseline import MIXUP
from ..evaluate.row_sample import MIXED_LAMBDA
from ..images.png import to_pil
from .pictures import data_uri, read_pictures
from .run_facts import RunFacts

Images = NDArray[np.uint8]
Places = NDArray[np.int64]

_CLASSES, _COLUMNS = 6, 6  # of a grid, at most
_ROWS = 4  # of a grid without classes
_CELL, _GAP = 60, 2  # pixels: three grids beside each other fit 1,152
_SEED = 0


@dataclass(frozen=True)
class Grids:
    """Pictures of equal size, and what their rows are."""

    pictures: list[tuple[str, str]]  # name, data URI
    classes: list[str]  # of the rows, from above; empty without classes


def random_grids(facts: RunFacts, training: Images) -> Grids | None:
    """The grids of a run; None where it has no made image with folded lambda >= .1.

    training: uint8 (N, H, W, C), as plan rows number it.
    """
    made = np.flatnonzero(facts.augmented & (facts.folded >= MIXED_LAMBDA))
    real = np.flatnonzero(~facts.augmented)
    if not len(made) or not len(real):
        return None
    random = np.random.default_rng(_SEED)
    class_of_real = _classes(facts, real, "row_1")
    class_of_made = _classes(facts, made, "nearer")
    ids = np.intersect1d(class_of_real, class_of_made)
    ids = np.sort(random.permutation(ids[ids >= 0])[:_CLASSES])
    if len(ids):
        lines_real = [_some(real[class_of_real == id_], random) for id_ in ids]
        lines_made = [_some(made[class_of_made == id_], random) for id_ in ids]
    else:
        count = _ROWS * _COLUMNS
        lines_real = _lines(random.permutation(real)[:count])
        lines_made = _lines(random.permutation(made)[:count])
    places = np.concatenate(lines_made)
    images = dict(zip(places.tolist(), read_pictures(facts, places), strict=True))
    row_1 = facts.manifest["row_1"].to_numpy()
    originals = [[to_pil(np.asarray(training[row_1[at]])) for at in line] for line in lines_real]
    mixed = [[to_pil(_mixup(facts, training, int(at))) for at in line] for line in lines_made]
    results = [[images[int(at)] for at in line] for line in lines_made]
    method = str(facts.metrics["method"])
    shown = [("real images", originals), ("mixup", mixed), (method, results)]
    if method in ONE_PARENT | MIXUP:
        del shown[1]
    return Grids(
        [(name, data_uri(_grid(lines))) for name, lines in shown],
        [str(facts.index["classes"][id_]) for id_ in ids],
    )


def _classes(facts: RunFacts, places: Places, by: str) -> Places:
    """Class ids of rows of the manifest: of a made image that of its nearer parent; -1: none."""
    rows = facts.manifest.take(pa.array(places))
    real = rows_where(facts.manifest, kind="real")
    named = dict(zip(real["row_1"].to_pylist(), real["class_id"].to_pylist(), strict=True))
    nearer = rows["row_1"].to_numpy()
    if by == "nearer":
        first = rows["lambda"].to_numpy() >= 0.5
        nearer = np.where(first, nearer, rows["row_2"].to_numpy())
    return np.array([named.get(int(row), -1) for row in nearer], dtype=np.int64)


def _some(places: Places, random: np.random.Generator) -> Places:
    return random.permutation(places)[:_COLUMNS]


def _lines(places: Places) -> list[Places]:
    return [places[start : start + _COLUMNS] for start in range(0, len(places), _COLUMNS)]


def _mixup(facts: RunFacts, training: Images, place: int) -> Images:
    """Plain mixup of the parents of a row, uint8 (H, W, C)."""
    columns = ["row_1", "row_2", "lambda"]
    row: dict[str, Any] = facts.manifest.select(columns).slice(place, 1).to_pylist()[0]
    first, second = (training[row[name]].astype(np.float64) for name in ("row_1", "row_2"))
    mixed: Images = np.rint(row["lambda"] * first + (1 - row["lambda"]) * second).astype(np.uint8)
    return mixed


def _grid(lines: list[list[Image.Image]]) -> Image.Image:
    """One picture of lines of images of one size, gaps between them transparent."""
    size = lines[0][0].size
    scale = _CELL / max(size)
    scale = max(1.0, np.floor(scale)) if scale >= 1 else scale
    cell = (round(size[0] * scale), round(size[1] * scale))
    how = Image.Resampling.NEAREST if scale >= 1 else Image.Resampling.BOX
    width = _COLUMNS * (cell[0] + _GAP) - _GAP
    sheet = Image.new("RGBA", (width, len(lines) * (cell[1] + _GAP) - _GAP))
    for y, line in enumerate(lines):
        for x, image in enumerate(line):
            pixels = image.convert("RGB").resize(cell, how)
            sheet.paste(pixels, (x * (cell[0] + _GAP), y * (cell[1] + _GAP)))
    return sheet
