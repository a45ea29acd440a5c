"""The contact sheet: every image is where its header says, pixel by pixel."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scoremix.stages.evaluate.contact_sheet import choose_sheet_rows, contact_sheet, draw_sheet_rows


def flat_images(values: list[int], side: int = 8, channels: int = 1) -> np.ndarray:
    return np.stack([np.full((side, side, channels), value, dtype=np.uint8) for value in values])


def make_sheet(path: Path, rows: int, side: int = 8, channels: int = 1) -> Image.Image:
    """Column c of row r has gray level 30 + 40 c + r."""
    columns = [
        flat_images([30 + 40 * column + row for row in range(rows)], side, channels)
        for column in range(5)
    ]
    contact_sheet(*columns, np.linspace(0.1, 0.5, rows), path, "a title")
    return Image.open(path)


def test_every_image_is_shown_in_its_column(tmp_path: Path) -> None:
    sheet = make_sheet(tmp_path / "sheet.png", rows=3)
    levels = np.unique(np.asarray(sheet)[:, :, 0], return_counts=True)
    area = dict(zip(*(values.tolist() for values in levels), strict=True))
    for column in range(5):
        for row in range(3):
            # Antialiased text has the same level here and there.
            assert 96 * 96 <= area[30 + 40 * column + row] < 96 * 96 + 500
    first = np.argwhere(np.asarray(sheet)[:, :, 0] == 30)
    last = np.argwhere(np.asarray(sheet)[:, :, 0] == 30 + 160 + 2)
    assert np.all(np.median(first, axis=0) < np.median(last, axis=0))


def test_a_step_that_changes_nothing_has_no_column(tmp_path: Path) -> None:
    """`bridge` minimises nothing, and `mixup` does nothing after mixing."""
    parents, mixed, made = flat_images([10]), flat_images([90]), flat_images([170])
    widths = {}
    for name, steps in {
        "scoremix": (mixed, flat_images([120]), made),
        "bridge": (mixed, mixed, made),
        "mixup": (mixed, mixed, mixed),
    }.items():
        path = tmp_path / f"{name}.png"
        contact_sheet(parents, parents, *steps, np.array([0.5]), path, "a title")
        widths[name] = Image.open(path).width
    assert widths["scoremix"] - widths["bridge"] == widths["bridge"] - widths["mixup"] == 96 + 6


def test_many_rows_make_two_groups(tmp_path: Path) -> None:
    few = make_sheet(tmp_path / "few.png", rows=8)
    many = make_sheet(tmp_path / "many.png", rows=15)
    assert many.width > 1.9 * few.width
    assert many.height == few.height


@pytest.mark.parametrize(("side", "cell"), [(8, 96), (25, 100), (64, 128), (96, 96), (128, 128)])
def test_images_are_magnified_by_a_whole_factor(tmp_path: Path, side: int, cell: int) -> None:
    small = make_sheet(tmp_path / "1.png", rows=1, side=side, channels=3)
    taller = make_sheet(tmp_path / "2.png", rows=2, side=side, channels=3)
    assert taller.height - small.height == cell + 6
    checks = np.indices((side, side)).sum(axis=0) % 2 * 255
    image = checks.astype(np.uint8)[None, :, :, None]
    contact_sheet(image, image, image, image, image, np.array([0.5]), tmp_path / "3.png", "")
    drawn = np.asarray(Image.open(tmp_path / "3.png"))
    left = 16 + 64
    top = 16 + 34 + 26
    magnified = np.kron(checks, np.ones((cell // side, cell // side)))
    np.testing.assert_array_equal(drawn[top : top + cell, left : left + cell, 0], magnified)


def test_large_images_are_reduced(tmp_path: Path) -> None:
    assert make_sheet(tmp_path / "sheet.png", rows=1, side=600).width < 5 * 300


def test_the_same_sheet_has_the_same_bytes(tmp_path: Path) -> None:
    make_sheet(tmp_path / "a.png", rows=2)
    make_sheet(tmp_path / "b.png", rows=2)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_columns_of_different_length_are_refused(tmp_path: Path) -> None:
    one, two = flat_images([1]), flat_images([1, 2])
    with pytest.raises(ValueError, match="1 rows"):
        contact_sheet(one, two, one, one, one, np.array([0.5]), tmp_path / "sheet.png", "")
    with pytest.raises(ValueError, match="0 rows"):
        nothing = one[:0]
        contact_sheet(nothing, nothing, nothing, nothing, nothing, np.zeros(0), tmp_path / "x", "")


def test_most_shown_rows_are_spread_over_the_mixed_ones() -> None:
    folded = np.concatenate([np.full(500, 0.001), np.linspace(0.1, 0.5, 100)])
    order = np.random.default_rng(0).permutation(600)
    chosen = choose_sheet_rows(folded, 24, order)
    assert len(set(chosen)) == 24
    mixed = np.sort(folded[[place for place in chosen if folded[place] >= 0.1]])
    assert len(mixed) == 20
    assert np.max(np.diff(mixed)) < 0.05
    assert chosen == choose_sheet_rows(folded, 24, order)


@pytest.mark.parametrize("mixed", [0, 1, 5, 30])
def test_rows_are_shown_whatever_there_is(mixed: int) -> None:
    folded = np.concatenate([np.full(mixed, 0.3), np.full(3, 0.01)])
    chosen = choose_sheet_rows(folded, 12, np.arange(len(folded)))
    assert len(set(chosen)) == len(chosen) == min(12, len(folded))


def test_rows_are_drawn_with_their_parents(tmp_path: Path) -> None:
    training = flat_images([10, 50, 90])
    shown = [
        ({"lambda": 0.9, "row_1": 0, "row_2": 1}, *flat_images([130, 131, 132])),
        ({"lambda": 0.5, "row_1": 2, "row_2": 1}, *flat_images([140, 141, 142])),
    ]
    draw_sheet_rows(shown, training, tmp_path / "sheet.png", "scoremix")
    drawn = np.asarray(Image.open(tmp_path / "sheet.png"))[:, :, 0]
    rows = [[drawn[76 + 102 * row + 48, 80 + 102 * column + 48] for column in range(5)]
            for row in range(2)]  # fmt: skip
    assert rows == [[90, 50, 140, 141, 142], [10, 50, 130, 131, 132]]  # the most mixed first
