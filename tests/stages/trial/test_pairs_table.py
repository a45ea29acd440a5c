"""Translations in a trial's tables: pair by pair, and of one image to one other."""

from typing import Any

import numpy as np
import pytest

from scoremix.stages.trial.judge import best_snapshot
from scoremix.stages.trial.outcome import conclusion, outcomes, trial_table
from scoremix.stages.trial.pairs_table import MEAN, pair_outcomes, pairs_table


def pair(source: str, target: str, kd: float, lpips: float | None = None) -> dict[str, Any]:
    found = {"source": source, "target": target, "images": 9, "kd": kd, "fd": 2 * kd}
    known = {"name": "lpips", "value": lpips, "of": "outputs of one source image"}
    return found if lpips is None else found | {"lpips": known}


def results(*seeds: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A result of one snapshot for each seed."""
    rest = dict.fromkeys(("fd", "precision", "recall", "coverage", "copies"), 0.5)
    at = {"step": 1, "images": 64, "kd": 0.3, "kd_choosing": 0.3, **rest}
    return [{"snapshots": [at | {"pairs": pairs}]} for pairs in seeds]


def arms(**found: list[dict[str, Any]]) -> Any:
    return outcomes(found, dict.fromkeys(found, 100))


def test_every_pair_and_their_mean_are_compared_with_real_seed_by_seed() -> None:
    real = results([pair("a", "b", 0.4, 0.1), pair("b", "a", 0.6, 0.3)],
                   [pair("a", "b", 0.5, 0.1), pair("b", "a", 0.9, 0.3)])  # fmt: skip
    own = results([pair("a", "b", 0.2, 0.2), pair("b", "a", 0.5, 0.2)],
                  [pair("a", "b", 0.2, 0.2), pair("b", "a", 0.7, 0.4)])  # fmt: skip
    found = {(one.arm, one.source): one for one in pair_outcomes(arms(real=real, own=own))}
    mean = found["own", MEAN]
    assert mean.values["kd"] == pytest.approx([0.35, 0.45])
    assert mean.values["lpips"] == pytest.approx([0.2, 0.3])
    assert mean.against_real is not None
    assert mean.against_real.difference == pytest.approx(np.mean([0.35 - 0.5, 0.45 - 0.7]))
    first = found["own", "a"].against_real
    assert first is not None and first.difference == pytest.approx(-0.25)
    assert found["real", MEAN].against_real is None
    table = pairs_table(arms(real=real, own=own))
    assert table is not None and table.heads[-1] == "lpips, outputs of one source image"
    assert [row[:3] for row in table.rows[3:]] == [
        ["own", "a", "b"], ["own", "b", "a"], ["own", MEAN, ""],
    ]  # fmt: skip
    assert table.rows[0][3] == "450 ± 70.7" and table.rows[0][6].startswith("0.100 ±")


def test_of_many_pairs_the_means_alone_are_shown() -> None:
    names = "abcde"
    pairs = [pair(a, b, 0.1) for a in names for b in names if a != b]
    table = pairs_table(arms(real=results(pairs)))
    assert table is not None and [row[1] for row in table.rows] == [MEAN]
    assert len(table.heads) == 6  # no LPIPS
    assert len(pair_outcomes(arms(real=results(pairs)))) == 21


def test_an_arm_without_pairs_is_left_out() -> None:
    old = [{"snapshots": [{**results([])[0]["snapshots"][0]}]}]
    del old[0]["snapshots"][0]["pairs"]
    known = results([pair("a", "b", 0.1)])
    assert [one.arm for one in pair_outcomes(arms(real=old, own=known))] == ["own"]
    assert pairs_table(arms(real=old)) is None


def one_shot(*last: float) -> list[dict[str, Any]]:
    """The last snapshot is worse than the first: there are no halves to choose it by."""
    facts = {"sfd_name": "sifid of patches", "sfd_biased": False}
    return [
        {"snapshots": [{"step": n, "images": 64 * n, "sfd": sfd, **facts}
                       for n, sfd in ((1, 0.01), (2, value))]}
        for value in last
    ]  # fmt: skip


def test_one_shot_translation_is_compared_at_the_last_snapshot() -> None:
    real, own = one_shot(0.20, 0.22, 0.18), one_shot(0.10, 0.12, 0.08)
    assert best_snapshot(real[0]["snapshots"])["step"] == 2
    found = arms(real=real, own=own)
    text = conclusion(found)
    assert text.startswith("Worth it: a GAN trained on own is 50% nearer to the target image")
    assert "single-image Frechet distance x 1,000 100.0 against 200" in text
    assert "still getting better" not in text and pairs_table(found) is None
    table = trial_table(found)
    assert table.heads[2] == "sifid of patches x 1000, last snapshot"
    assert table.rows[1][2] == "100.0 ± 20.0"
    assert table.rows[1][3].startswith("-100.0 (-100") and table.rows[1][3].endswith(" *")
