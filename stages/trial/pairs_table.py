"""A trial's translations pair by pair: distance to the target class, LPIPS of the outputs.

As the published tables of translation have it (Choi et al. 2020, "StarGAN v2"): a row for each pair
of classes, and their mean, each pair counting once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..evaluate.sentences import Change
from ..evaluate.tables import Table, change_cell, number_cell, spread_cell
from .arms import REAL
from .outcome import ArmOutcome, paired_change

MEAN = "mean of pairs"
_MOST_PAIRS = 12  # of which every one has a row; of more, the mean alone
_Values = Mapping[str, Sequence[float]]  # "kd", "fd", "lpips" -> the value of every seed


@dataclass(frozen=True)
class PairOutcome:
    """One pair of an arm, or the mean of its pairs, over seeds; of the best snapshots."""

    arm: str
    source: str  # class, or MEAN
    target: str  # class; "" of the mean
    values: _Values
    against_real: Change | None  # of kd

    def as_json(self) -> dict[str, Any]:
        """Plain values for trial.json."""
        change = self.against_real
        known = None if change is None else [change.difference, *change.interval]
        names = {"arm": self.arm, "source": self.source, "target": self.target}
        return {**names, **self.values, "kd_less_real": known}


def pair_outcomes(arms: Sequence[ArmOutcome]) -> list[PairOutcome]:
    """Every pair of every arm, and their mean after them; [] of a trial without translation.

    An arm whose samples were judged without pairs, by an earlier version, is left out.
    """
    values = {arm.name: found for arm in arms if (found := _by_pair(arm.best))}
    real = values.get(REAL, {})
    outcomes = []
    for arm, pairs in values.items():
        for (source, target), mine in pairs.items():
            its = real.get((source, target))
            compared = arm != REAL and its is not None
            change = paired_change(mine["kd"], its["kd"]) if compared and its else None
            outcomes.append(PairOutcome(arm, source, target, mine, change))
    return outcomes


def _by_pair(best: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str], _Values]:
    """(source, target) -> name -> the value of every seed; the mean of all pairs last."""
    seeds = [
        {(p["source"], p["target"]): _figures(p) for p in one.get("pairs", ())} for one in best
    ]
    if not seeds[0] or any(set(seed) != set(seeds[0]) for seed in seeds):
        return {}
    for seed in seeds if len(seeds[0]) > 1 else ():
        known = set.intersection(*(set(figures) for figures in seed.values()))
        seed[MEAN, ""] = {
            name: float(np.mean([figures[name] for figures in seed.values()]))
            for name in ("kd", "fd", "lpips")
            if name in known
        }
    return {
        pair: {
            name: [seed[pair][name] for seed in seeds]
            for name in figures
            if all(name in seed[pair] for seed in seeds)
        }
        for pair, figures in seeds[0].items()
    }


def _figures(pair: Mapping[str, Any]) -> dict[str, float]:
    lpips = {"lpips": pair["lpips"]["value"]} if "lpips" in pair else {}
    return {"kd": pair["kd"], "fd": pair["fd"], **lpips}


def pairs_table(arms: Sequence[ArmOutcome]) -> Table | None:
    """A row for each arm and pair, distances times 1,000; None without a translation."""
    outcomes = pair_outcomes(arms)
    if not outcomes:
        return None
    if len({(each.source, each.target) for each in outcomes}) > 1 + _MOST_PAIRS:
        outcomes = [each for each in outcomes if each.source == MEAN]
    lpips = _head_of_lpips(arms)
    heads = ["arm", "from", "into", "distance, best snapshot", "less that of real (95 % interval)"]
    heads += ["Frechet distance", *lpips]
    rows = []
    for each in outcomes:
        kd = [1000 * value for value in each.values["kd"]]
        cells = [
            each.arm,
            each.source,
            each.target,
            _over_seeds(kd),
            change_cell(each.against_real),
        ]
        cells.append(_over_seeds(each.values["fd"]))
        if lpips:
            cells.append(_over_seeds(each.values.get("lpips", ())))
        rows.append(cells)
    return Table(heads, rows)


def _over_seeds(values: Sequence[float]) -> str:
    """The mean over seeds, and their standard deviation where there are several."""
    if len(values) < 2:
        return number_cell(values[0] if values else None)
    return spread_cell(float(np.mean(values)), float(np.std(values, ddof=1)))


def _head_of_lpips(arms: Sequence[ArmOutcome]) -> list[str]:
    """The head of its column, which says what it is of; none where it was not measured."""
    found = [
        pair["lpips"]
        for arm in arms
        for best in arm.best
        for pair in best.get("pairs", ())
        if "lpips" in pair
    ]
    names = dict.fromkeys(f"{one['name']}, {one['of']}" for one in found)
    return [" / ".join(names)] if names else []
