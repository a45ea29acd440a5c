"""The wording of a difference of distances, and the cells of tables."""

from typing import Any

import pytest

from scoremix.models.metrics.distances import Comparison
from scoremix.stages.evaluate.sentences import Change, describe_change
from scoremix.stages.evaluate.tables import Table, change_cell, frechet_cell, record_cell
from scoremix.stages.evaluate.verdict import Comparisons, decide_verdict


@pytest.mark.parametrize(
    ("interval", "verb", "star"),
    [
        ((-0.004, -0.001), "lowers", " *"),
        ((0.001, 0.004), "raises", " *"),
        ((-0.001, 0.004), "does not clearly change", ""),
        ((-0.001, 0.0), "does not clearly change", ""),  # 0 is inside
    ],
)
def test_the_interval_decides_the_verb_and_the_star(
    interval: tuple[float, float], verb: str, star: str
) -> None:
    difference = sum(interval) / 2
    change = Change(difference, interval, before=0.02, after=0.02 + difference)
    sentence = describe_change("The step", change)
    assert sentence.startswith(f"The step {verb} the kernel distance (20.0 to ")
    assert f"95 % interval {1000 * interval[0]:.2f}" in sentence or interval[0] == 0
    assert change_cell(change).endswith(f"){star}")


@pytest.mark.parametrize(
    ("difference", "interval", "verb", "kind"),
    [
        (0.0001, (-0.004, -0.001), "lowers", "better"),
        (-0.0001, (0.001, 0.004), "raises", "worse"),
        (-0.005, (-0.004, 0.001), "does not clearly change", "no different"),
    ],
)
def test_the_interval_alone_gives_the_direction(
    difference: float, interval: tuple[float, float], verb: str, kind: str
) -> None:
    """A bootstrap interval need not hold the estimate: the sign of the difference is not used."""
    assert f"It {verb} " in describe_change("It", Change(difference, interval))
    final = Comparison(
        n=60, reference_n=60, dimensions=8, resamples=100,
        kd_before=0.02, kd_after=0.02 + difference, kd_interval=interval,
        fd_before=1.0, fd_after=1.0, fd_interval=None, fd_biased=False,
    )  # fmt: skip
    measured = Comparisons(
        method="scoremix", kd="kd", fd="fd", features={"kind": "network"}, held_out=60,
        reproduced=(60, 60), bands=[], mixed={"n": 60}, minimised=None, denoised=None, final=final,
        other_parents=None, training_distances=None, norms={}, train_more="",
    )  # fmt: skip
    assert decide_verdict(measured).kind == kind


def test_a_difference_alone_has_no_distances() -> None:
    sentence = describe_change("It", Change(-0.035, (-0.04, -0.03)))
    figures = "difference -35.0, 95 % interval -40.0 to -30.0"
    assert sentence == f"It lowers the kernel distance ({figures})."
    assert change_cell(None) == ""


def test_cells_of_records() -> None:
    record: dict[str, Any] = {"value": 0.0142, "std": 0.003, "interval_95": None}
    assert record_cell(record, 1000) == "14.2 ± 3.00"
    assert record_cell(record | {"std": None}, 1000) == "14.2"
    assert record_cell({"value": 0.5, "std": None, "interval_95": [0.4, 0.6]}) == (
        "0.500 (0.400 to 0.600)"
    )
    assert record_cell(None) == record_cell(record | {"value": None}) == ""
    assert frechet_cell(1.5, biased=True) == "1.50 *" and frechet_cell(None, biased=True) == ""


def test_a_table_is_aligned_for_a_terminal() -> None:
    table = Table(["set", "n"], [["first", "7"], ["b", "1,000"]])
    assert table.as_text() == "set        n\nfirst      7\nb      1,000"
