"""What the arms of a trial say together: a table, paired differences, one plain sentence.

Seeds are pairs: the GANs of one seed share their first weights, latents and order of updates. The
interval of a difference is Student's over seeds; with one seed there is none. Of many arms some
differ by chance: the sentences call clear what is so among all arms together, by Holm's rule.
"""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...models.metrics.paired_seeds import holm, student_quantile, two_sided_p
from ..evaluate.number_format import format_kernel
from ..evaluate.sentences import Change
from ..evaluate.tables import Table, change_cell, spread_cell
from .arms import REAL
from .judge import best_snapshot

_HEADS = (
    "arm", "images", "distance, best snapshot", "less that of real (95 % interval)", "at",
    "distance, last snapshot", "less that of real, last", "precision", "recall", "coverage",
    "copies", "gap of D",
)  # fmt: skip

_SEEN_FROM = 3  # seeds, from which on usual differences can be seen
_AGAINST = {"kd": "held-out images", "sfd": "the target image"}
NAMES = {"kd": "kernel distance", "sfd": "single-image Frechet distance"}
_TITLES = NAMES | {"sfd": f"{NAMES['sfd']} x 1,000"}


@dataclass(frozen=True)
class PairedChange(Change):
    """A mean difference over seeds, with Student's 95 % interval."""

    p: float = 1.0  # two-sided, of no difference


@dataclass(frozen=True)
class ArmOutcome:
    """An arm over its seeds."""

    name: str
    corpus: int  # images that its GANs saw, each counted once
    best: Sequence[Mapping[str, Any]]  # the best snapshot of every seed
    last: Sequence[Mapping[str, Any]]
    snapshots: int  # of every seed at least
    against_real: PairedChange | None  # None for real itself, for one seed, and without a real arm
    last_against_real: PairedChange | None  # the same of the last snapshots

    @property
    def distance(self) -> str:
        """The figure that it is judged by: kd, or sfd of one-shot translation."""
        return distance_of(self.last[0])

    def mean(self, name: str, *, last: bool = False) -> float:
        """The mean over seeds of a figure of the best snapshots, or of the last ones."""
        return float(np.mean([snapshot[name] for snapshot in (self.last if last else self.best)]))

    def spread(self, name: str, *, last: bool = False) -> float:
        """Its standard deviation over seeds; 0 for one seed."""
        values = [snapshot[name] for snapshot in (self.last if last else self.best)]
        return float(np.std(values, ddof=1)) if len(values) > 1 else 0.0

    @property
    def judged_by(self) -> str:
        """How many samples its snapshots were judged by, or from how many to how many."""
        counts = sorted(self.sample_counts)
        return " to ".join(f"{count:,}" for count in dict.fromkeys((counts[0], counts[-1])))

    @property
    def sample_counts(self) -> set[int]:
        """The numbers of samples of its snapshots; empty of the own GAN, which draws as asked."""
        return {int(each["n"]) for each in (*self.best, *self.last) if "n" in each}


def judged_alike(arms: Sequence[ArmOutcome]) -> bool:
    """Whether all snapshots of all arms were judged by as many samples, as the own GAN's are."""
    return len(set[int]().union(*(arm.sample_counts for arm in arms))) < 2


def distance_of(snapshot: Mapping[str, Any]) -> str:
    """The name of the figure that a snapshot is judged by."""
    return "kd" if "kd" in snapshot else "sfd"


def outcomes(
    results: Mapping[str, Sequence[Mapping[str, Any]]], corpus: Mapping[str, int]
) -> list[ArmOutcome]:
    """results: arm -> the result of each seed, in the same order. corpus: arm -> its images."""
    best = {
        arm: [best_snapshot(result["snapshots"]) for result in found]
        for arm, found in results.items()
    }
    last = {arm: [result["snapshots"][-1] for result in found] for arm, found in results.items()}
    real, real_last = best.get(REAL), last.get(REAL)
    return [
        ArmOutcome(
            name=arm,
            corpus=corpus[arm],
            best=best[arm],
            last=last[arm],
            snapshots=min(len(result["snapshots"]) for result in found),
            against_real=None if arm == REAL or not real else _difference(best[arm], real),
            last_against_real=(
                None if arm == REAL or not real_last else _difference(last[arm], real_last)
            ),
        )
        for arm, found in results.items()
    ]


def _difference(
    arm: Sequence[Mapping[str, Any]], real: Sequence[Mapping[str, Any]]
) -> PairedChange | None:
    name = distance_of(arm[0])
    return paired_change([each[name] for each in arm], [each[name] for each in real])


def paired_change(arm: Sequence[float], real: Sequence[float]) -> PairedChange | None:
    """The mean of arm - real over seeds, with Student's interval; None for one seed."""
    pairs = [mine - its for mine, its in zip(arm, real, strict=True)]
    if len(pairs) < 2:
        return None
    mean, freedom = float(np.mean(pairs)), len(pairs) - 1
    error = float(np.std(pairs, ddof=1)) / math.sqrt(len(pairs))
    half = student_quantile(0.95, freedom) * error
    t = mean / error if error else math.copysign(math.inf, mean) if mean else 0.0
    return PairedChange(mean, (mean - half, mean + half), p=two_sided_p(t, freedom))


def clear_together(changes: Mapping[str, PairedChange]) -> set[str]:
    """The names whose differences are clear though so many were looked at."""
    return holm({name: change.p for name, change in changes.items()})


def by_chance(names: Sequence[str], compared: int) -> str:
    """The sentence on arms whose own interval leaves 0 out, though not among so many."""
    return (
        f"Not settled: {', '.join(names)}. Alone the interval leaves 0 out, but of {compared}"
        " comparisons one may do so by chance (Holm's rule): add seeds."
    )


def conclusion(arms: Sequence[ArmOutcome], failed: Collection[str] = ()) -> str:
    """A plain sentence on each arm that differs clearly from real images alone; one on the rest.

    failed: other arms, which have no outcome.
    """
    real = next((arm for arm in arms if arm.name == REAL), None)
    others = [arm for arm in arms if arm is not real]
    if failed and (real is None or not others):
        return f"Nothing can be compared: {', '.join(failed)} failed."
    if real is None or not others:
        return "Nothing was compared with real images alone: give trial.arms real and another."
    seeds = len(real.best)
    size = f"{seeds} seed{'s' if seeds > 1 else ''}"
    if "images" in real.last[0]:
        size += f" of {real.last[0]['images']:,} images shown"
    if seeds < 2:
        return f"No conclusion from one seed ({size}): set trial.seeds to 3 or more."
    alike = [arm.name for arm in arms if arm.spread(arm.distance, last=True) == 0]
    if alike:
        return (
            f"No conclusion: all seeds of {', '.join(alike)} left the same samples. Does the"
            " command pass {seed} on?"
        )
    same = [arm for arm in others if arm.best == real.best and arm.last == real.last]
    sentences = [_same_samples(arm.name) for arm in same]
    others = [arm for arm in others if arm not in same]
    changes = {arm.name: arm.against_real for arm in others if arm.against_real is not None}
    clear = clear_together(changes)
    for arm in sorted(others, key=lambda arm: arm.mean(arm.distance)):
        change = changes[arm.name]
        if arm.name not in clear:
            continue
        better, name, before = change.difference < 0, real.distance, real.mean(real.distance)
        share = f"{abs(change.difference) / before:.0%} " if before > 0 else ""
        sentences.append(
            f"{'Worth it' if better else 'Harmful'}: a GAN trained on {arm.name} is"
            f" {share}{'nearer to' if better else 'farther from'} {_AGAINST[name]}"
            f" than one trained on real images alone ({_TITLES[name]}"
            f" {format_kernel(arm.mean(name))} against {format_kernel(real.mean(name))},"
            f" {change.figures}; {size})."
        )
    late = [arm.name for arm in arms if _still_falls(arm)]
    unsettled = [
        name for name, change in changes.items() if change.is_significant and name not in clear
    ]
    unclear = [name for name, change in changes.items() if not change.is_significant]
    if unsettled:
        sentences.append(by_chance(unsettled, len(changes)))
    if unclear:
        sentences += _unseen({name: changes[name] for name in unclear}, real, size)
    sentences += _of_the_last(others)
    if late:
        sentences.append(
            f"Of {', '.join(late)} the last snapshot is the best: these GANs were still getting"
            " better, and the order may change if they are trained longer."
        )
    return " ".join(sentences)


def _same_samples(name: str) -> str:
    """The sentence on an arm that left what the real images alone did."""
    return (
        f"No conclusion of {name}: its samples are those of {REAL} in each seed. Does the command"
        " read {data}?"
    )


def _unseen(changes: Mapping[str, PairedChange], real: ArmOutcome, size: str) -> Iterator[str]:
    """The sentences on arms whose interval has 0 in it: which, and what the seeds leave room for.

    A seed more narrows an interval far more than its share; two show hardly anything.
    """
    yield f"No difference seen at this size: {', '.join(changes)} ({size})."
    half = {name: (each.interval[1] - each.interval[0]) / 2 for name, each in changes.items()}
    widest = max(changes, key=lambda name: half[name])
    low, high = map(format_kernel, changes[widest].interval)
    which = f"The widest interval, of {widest}, is" if len(changes) > 1 else "Its interval is"
    yield f"{which} {low} to {high}, beside {format_kernel(real.mean(real.distance))} of real."
    if len(real.best) < _SEEN_FROM:
        yield (
            f"{len(real.best)} seeds could have shown no difference short of"
            f" {format_kernel(min(half.values()))}: set trial.seeds to {_SEEN_FROM} or more."
        )


def _of_the_last(others: Sequence[ArmOutcome]) -> list[str]:
    """The sentence on arms whose last snapshots differ clearly from those of real images alone."""
    several = [arm for arm in others if arm.distance == "kd" and arm.snapshots > 1]
    changes = {
        arm.name: arm.last_against_real for arm in several if arm.last_against_real is not None
    }
    clear = clear_together(changes)
    named = [
        f"{name} is {'nearer' if change.difference < 0 else 'farther'} ({change.figures})"
        for name, change in changes.items()
        if name in clear
    ]
    if not named:
        return []
    return [
        "Trained to the end, where no held-out images choose a snapshot, against real images alone:"
        f" {', '.join(named)}."
    ]


def _still_falls(arm: ArmOutcome) -> bool:
    """Whether most seeds have their best snapshot at the end of several; without a choice, no."""
    if arm.distance != "kd" or arm.snapshots < 2:
        return False
    ends = [best["step"] == last["step"] for best, last in zip(arm.best, arm.last, strict=True)]
    return 2 * ends.count(True) > len(ends)


def trial_table(arms: Sequence[ArmOutcome], *, alike: bool | None = None) -> Table:
    """A row for each arm; distances times 1,000, means over seeds.

    alike: False for a column of the numbers of samples; None: where they differ.
    """
    if arms and arms[0].distance == "sfd":
        return _one_shot_table(arms)
    if judged_alike(arms) if alike is None else alike:
        return Table(_HEADS, [_cells(arm) for arm in arms])
    return Table([*_HEADS, "samples"], [[*_cells(arm), arm.judged_by] for arm in arms])


def _one_shot_table(arms: Sequence[ArmOutcome]) -> Table:
    """Of the last snapshots; a star after the first head marks distances that are mostly bias."""
    first = arms[0].last[0]
    name = f"{first['sfd_name']} x 1000{' *' if first['sfd_biased'] else ''}, last snapshot"
    rows = [
        [
            arm.name,
            f"{arm.corpus:,}",
            spread_cell(1000 * arm.mean("sfd"), 1000 * arm.spread("sfd")),
            change_cell(arm.against_real),
            _where(arm),
        ]
        for arm in arms
    ]
    return Table(["arm", "images", name, "less that of real (95 % interval)", "at"], rows)


def _cells(arm: ArmOutcome) -> list[str]:
    def kernel(*, last: bool) -> str:
        return spread_cell(1000 * arm.mean("kd", last=last), 1000 * arm.spread("kd", last=last))

    return [
        arm.name,
        f"{arm.corpus:,}",
        kernel(last=False),
        change_cell(arm.against_real),
        _where(arm),
        kernel(last=True),
        change_cell(arm.last_against_real),
        *(f"{arm.mean(name):.2f}" for name in ("precision", "recall", "coverage")),
        f"{arm.mean('copies'):.1%}",
        f"{arm.mean('gap', last=True):.2f}" if "gap" in arm.last[0] else "",
    ]


def _where(arm: ArmOutcome) -> str:
    """Images shown until the best snapshots, or their names where that is not known."""
    if "images" in arm.best[0]:
        return f"{arm.mean('images'):,.0f}"
    return ", ".join(sorted({str(snapshot["name"]) for snapshot in arm.best}))
