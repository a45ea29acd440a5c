"""What the arms say: differences over seeds, and the sentence."""

from typing import Any

import numpy as np
import pytest
import quick_charts

from scoremix.stages.trial.arms import Arm, parse_arm, parse_arms, twins_of
from scoremix.stages.trial.judge import best_snapshot, split_held_out
from scoremix.stages.trial.outcome import conclusion, outcomes, trial_table
from scoremix.stages.trial.picture import draw_ratios


def snapshot(step: int, kd: float, choosing: float | None = None) -> dict[str, Any]:
    figures = dict.fromkeys(("fd", "precision", "recall", "coverage", "copies", "gap"), 0.5)
    choosing = kd if choosing is None else choosing
    return {"step": step, "images": 64 * step, "kd": kd, "kd_choosing": choosing, **figures}


def results(*last: float) -> list[dict[str, Any]]:
    """A result for each seed: best at step 10, worse after it."""
    return [{"snapshots": [snapshot(10, kd), snapshot(20, kd + 1)]} for kd in last]


def found(**arms: list[dict[str, Any]]) -> str:
    return conclusion(outcomes(arms, dict.fromkeys(arms, 100)))


def test_the_best_snapshot_is_chosen_on_one_half_and_reported_on_the_other() -> None:
    lucky = snapshot(1, kd=0.1, choosing=0.9)
    chosen = snapshot(2, kd=0.5, choosing=0.2)
    assert best_snapshot([lucky, chosen, snapshot(3, 0.7)]) is chosen
    halves = split_held_out(101, seed=3)
    assert sorted([*halves.choosing, *halves.reporting]) == list(range(101))
    assert len(halves.choosing) == 50
    assert not np.array_equal(halves.choosing, split_held_out(101, seed=4).choosing)


def test_a_clear_gain_a_harm_and_no_difference_are_called_so() -> None:
    real = results(0.20, 0.22, 0.18)
    text = found(
        real=real,
        good=results(0.10, 0.12, 0.08),
        bad=results(0.30, 0.32, 0.28),
        same=results(0.21, 0.19, 0.20),
    )
    assert "Worth it: a GAN trained on good is 50% nearer to held-out images" in text
    assert "(kernel distance 100.0 against 200, difference -100" in text
    assert "Harmful: a GAN trained on bad is 50% farther" in text
    assert "No difference seen at this size: same (3 seeds of 1,280 images shown)" in text


def test_samples_that_are_those_of_real_in_each_seed_are_no_null_result() -> None:
    kd = (0.20, 0.22, 0.18)
    text = found(real=results(*kd), own=results(*kd), mixup=results(0.21, 0.19, 0.20))
    assert "No conclusion of own: its samples are those of real in each seed. Does" in text
    assert "No difference seen at this size: mixup (3 seeds" in text
    alone = found(real=results(*kd), own=results(*kd))
    assert "No conclusion of own" in alone and "No difference" not in alone


def test_no_difference_says_what_the_seeds_leave_room_for() -> None:
    real, worse = results(0.20, 0.22), results(0.30, 0.40)
    text = found(real=real, worse=worse)
    assert "No difference seen at this size: worse (2 seeds of 1,280 images shown). Its" in text
    assert "Its interval is -368 to 648, beside 210 of real." in text  # 140 +- 12.7 x 40
    assert "2 seeds could have shown no difference short of 508: set trial.seeds to 3" in text
    more = found(
        real=results(0.2, 0.22, 0.18), a=results(0.21, 0.22, 0.19), b=results(0.3, 0.1, 0.2)
    )
    assert "The widest interval, of b, is" in more and "could have shown" not in more


def test_the_last_snapshots_have_a_sentence_of_their_own() -> None:
    def ends(*kd: float) -> list[dict[str, Any]]:
        """The best snapshots are alike."""
        alike = (0.20, 0.22, 0.18)
        return [
            {"snapshots": [snapshot(10, first), snapshot(20, end)]}
            for first, end in zip(alike, kd, strict=True)
        ]

    arms = {"real": ends(0.50, 0.52, 0.48), "calm": ends(0.30, 0.33, 0.27)}
    arms |= {"wild": ends(0.90, 0.93, 0.87), "same": ends(0.51, 0.50, 0.49)}
    text = found(**arms)
    assert "No difference seen at this size: calm, wild, same" in text
    assert "against real images alone: calm is nearer (difference -200, 95 % interval" in text
    assert "wild is farther (difference 400" in text and "same is" not in text
    table = trial_table(outcomes(arms, dict.fromkeys(arms, 100)))
    column = list(table.heads).index("less that of real, last")
    cells = [row[column].partition(" ")[0] for row in table.rows]
    assert cells == ["", "-200", "400", "0.000"]
    for seeds in arms.values():  # with one snapshot there is nothing to choose
        for result in seeds:
            del result["snapshots"][0]
    assert "Trained to the end" not in found(**arms)


def test_the_interval_is_students_over_paired_seeds() -> None:
    pairs = np.array([-0.1, -0.2, -0.3])
    arms = outcomes(
        {"real": results(0.5, 0.6, 0.7), "own": results(0.4, 0.4, 0.4)}, {"real": 1, "own": 1}
    )
    change = arms[1].against_real
    assert change is not None and change.difference == pytest.approx(-0.2)
    t = 0.95 * np.sqrt(2 / (1 - 0.95**2))  # the quantile for two degrees of freedom, 4.303
    half = t * pairs.std(ddof=1) / np.sqrt(3)
    assert change.interval == pytest.approx((-0.2 - half, -0.2 + half))
    assert trial_table(arms).rows[1][3] == "-200 (-448 to 48.4)"


def test_what_may_be_chance_among_many_arms_is_not_called_clear() -> None:
    """Alone, with p = .006, it is worth it; of nine arms one is so by chance in 19 trials."""
    real, other = results(0.20, 0.22, 0.18), results(0.21, 0.21, 0.185)
    lucky = results(0.15, 0.18, 0.14)
    assert found(real=real, lucky=lucky).startswith("Worth it: a GAN trained on lucky")
    others = {f"arm-{number}": other for number in range(8)}
    text = found(real=real, lucky=lucky, **others)
    assert text.startswith("Not settled: lucky. Alone the interval leaves 0 out, but of 9")
    assert "No difference seen at this size: arm-0, " in text and "Worth it" not in text
    clear = found(real=real, good=results(0.1, 0.12, 0.0801), lucky=lucky, **others)
    assert clear.startswith("Worth it: a GAN trained on good") and "Not settled: lucky." in clear


def test_distances_below_0_do_not_turn_the_sentence_round() -> None:
    """The kernel distance is unbiased, and may be negative."""
    real = results(-0.0010, -0.0012, -0.0011)
    text = found(real=real, good=results(-0.0030, -0.0031, -0.0029))
    assert text.startswith("Worth it: a GAN trained on good is nearer to held-out images than one")
    text = found(real=results(0.0, 0.0001, -0.0001), bad=results(0.1, 0.1002, 0.1004))
    assert text.startswith("Harmful: a GAN trained on bad is farther from held-out images than")


def test_seeds_that_change_nothing_conclude_nothing() -> None:
    text = found(real=results(0.2, 0.2), own=results(0.1, 0.1))
    assert text.startswith("No conclusion: all seeds of real, own left the same samples.")


def test_a_failed_arm_is_named_where_nothing_is_left_to_compare() -> None:
    own = {"own": results(0.1, 0.12)}
    assert conclusion(outcomes(own, {"own": 9}), ["real"]) == (
        "Nothing can be compared: real failed."
    )


def test_distances_over_the_ratio_are_drawn_where_a_method_has_several(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("matplotlib", reason="the extra `report` is not installed")
    monkeypatch.setattr("scoremix.stages.report.charts._svg", quick_charts.DRAWN)
    arms = parse_arms(["real", "own", "mixup:2", "growing"], 5, [0, 1, 10])
    names = [arm.name for arm in arms]
    measured = {name: results(0.1 + 0.01 * n, 0.2) for n, name in enumerate(names)}
    drawn = draw_ratios(outcomes(measured, dict.fromkeys(names, 9)), arms)
    assert drawn is not None and "augmented images for each real one" in drawn
    assert ">own<" in drawn and ">mixup<" not in drawn and "growing" not in drawn
    few = {name: measured[name] for name in ("real", "own-1", "mixup-2")}
    assert draw_ratios(outcomes(few, dict.fromkeys(few, 9)), arms) is None


def test_one_seed_concludes_nothing() -> None:
    text = found(real=results(0.2), own=results(0.1))
    assert text.startswith("No conclusion from one seed") and "trial.seeds" in text
    assert "real and another" in found(own=results(0.1, 0.1))


def test_gans_that_were_still_getting_better_are_named() -> None:
    falling = [{"snapshots": [snapshot(10, 0.3), snapshot(20, kd)]} for kd in (0.20, 0.21)]
    assert "Of real the last snapshot is the best" in found(real=falling, own=results(0.2, 0.21))
    alone = [{"snapshots": [snapshot(313, kd)]} for kd in (0.2, 0.21)]  # the only samples
    assert "still getting better" not in found(real=alone, own=alone)


@pytest.mark.parametrize(
    ("text", "arm"),
    [
        ("real", Arm("real", None, 0)),
        ("own", Arm("own", "own", 5)),
        ("bridge:10", Arm("bridge-10", "bridge", 10)),
        ("bridge-10", Arm("bridge-10", "bridge", 10)),
        ("mixup-kept", Arm("mixup-kept", "mixup-kept", 5)),
        ("mixup-kept-2", Arm("mixup-kept-2", "mixup-kept", 2)),
        (" mixup ", Arm("mixup", "mixup", 5)),
        ("growing:30", Arm("growing-30", "own", 30, growing=True)),
        ("growing", Arm("growing", "own", 15, growing=True)),
    ],
)
def test_arms_are_read_from_text(text: str, arm: Arm) -> None:
    assert parse_arm(text, 5) == arm


@pytest.mark.parametrize(
    "text", ["real:3", "reel", "own:0", "own:x", "auto", "mixup:1000", "own-0"]
)
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"arm|ratio"):
        parse_arm(text, 5)


def test_a_sweep_of_ratios_names_real_once_and_leaves_ratios_that_are_written() -> None:
    arms = parse_arms(["real", "own", "mixup:2", "growing"], 5, [0, 1, 10])
    assert [arm.name for arm in arms] == ["real", "own-1", "own-10", "mixup-2", "growing"]
    assert [arm.ratio for arm in arms] == [0, 1, 10, 2, 30]  # growing: beyond any other
    assert [arm.ratio for arm in parse_arms(["real", "growing"], 5)] == [0, 15]
    assert [arm.name for arm in parse_arms(["own"], 5, [0, 1])] == ["real", "own-1"]
    assert [arm.name for arm in parse_arms(["own-3", "real"], 5, [0, 1])] == ["own-3", "real"]


@pytest.mark.parametrize(
    ("texts", "ratios", "named"),
    [
        (["own:1", "own"], [1], "own-1 is named twice"),
        (["own", "own:5"], [], "own and own-5 are one corpus, of ratio 5"),
        (["own"], [5, 1, 5], "ratios names 5 twice"),
    ],
)
def test_gans_on_one_corpus_do_not_count_twice(
    texts: list[str], ratios: list[int], named: str
) -> None:
    with pytest.raises(ValueError, match=named):
        parse_arms(texts, 5, ratios)


def test_arms_of_one_corpus_are_found_whatever_their_names() -> None:
    seen = {"real": "a", "mixup": ("b", None), "growing": ("b", 3), "own": ("b", None)}
    assert twins_of(seen) == {"own": "mixup"}


def test_an_arm_names_its_options() -> None:
    assert parse_arm("mixup-kept", 1).changes == {"method": "mixup", "contrast": "kept"}
    assert parse_arm("own", 1).changes == {} and parse_arm("fmix", 1).changes == {"method": "fmix"}
