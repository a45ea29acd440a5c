"""The curve of the loss in words."""

from typing import Any

import pytest

from scoremix.stages.report.training_reading import read_curve


def lines(losses: list[float], which: str = "held_out") -> list[dict[str, Any]]:
    """A line of train.jsonl at every 100 updates; two bands on scales of their own."""
    bands = [{"train": {"a": 1.0, "b": 0.01}, "held_out": {}} for _ in losses]
    for each, loss in zip(bands, losses, strict=True):
        each[which] = {"a": loss, "b": 0.01 * loss}
    return [{"step": 100 * (at + 1), "bands": each} for at, each in enumerate(bands)]


FALLING = [1.0, 0.8, 0.7, 0.65, 0.6, 0.57, 0.54, 0.52]
FLAT = [1.0, 0.8, 0.7, 0.7, 0.7, 0.7, 0.699, 0.699]
RISING = [1.0, 0.8, 0.7, 0.71, 0.73, 0.76, 0.8, 0.85]


@pytest.mark.parametrize(
    ("losses", "which", "begins"),
    [
        (FALLING, "held_out", "Still falling: the held-out loss fell by 8.8% in the last quarter"),
        (FLAT, "held_out", "Levelled off: the loss changed by 0.1%"),
        (RISING, "held_out", "Memorising: the held-out loss was lowest at update 300"),
        (FALLING, "train", "Still falling: the loss"),
    ],
)
def test_the_curve_in_words(losses: list[float], which: str, begins: str) -> None:
    assert read_curve(lines(losses, which)).startswith(begins)


def test_without_held_out_images_memorising_is_not_said_to_be_absent() -> None:
    assert "memorising would not show" in read_curve(lines(FLAT, "train"))


def test_too_short_a_curve_says_nothing() -> None:
    assert read_curve(lines(FALLING[:2])) == read_curve([]) == ""
