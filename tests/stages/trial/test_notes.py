"""Notes on the samples that arms were judged by."""

from typing import Any

import numpy as np

from scoremix.pipeline.trial.judging import _notes
from scoremix.stages.gan_samples.read import Samples
from scoremix.stages.trial.notes import notes_of, unequal_samples
from scoremix.stages.trial.outcome import outcomes, trial_table


def results(n: int) -> list[dict[str, Any]]:
    figures = dict.fromkeys(("kd", "kd_choosing", "precision", "recall", "coverage", "copies"), 0.5)
    return [{"snapshots": [{"step": 1, "name": "samples", "n": n, **figures}]}]


def test_different_numbers_of_samples_have_a_column_and_a_note() -> None:
    arms = outcomes({"real": results(290), "own": results(40)}, {"real": 1, "own": 1})
    said = unequal_samples(arms)
    assert said is not None and "real 290, own 40" in said
    table = trial_table(arms)
    assert table.heads[-1] == "samples" and [row[-1] for row in table.rows] == ["290", "40"]
    equal = outcomes({"real": results(40), "own": results(40)}, {"real": 1, "own": 1})
    assert unequal_samples(equal) is None and trial_table(equal).heads[-1] != "samples"


def test_what_was_done_to_samples_is_noted() -> None:
    samples = Samples(
        name="step-1",
        files=3,
        names=["a", "b"],
        images=np.zeros((2, 8, 8, 3), np.uint8),
        pixel_sha256=["", ""],
        left_out=[("c.png", "cut off")],
        sizes={"16x16": 1, "8x8": 1},
    )
    assert _notes(samples) == [
        "samples of 16x16 px were resized to 8 px",
        "1 of 3 images of step-1 cannot be read, as c.png: cut off",
    ]


def test_a_note_is_said_once_with_its_arms() -> None:
    found = {"real": [{"notes": ["one"]}, {"notes": ["one"]}], "own": [{"notes": ["one", "two"]}]}
    assert notes_of(found) == ["Note on real, own: one.", "Note on own: two."]
    many = {"own": [{"notes": [str(number) for number in range(7)]}]}
    assert notes_of(many)[5:] == ["2 more notes are in trial.json."]
