"""The first questions: one row each, one sentence, one ratio, from constructed measurements."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from blob_corpus import Corpus, evaluated, noisy, same
from measured import FINDINGS, compared

from scoremix.stages.evaluate.answers import Answers, answer_questions
from scoremix.stages.evaluate.sensitivity import Sensitivity
from scoremix.stages.evaluate.sentences import Change

FOUND = replace(
    FINDINGS,
    mixed={"n": 812, "share_of_corpus": 0.8},
    against_copies=Change(-0.002, (-0.01, 0.006)),
)
COPIES = {"value": 0.01, "n": 800, "interval_95": (0.005, 0.02)}
NO_COPIES = {"kind": "not copying", "text": "No copying: 8 of 800."}
NEARER, UNCLEAR, FARTHER = (-0.03, -0.01), (-0.02, 0.01), (0.01, 0.04)


def entry(ratio: int, low: float, high: float) -> dict[str, Any]:
    interval = (low, high)
    found = {"difference": (low + high) / 2, "interval_95_other_training_images": interval}
    return {"ratio": ratio, "less_real_images": {"final": found}}


def answers(*intervals: tuple[float, float], **changed: Any) -> Answers:
    """Of a corpus whose distance at ratios 1, 2, ... less that at 0 has these intervals."""
    copying = changed.pop("copying", NO_COPIES)
    entries = [entry(0, 0.0, 0.0), *(entry(1 + at, *ends) for at, ends in enumerate(intervals))]
    return answer_questions(replace(FOUND, **changed), entries, copying, COPIES)


def test_the_table_in_full() -> None:
    found = answers(NEARER, (-0.04, -0.015), UNCLEAR)
    assert found.as_text().startswith(
        "Use ratio 2: there the corpus is clearly nearer to unseen real images than the real images"
        " alone are (difference -27.5, 95 % interval -40.0 to -15.0, x 1000).\n\nnearer"
    )
    assert "20 % of the made images have less" in found.note
    assert found.table.rows == [
        ["than the real images alone?", "yes, at ratio 1 to 2", "-27.5 at ratio 2",
         "-40.0 to -15.0"],
        ["than copies of them?", "not clearly", "-2.00", "-10.0 to 6.00"],
        ["than mixup?", "yes", "-35.0", "-50.0 to -1.00"],
        ["how many are near-copies?", "8 of 800", "1.0 %", "0.5 to 2.0 %"],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("intervals", "ratio", "begins"),
    [
        ([NEARER, UNCLEAR], 1, "Use ratio 1: there the corpus is clearly nearer"),
        ([UNCLEAR, (-0.02, -0.001)], 2, "Use ratio 2"),
        (
            [UNCLEAR, FARTHER],
            0,
            "Use ratio 0, the real images alone, unless a trial says otherwise: at no",
        ),
        ([FARTHER, FARTHER], 0, "Do not use this corpus: at every ratio it is farther"),
    ],
)
def test_the_ratio_is_the_one_that_is_surely_nearest(
    intervals: list[tuple[float, float]], ratio: int, begins: str
) -> None:
    found = answers(*intervals)
    assert found.ratio == ratio and found.sentence.startswith(begins)


def test_copies_are_not_to_be_used_however_near_they_are() -> None:
    copying = {"kind": "copying", "text": "COPYING: 90 of 800 images are copies."}
    found = answers(NEARER, copying=copying)
    assert found.ratio == 0
    assert found.sentence == "Do not use this corpus: 90 of 800 images are copies."


def test_features_that_miss_something_recommend_nothing_but_may_warn() -> None:
    blind = Sensitivity(500, {}, ["noise"])
    found = answers(NEARER, sensitivity=blind)
    assert found.ratio is None and "does not see noise" in found.sentence
    assert answers(FARTHER, sensitivity=blind).ratio == 0


@pytest.mark.parametrize("held_out", [0, 49])
def test_without_held_out_images_nothing_is_recommended(held_out: int) -> None:
    blind = Sensitivity(500, {}, ["noise"])  # as features are with few held-out images
    for ends in (NEARER, FARTHER):
        found = answers(ends, held_out=held_out, sensitivity=blind)
        assert found.ratio is None and found.sentence.startswith("No ratio is recommended")


def test_mixup_that_is_nearer_still_is_named() -> None:
    found = answers(NEARER, final=compared(0.01, 0.02), other_parents=(0.005, 0.03))
    assert found.ratio == 1 and "mixup of the same rows is nearer still" in found.sentence


def test_the_row_on_mixup_fits_the_method() -> None:
    assert answers(NEARER, method="mixup").table.rows[2][1] == "it is mixup"
    assert [row[0] for row in answers(NEARER, method="renoise").table.rows] == [
        "than the real images alone?",
        "than copies of them?",
        "how many are near-copies?",
    ]


def test_of_a_whole_corpus(tmp_path: Path) -> None:
    """Noise is to be left alone; plain mixup of blobs is no gain over the blobs."""
    metrics = evaluated(noisy).metrics
    assert metrics["answers"]["ratio"] == 0
    assert metrics["answers"]["sentence"].startswith("Do not use this corpus")
    wide = metrics["final_minus_copies"]["interval_95_other_training_images"]
    assert 0 < wide[0] < metrics["final_minus_copies"]["difference"] < wide[1]
    metrics = evaluated(same, "mixup").metrics
    assert metrics["answers"]["ratio"] == 0
    _, metrics = Corpus(noisy, held_out=0).evaluate(tmp_path)
    assert metrics["answers"]["ratio"] is None
    assert metrics["answers"]["rows"][0][1] == "not measured"
