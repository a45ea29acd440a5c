"""The sheet of new classes: which images it shows, and where there is none."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from scoremix.manifests.errors import ScoreMixError
from scoremix.manifests.plan.new_classes import NewClass
from scoremix.stages.common.progress import Silent
from scoremix.stages.evaluate.new_class_sheet import draw_new_classes, sheet_png

# Real images of class c have the value 50 + 40 c, images of a new class n the value 10 n.
IMAGES = np.repeat(np.array([50, 90, 130], np.uint8), 4)[:, None, None, None] * np.ones(
    (12, 8, 8, 1), np.uint8
)
NEW = [NewClass(3, "a+b", (0, 1), (0.5, 0.5), 1.0, "distant"),
       NewClass(4, "a+c", (0, 2), (0.5, 0.5), 1.0, "distant")]  # fmt: skip


@dataclass
class Batch:
    rows: pa.Table
    final: np.ndarray


def plan(new: int = 8) -> pa.Table:
    real = [{"kind": "real", "class_id": row // 4, "row_1": row} for row in range(12)]
    made = [{"kind": "augmented", "class_id": 3 + place % 2, "row_1": 0} for place in range(new)]
    return pa.Table.from_pylist(real + made)


def execute(rows: pa.Table) -> Iterator[Batch]:
    values = np.array(rows["class_id"].to_pylist(), np.uint8) * 10
    yield Batch(rows, values[:, None, None, None] * np.ones((rows.num_rows, 8, 8, 1), np.uint8))


def draw(path: Path, table: pa.Table, new: list[NewClass] = NEW, run: object = execute) -> None:
    draw_new_classes(table, IMAGES, new, "abc", run, 0, path, Silent())  # type: ignore[arg-type]


def test_members_stand_left_and_the_new_class_right(tmp_path: Path) -> None:
    path = tmp_path / "sheet.png"
    draw(path, plan(20))
    pixels = np.asarray(Image.open(path).convert("L"))
    for line, (others, own) in enumerate((({50, 90}, 30), ({50, 130}, 40))):
        half = pixels[line * len(pixels) // 2 : (line + 1) * len(pixels) // 2]
        counts = {value: int((half == value).sum()) for value in (30, 40, 50, 90, 130)}
        area = counts[own] / 6  # pixels of a cell
        assert area >= 64 * 64 * 0.9
        for value in {30, 40, 50, 90, 130} - {own}:
            # Ink of captions has such values, too, here and there.
            assert abs(counts[value] / area - 3 * (value in others)) < 0.1


def test_a_class_with_few_images_shows_those(tmp_path: Path) -> None:
    draw(tmp_path / "few.png", plan(2))
    draw(tmp_path / "many.png", plan(20))
    few, many = (Image.open(tmp_path / f"{name}.png").convert("L") for name in ("few", "many"))
    assert few.size == many.size
    assert (np.asarray(few) == 30).sum() < 0.2 * (np.asarray(many) == 30).sum()


def test_without_new_classes_or_where_none_can_be_made_there_is_no_file(tmp_path: Path) -> None:
    def fails(rows: pa.Table) -> Iterator[Batch]:
        raise ScoreMixError("the network gives no number")
        yield

    path = tmp_path / "sheet.png"
    for new, table, run in (([], plan(), execute), (NEW, plan(0), execute), (NEW, plan(), fails)):
        path.write_bytes(b"of an earlier method")
        draw(path, table, new, run)
        assert not path.exists()


@pytest.mark.parametrize("side", [8, 32, 64, 300])
def test_the_sheet_fits_a_page(side: int) -> None:
    images = np.zeros((6, side, side, 3), np.uint8)
    line = [
        ("a, weight 0.5", images[:3]),
        ("b, weight 0.5", images[:3]),
        ("new: " + "a+b" * 200, images),
    ]
    sheet = Image.open(io.BytesIO(sheet_png([line] * 8)))
    assert 700 < sheet.width < 2200
