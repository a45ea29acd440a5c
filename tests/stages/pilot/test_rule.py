"""The rule on tables made by hand: who wins, who must not, which ratio is advised."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from scoremix.stages.evaluate.sentences import Change
from scoremix.stages.pilot.candidates import BRIDGE, COPIES, FRESH, MIXUP, SCOREMIX
from scoremix.stages.pilot.rule import (
    Decision,
    choose,
    choose_unseen,
    disqualify,
    without_ratio,
)
from scoremix.stages.pilot.scores import Scores, evenness

SAME = Change(0.0, (-0.01, 0.01))
LOWER, HIGHER = Change(-0.1, (-0.15, -0.05)), Change(0.1, (0.05, 0.15))


def row(name: str, kd: float, **other: Any) -> Scores:
    values = {
        "against_mixup": None if name == MIXUP else SAME,
        "against_copies": None if name == COPIES else SAME,
        "precision": 0.9,
        "recall": 0.5,
        "coverage": 0.6,
        "nearest": 26.0,
        "newness": 1.0,
        "newness_interval": (0.95, 1.05),
        "contrast": 0.8,
        "detail": 0.6,
        "evenness": 1.0,
    }
    return Scores(name=name, kd=kd, **(values | other))


COPY, PLAIN = row(COPIES, 0.05), row(MIXUP, 0.168)


def decide(*candidates: Scores, mixup: Scores = PLAIN, apart: Change = LOWER) -> Decision:
    """apart: the difference between any two candidates."""
    return choose([COPY, mixup, *candidates], 10, lambda name, other: apart)


def test_a_clear_gain_wins_and_keeps_the_ratio() -> None:
    best = row(BRIDGE, 0.058, against_mixup=LOWER, against_copies=LOWER)
    found = decide(best, row(SCOREMIX, 0.16))
    assert (found.choice, found.kind, found.ratio) == (BRIDGE, "clear", 10)
    assert "58.0" in found.reason and "168" in found.reason and "-150 to -50" in found.reason


def test_of_two_clear_gains_the_nearer_wins() -> None:
    found = decide(row(BRIDGE, 0.07, against_mixup=LOWER), row(SCOREMIX, 0.06, against_mixup=LOWER))
    assert found.choice == SCOREMIX


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"newness": 0.8, "newness_interval": (0.7, 0.89)}, "copies"),
        ({"contrast": 0.89 * 0.8}, "contrast"),
        ({"detail": 0.79 * 0.6}, "detail"),
        ({"detail": 1.51}, "grain"),
        ({"detail": 1.0, "evenness": 1.26}, "grain"),
    ],
)
def test_a_gain_by_copying_or_blur_does_not_win(change: dict[str, float], word: str) -> None:
    cheat = row(BRIDGE, 0.02, against_mixup=LOWER, **change)
    found = decide(cheat, row(SCOREMIX, 0.1, against_mixup=LOWER))
    assert found.choice == SCOREMIX
    assert list(found.disqualified) == [BRIDGE] and word in found.disqualified[BRIDGE]
    assert decide(cheat).choice == MIXUP


def test_the_thresholds_are_shares_of_mixups_own() -> None:
    at_the_edge = row(BRIDGE, 0.1, contrast=0.9 * 0.8, detail=0.8 * 0.6)
    assert disqualify(at_the_edge, PLAIN) is None
    assert disqualify(at_the_edge, replace(PLAIN, contrast=1.0)) is not None


def test_grain_is_measured_by_real_images_and_by_mixup_where_that_has_more() -> None:
    assert disqualify(row(BRIDGE, 0.1, detail=1.5), PLAIN) is None
    rough = replace(PLAIN, detail=1.2)
    assert disqualify(row(BRIDGE, 0.1, detail=1.79), rough) is None
    assert disqualify(row(BRIDGE, 0.1, detail=1.81), rough) is not None


def test_evenness_is_measured_by_mixup_where_that_has_more() -> None:
    even = replace(PLAIN, evenness=1.2)
    assert disqualify(row(BRIDGE, 0.1, evenness=1.49), even) is None
    assert disqualify(row(BRIDGE, 0.1, evenness=1.51), even) is not None
    assert disqualify(even, even) is None


def test_noise_in_the_place_of_detail_is_even() -> None:
    """Real images differ in detail; noise of the same median has the same detail everywhere."""
    details = np.geomspace(0.1, 10, 201)
    assert evenness(details) == pytest.approx(10**-0.8)
    assert evenness(np.full(201, 1.0)) == 1.0
    assert evenness(np.zeros(5)) == 1.0


def test_a_reason_speaks_of_those_that_may_win() -> None:
    noisy = row(SCOREMIX, 0.05, detail=1.6)
    assert "nothing that may win is nearer than mixup itself" in decide(noisy).reason
    found = decide(noisy, row(BRIDGE, 0.1))
    assert "bridge is the nearest of those that may win, which" in found.reason
    assert "1.600" in found.disqualified[SCOREMIX]


def test_newness_decides_only_where_it_is_clear() -> None:
    near = row(BRIDGE, 0.05, newness=0.95)
    new = row(FRESH, 0.06, newness=1.0, newness_interval=(0.94, 1.08))
    assert decide(near, new, apart=SAME).choice == BRIDGE
    assert decide(near, replace(new, newness_interval=(0.96, 1.08)), apart=SAME).choice == FRESH


def test_newness_replaces_no_clear_gain_by_an_unclear_one() -> None:
    near = row(BRIDGE, 0.05, against_mixup=LOWER, newness=0.95)
    new = row(FRESH, 0.06, newness=1.1, newness_interval=(1.0, 1.2))
    assert decide(near, new, apart=SAME).choice == BRIDGE
    assert decide(near, replace(new, against_mixup=LOWER), apart=SAME).choice == FRESH


def test_mixup_alone_is_no_comparison() -> None:
    found = decide()
    assert found.choice == MIXUP and found.reason.startswith("Nothing but mixup was made")


def test_nearness_that_may_be_chance_is_no_copying() -> None:
    near = row(BRIDGE, 0.03, against_mixup=LOWER, newness=0.88, newness_interval=(0.84, 0.93))
    assert decide(near).choice == BRIDGE
    clear = replace(near, newness_interval=(0.84, 0.899))
    why = disqualify(clear, PLAIN)
    assert why is not None and "0.88" in why and "0.84 to 0.90" in why


def test_without_a_clear_gain_the_plain_order_holds_and_is_called_so() -> None:
    found = decide(row(BRIDGE, 0.15), row(SCOREMIX, 0.2, against_mixup=HIGHER))
    assert (found.choice, found.kind) == (BRIDGE, "no clear difference")
    assert found.reason.startswith("No clear difference: bridge") and "chance" in found.reason
    nothing = decide(row(BRIDGE, 0.2), row(SCOREMIX, 0.3))
    assert (nothing.choice, nothing.kind) == (MIXUP, "no clear difference")
    assert "mixup itself" in nothing.reason


@pytest.mark.parametrize("against_mixup", [LOWER, SAME])
@pytest.mark.parametrize(
    ("against_copies", "ratio", "why"),
    [
        (LOWER, 10, "Its images are clearly nearer"),
        (SAME, 0, "Train on the real images alone unless a trial says otherwise"),
        (HIGHER, 0, "Copies of real images are clearly nearer"),
    ],
)
def test_the_ratio_that_is_advised(
    against_mixup: Change, against_copies: Change, ratio: int, why: str
) -> None:
    best = row(BRIDGE, 0.1, against_mixup=against_mixup, against_copies=against_copies)
    found = decide(best)
    assert (found.choice, found.ratio) == (BRIDGE, ratio)
    assert found.ratio_reason.startswith(why) and against_copies.figures in found.ratio_reason
    assert choose([COPY, PLAIN, best], 1, lambda name, other: LOWER).ratio == min(ratio, 1)


def test_of_equals_the_one_farthest_from_training_images_wins() -> None:
    near = row(BRIDGE, 0.05, newness=0.9)
    new = row(FRESH, 0.06, newness=1.1)
    found = decide(near, new, apart=SAME)
    assert (found.choice, found.kind) == (FRESH, "no clear difference")
    assert "bridge is nearer still by no clear difference (50.0;" in found.reason
    assert "0.90" in found.reason and "1.10" in found.reason
    assert decide(near, new, apart=HIGHER).choice == BRIDGE  # clearly farther
    assert decide(near, replace(new, newness=0.8), apart=SAME).choice == BRIDGE
    near = replace(near, against_mixup=LOWER)
    clear = decide(near, replace(new, against_mixup=LOWER), apart=SAME)
    assert (clear.choice, clear.kind) == (FRESH, "clear")


def test_an_equal_has_half_of_the_gain_over_mixup() -> None:
    near, newer = row(BRIDGE, 0.068), {"newness": 1.1, "newness_interval": (1.05, 1.2)}
    assert decide(near, row(FRESH, 0.117, **newer), apart=SAME).choice == FRESH  # mixup: .168
    assert decide(near, row(FRESH, 0.119, **newer), apart=SAME).choice == BRIDGE
    assert decide(row(BRIDGE, 0.2, newness=9), apart=SAME).choice == MIXUP


def test_copies_are_never_chosen() -> None:
    assert decide().choice == MIXUP


def test_without_held_out_images_the_bridge_is_taken_unseen() -> None:
    found = choose_unseen([MIXUP, BRIDGE, SCOREMIX], 12)
    assert (found.choice, found.kind, found.ratio) == (BRIDGE, "not compared", None)
    assert "12 images are held out" in found.reason and "ingest.holdout" in found.reason
    assert choose_unseen([MIXUP], 0).choice == MIXUP


def test_features_that_are_blind_advise_no_ratio() -> None:
    sure = decide(row(BRIDGE, 0.05, against_mixup=LOWER, against_copies=LOWER))
    found = without_ratio(sure, "kd_pixels", ["blur", "ghosts"], 68)
    assert (found.choice, found.kind, found.ratio) == (sure.choice, sure.kind, None)
    assert "kd_pixels does not see blur or ghosts in 68 real images" in found.ratio_reason
