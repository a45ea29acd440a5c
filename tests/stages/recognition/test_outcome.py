"""Tables and sentences of a comparison: paired differences, directions, one seed, no real arm."""

from typing import Any

import numpy as np
import pytest

from scoremix.manifests.errors import ConfigError
from scoremix.stages.recognition.arms import parse_recognition_arms
from scoremix.stages.recognition.config import RecognitionConfig
from scoremix.stages.recognition.outcome import (
    RecognitionOutcome,
    differences_tables,
    recognition_conclusion,
    recognition_outcomes,
    recognition_table,
)
from scoremix.stages.recognition.over_classes import DRAWS


def results(tar: list[float], eer: list[float]) -> list[dict[str, Any]]:
    return [
        {"figures": {"tar_0.01": a, "tar_0.001": a / 2, "eer": b, "roc": [0.0]}, "seconds": 3.0}
        for a, b in zip(tar, eer, strict=True)
    ]


def outcomes(**arms: list[dict[str, Any]]) -> list[RecognitionOutcome]:
    numbers = dict.fromkeys(arms, 10)
    return recognition_outcomes(arms, numbers, numbers)


REAL = results([0.70, 0.80, 0.75], [0.10, 0.09, 0.11])
BETTER = results([0.80, 0.90, 0.86], [0.05, 0.04, 0.05])
NEAR = results([0.79, 0.91, 0.86], [0.05, 0.04, 0.05])
SAME = results([0.69, 0.83, 0.74], [0.10, 0.08, 0.12])


def test_differences_are_paired_by_seed() -> None:
    """BETTER has .10, .10 and .11: t = 4.303, so .1033 +- 4.303 x .00577 / sqrt 3."""
    change = outcomes(real=REAL, own=BETTER)[1].less_real["tar_0.01"]
    assert change.difference == pytest.approx(0.31 / 3)
    assert change.interval[1] - change.difference == pytest.approx(0.014343, abs=1e-5)


def test_the_sentence_is_on_the_figure_that_was_chosen_and_knows_its_direction() -> None:
    found = outcomes(real=REAL, own=BETTER, other=SAME)
    text = recognition_conclusion(found)
    assert text.startswith("Worth it: trained on own, the equal error rate is 4.67 %, on real")
    text = recognition_conclusion(found, figure="tar_0.001")
    assert text.startswith("Worth it: trained on own, the TAR at FAR 0.001 is 42.67 %")
    assert (
        "No difference seen at this size: other (TAR at FAR 0.001, against real, 3 seeds)."
        " Its interval is -2.70 to +3.04 points." in text
    )
    harmful = recognition_conclusion(outcomes(real=BETTER, own=REAL), figure="tar_0.001")
    assert harmful.startswith("Harmful: trained on own, ")
    with pytest.raises(ConfigError, match=r"recognition.figure is rank_1.*there are tar_0.01"):
        recognition_conclusion(found, figure="rank_1")


def test_arms_are_compared_with_a_chosen_rival() -> None:
    """Compares arms with equal small changes alone, as comparisons of their own."""
    arms = {"real": REAL, "rival": BETTER, "own": REAL, "same": NEAR, "other+affine": REAL}
    numbers = dict.fromkeys(arms, 10)
    found = recognition_outcomes(arms, numbers, numbers, against="rival")
    assert [arm.name for arm in found if arm.less_against] == ["own", "same"]
    table = differences_tables(found, "rival")[-1]
    assert table.heads[0] == "less rival, points" and [row[0] for row in table.rows] == [
        "own", "same",
    ]  # fmt: skip
    text = recognition_conclusion(found, against="rival")
    assert "Beside rival, own has more equal error rate (difference +5.33" in text
    assert "Not clearly different from rival: same." in text


def test_nothing_is_compared_where_real_failed() -> None:
    text = recognition_conclusion(outcomes(own=BETTER), failed=["real"])
    assert text == "Nothing can be compared with real images: real failed."


def test_arms_of_small_changes_need_no_arm_without() -> None:
    """They are judged against real+affine; where that is no arm either, against a chosen rival."""
    arms = {"real+affine": REAL, "own+affine": BETTER, "other+affine": REAL}
    numbers = dict.fromkeys(arms, 10)
    found = recognition_outcomes(arms, numbers, numbers, against="other+affine")
    for failed in ([], ["real"]):
        text = recognition_conclusion(found, against="other+affine", failed=failed)
        assert text.startswith("Worth it: trained on own+affine") and "Nothing" not in text
        assert "Beside other+affine, own+affine has less" in text
    made = recognition_outcomes(
        {name: arms[name] for name in ("own+affine", "other+affine")}, numbers, numbers,
        against="other+affine",
    )  # fmt: skip
    text = recognition_conclusion(made, against="other+affine")
    assert text.startswith("Nothing was compared with real images alone")
    assert "Beside other+affine, own+affine has less" in text


def test_what_may_be_chance_among_many_arms_is_not_called_clear() -> None:
    lucky = results([0.80, 0.88, 0.86], [0.05, 0.04, 0.05])
    alone = recognition_conclusion(outcomes(real=REAL, lucky=lucky), figure="tar_0.01")
    assert alone.startswith("Worth it: trained on lucky")
    others = {f"arm-{number}": SAME for number in range(8)}
    text = recognition_conclusion(outcomes(real=REAL, lucky=lucky, **others), figure="tar_0.01")
    assert text.startswith("Not settled: lucky. ") and "Worth it" not in text


def test_of_error_rates_the_lower_is_better() -> None:
    def only_eer(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [one | {"figures": {"eer": one["figures"]["eer"]}} for one in found]

    text = recognition_conclusion(outcomes(real=only_eer(REAL), own=only_eer(BETTER)))
    assert text.startswith("Worth it") and "equal error rate is 4.67 %" in text


def test_one_seed_and_no_real_arm_conclude_nothing() -> None:
    assert "one seed" in recognition_conclusion(outcomes(real=REAL[:1], own=BETTER[:1]))
    found = outcomes(own=BETTER)
    assert "Nothing was compared" in recognition_conclusion(found)
    assert differences_tables(found) == []


def test_the_table_has_percent_spreads_and_costs() -> None:
    table = recognition_table(outcomes(real=REAL, own=BETTER), sampling={"own": 120.4})
    assert table.heads[4] == "TAR at FAR 0.01 %" and table.rows[0][4] == "75.00 ± 5.00"
    assert [row[-2:] for row in table.rows] == [["3", ""], ["3", "120"]]
    (differences,) = differences_tables(outcomes(real=REAL, own=BETTER))
    assert differences.rows[0][1] == "+10.33 (+8.90 to +11.77) *"


def test_made_images_are_not_praised_for_small_changes() -> None:
    """own+affine is better than real alone, and no better than real+affine."""
    arms = {"real": REAL, "real+affine": BETTER, "own+affine": NEAR, "own": SAME}
    found = outcomes(**arms)
    text = recognition_conclusion(found)
    assert "trained on real+affine, the equal error rate is" in text
    assert "trained on own+affine" not in text
    assert "No difference seen at this size: own+affine (equal error rate, against real+" in text
    assert "seen at this size: own (equal error rate, against real, 3 seeds)." in text
    by_real, by_affine = differences_tables(found)
    assert [row[0] for row in by_real.rows] == ["real+affine", "own+affine", "own"]
    assert by_affine.heads[0] == "less real+affine, points"
    assert [row[0] for row in by_affine.rows] == ["own+affine"]
    # Without that arm there is only real to compare with.
    alone = recognition_conclusion(outcomes(**{"real": REAL, "own+affine": BETTER}))
    assert "trained on own+affine, " in alone and "real images as they are" in alone


@pytest.mark.parametrize("texts", [["real", "fake"], ["real", "real"], ["+affine"]])
def test_unknown_and_doubled_arms_are_refused(texts: list[str]) -> None:
    with pytest.raises(ValueError, match="arm"):
        RecognitionConfig(arms=texts)


def test_arms() -> None:
    real, own = parse_recognition_arms(["real", "own+affine"])
    assert (real.corpus, real.affine) == ("real", False)
    assert (own.name, own.corpus, own.affine) == ("own+affine", "own", True)


def test_equal_figures_of_all_seeds_conclude_nothing() -> None:
    """A command that is not given {seed}: the interval would have no width."""
    same = results([0.9, 0.9, 0.9], [0.05, 0.05, 0.05])
    text = recognition_conclusion(outcomes(real=REAL, own=same), by_command=True)
    assert text.startswith("No conclusion: all seeds of own gave the same figures.")
    perfect = results([1.0, 1.0, 1.0], [0.0, 0.0, 0.0])
    for arm in perfect:
        arm["figures"]["tar_0.001"] = 1.0
    for arms in (outcomes(real=REAL, own=perfect), outcomes(real=REAL, own=same)):
        assert "No conclusion" not in recognition_conclusion(arms)  # the built-in has its seeds
    assert "No conclusion" not in recognition_conclusion(
        outcomes(real=REAL, own=perfect), by_command=True
    )


def test_equal_differences_of_all_seeds_are_no_certainty() -> None:
    """Holds for 30 held-out images, of which each of two seeds named two more rightly."""
    real, more = results([0.9, 0.7], [0.1, 0.2]), results([0.95, 0.74], [0.15, 0.25])
    found = outcomes(real=real, own=more)
    assert not found[1].less_real["eer"].is_significant
    text = recognition_conclusion(found)
    assert text.startswith("No difference seen at this size: own")
    assert text.endswith("Its interval is without ends.")
    table = differences_tables(found)[0]
    assert table.rows[0][-1] == "+5.00 (the same of every seed)"


def test_an_arm_is_compared_with_one_of_the_same_small_changes() -> None:
    arms = ["real", "real+affine", "own", "compose:5x3+affine", "mixup-classes+affine"]
    asked = RecognitionConfig(arms=arms, against="compose:5x3+affine")
    assert asked.against == "compose-5x3+affine"  # as the table has it
    with pytest.raises(ValueError, match=r"no other arm .* is without \+affine"):
        RecognitionConfig(arms=arms, against="own")


def test_arms_are_not_judged_by_others_where_their_baseline_failed() -> None:
    """Else turns and shifts would be a gain of the made images."""
    arms = {"real": REAL, "own": SAME, "own+affine": BETTER}
    numbers = dict.fromkeys(arms, 10)
    failed = ["real+affine"]
    text = recognition_conclusion(
        recognition_outcomes(arms, numbers, numbers, failed=failed), failed=failed
    )
    assert "Worth it" not in text and "No difference seen at this size: own (" in text
    assert "Not judged: own+affine. real+affine, with which they are to be compared" in text
    arms = {"real+affine": REAL, "own": SAME, "own+affine": BETTER}
    numbers = dict.fromkeys(arms, 10)
    found = recognition_outcomes(arms, numbers, numbers, failed=["real"])
    text = recognition_conclusion(found, failed=["real"])
    assert "Worth it: trained on own+affine" in text and "Not judged: own. real, with" in text


def test_arms_are_compared_draw_by_draw_over_the_unseen_classes() -> None:
    """Draws differ far more than arms do: what the arms differ by is nearly the same in each."""
    draws = np.random.default_rng(0).normal(0.10, 0.03, 500)

    its_own = np.random.default_rng(1).normal(0, 1e-5, 500)

    def arm(found: list[dict[str, Any]], less: float) -> list[dict[str, Any]]:
        mine = draws - less + (its_own if less else 0.0)
        return [
            one | {"figures": one["figures"] | {DRAWS: {"eer": (mine + n / 1000).tolist()}}}
            for n, one in enumerate(found)
        ]

    found = outcomes(real=arm(REAL, 0), own=arm(BETTER, 0.02), other=BETTER)
    assert found[1].over_classes["eer"] == pytest.approx((-0.02, -0.02), abs=1e-4)
    assert not found[0].over_classes and not found[2].over_classes
    assert "other classes" not in recognition_conclusion(found[:2])
    # The same in every draw: the unseen classes are too few to draw others.
    few = outcomes(real=arm(REAL, 0), own=arm(BETTER, 0))
    assert not few[1].over_classes
    assert recognition_conclusion(few).endswith(
        "Whether other classes would say the same was not measured."
    )
    # As clear over seeds, and nothing over draws: the sentence says so.
    unsure = outcomes(real=arm(REAL, 0), own=arm(BETTER, 0.01))
    unsure[1].over_classes["eer"] = (-0.03, 0.01)
    assert recognition_conclusion(unsure).endswith(
        "Not clearly so on other classes: over draws of these the difference is -3.00 to +1.00."
    )
    table = differences_tables(found)[-1]
    assert table.heads == [
        "points, 95 % over draws of the unseen classes",
        "less",
        "equal error rate",
    ]
    assert table.rows == [["own", "real", "-2.00 to -2.00"]]
    one = {
        "real": arm(REAL, 0)[:1],
        "real+affine": arm(REAL, 0)[:1],
        "own+affine": arm(SAME, 0.01)[:1],
    }
    numbers = dict.fromkeys(one, 10)
    table = differences_tables(recognition_outcomes(one, numbers, numbers))[-1]
    assert ["own+affine", "real+affine", "-1.00 to -1.00"] in table.rows  # of one seed, too


def test_real_images_may_be_trained_on_twice_as_long() -> None:
    plain, twice = parse_recognition_arms(["real", "real@twice+affine"])
    assert (plain.name, plain.twice) == ("real", False)
    assert (twice.name, twice.corpus, twice.twice, twice.affine) == (
        "real@twice+affine", "real", True, True,
    )  # fmt: skip
    for text in ("own@twice", "compose@twice", "real@twice:5"):
        with pytest.raises(ValueError, match="no arm"):
            parse_recognition_arms([text])
    arms = ["real", "real@twice", "compose"]
    assert RecognitionConfig(arms=arms, against="real@twice").against == "real@twice"
    with pytest.raises(ValueError, match="a command has its own length"):
        RecognitionConfig(arms=arms, command="train {data} {out} {unseen}")
