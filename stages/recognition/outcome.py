"""What the arms of a comparison say together: tables, paired differences, one plain sentence.

Seeds are pairs: the recognisers of one seed share their first weights. Intervals of differences are
Student's over seeds. They are for these unseen classes: those over other classes are in the
results, of every recogniser by itself. The sentence calls clear what is so among all arms together,
by Holm's rule.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...manifests.errors import ConfigError
from ..evaluate.sentences import Change
from ..evaluate.tables import Table
from ..trial.outcome import PairedChange, by_chance, clear_together, paired_change
from .arms import AFFINE, REAL, are_rivals
from .config import Figure
from .judge import FARS, tar_name
from .over_classes import Interval, intervals_over_classes

_TITLES = {
    **{tar_name(far): f"TAR at FAR {far:g}" for far in FARS},
    "eer": "equal error rate",
    "rank_1": "rank-1",
    "one_shot": "one-shot",
    "accuracy": "held-out accuracy",
}
_ROUNDING = 1e-9  # of differences of rates
_LOWER_IS_BETTER = {"eer"}
_AS = {
    REAL: "real images as they are",
    REAL + AFFINE: "real images with the same small changes (real+affine)",
}
_NO_REAL = "Nothing was compared with real images alone: give recognition.arms real and another."


@dataclass(frozen=True)
class RecognitionOutcome:
    """An arm over its seeds."""

    name: str
    images: int  # that its recognisers are trained on
    classes: int
    figures: Mapping[str, Sequence[float]]  # by name, of every seed
    less_real: Mapping[
        str, PairedChange
    ]  # empty for real itself, for one seed, and without a real arm
    seconds: float | None  # of a training, the mean; None where it is not known
    # The same of real+affine, for other arms with +affine: what the made images alone are worth.
    less_real_affine: Mapping[str, PairedChange] = field(default_factory=dict)
    less_against: Mapping[str, PairedChange] = field(default_factory=dict)  # of one chosen arm
    passes: float | None = None  # over the real images; None where it is not known
    baseline: str = REAL  # the arm of real images that it is judged against
    # What it has more than that arm, over draws of the unseen classes.
    over_classes: Mapping[str, Interval] = field(default_factory=dict)

    @property
    def judged(self) -> tuple[str, Mapping[str, PairedChange]]:
        """The arm of real images that it is judged against, and how much more it has."""
        return self.baseline, self.less_real if self.baseline == REAL else self.less_real_affine

    @property
    def is_alike(self) -> bool:
        """Whether several seeds gave the same, to the last digit: they were one training. Figures
        of which nothing is missing or wrong may be the same by themselves."""
        several = [values for values in self.figures.values() if len(values) > 1]
        spread = any(float(np.ptp(values)) > 0 for values in several)
        return bool(several) and not spread and any(0 < values[0] < 1 for values in several)

    def mean(self, name: str) -> float:
        """The mean over seeds."""
        return float(np.mean(self.figures[name]))


def primary_figure(names: Sequence[str], asked: Figure = "auto") -> str:
    """What the sentence is about: the equal error rate, else accuracy.

    It uses all pairs, and so tells arms apart earlier than the TAR at a FAR, which few decide.
    asked: of `recognition.figure`. Raises ConfigError for one that was not measured.
    """
    wanted = ("eer", "accuracy") if asked == "auto" else (asked,)
    found = [name for name in wanted if name in names]
    if not found:
        raise ConfigError(
            f"recognition.figure is {asked}, which was not measured; there are {', '.join(names)}."
        )
    return found[0]


def recognition_outcomes(
    results: Mapping[str, Sequence[Mapping[str, Any]]],
    images: Mapping[str, int],
    classes: Mapping[str, int],
    *,
    passes: Mapping[str, float] | None = None,
    against: str | None = None,
    failed: Collection[str] = (),
) -> list[RecognitionOutcome]:
    """results: arm -> results by seed, in the same order; images, classes: their numbers.

    passes: arm -> passes over its real images. against: an arm with which those with made images
    and the same small changes are compared. failed: arms without results. Where real+affine is one,
    arms with +affine are judged against nothing: beside plain real images, turns and shifts would
    count as a gain of the made ones.
    """
    known = {*results, *failed}

    def figures_of(arm: str) -> dict[str, list[float]]:
        first = results[arm][0]["figures"]
        names = [name for name in _TITLES if name in first]
        return {name: [each["figures"][name] for each in results[arm]] for name in names}

    figures = {arm: figures_of(arm) for arm in results}

    def less(arm: str, baseline: str) -> dict[str, PairedChange]:
        real = figures.get(baseline)
        if real is None or arm == baseline:
            return {}
        found = {name: _change(figures[arm][name], real[name]) for name in figures[arm]}
        return {name: change for name, change in found.items() if change is not None}

    def baseline_of(arm: str) -> str:
        affine = arm.endswith(AFFINE) and arm != REAL + AFFINE and REAL + AFFINE in known
        return REAL + AFFINE if affine else REAL

    def seconds(arm: str) -> float | None:
        known = [each["seconds"] for each in results[arm] if each["seconds"] is not None]
        return float(np.mean(known)) if known else None

    return [
        RecognitionOutcome(
            name=arm,
            images=images[arm],
            classes=classes[arm],
            figures=figures[arm],
            less_real=less(arm, REAL),
            seconds=seconds(arm),
            less_real_affine=less(arm, REAL + AFFINE) if arm.endswith(AFFINE) else {},
            baseline=baseline_of(arm),
            less_against=less(arm, against) if against and are_rivals(arm, against) else {},
            passes=(passes or {}).get(arm),
            over_classes=intervals_over_classes(results, arm, baseline_of(arm)),
        )
        for arm in results
    ]


def _change(arm: Sequence[float], real: Sequence[float]) -> PairedChange | None:
    """As `paired_change`. Figures are shares of counted images, so that a few seeds may differ by
    the same: their spread is then not known, rather than nothing, and the interval has no ends."""
    found = paired_change(arm, real)
    if found is None or not found.difference or found.interval[1] - found.interval[0] > _ROUNDING:
        return found
    return PairedChange(found.difference, (-math.inf, math.inf))


def recognition_table(
    arms: Sequence[RecognitionOutcome], sampling: Mapping[str, float | None]
) -> Table:
    """A row for each arm: percent, mean and standard deviation over seeds; then what it costs.

    sampling: by arm, seconds for 10,000 of its made images; None where it is not known.
    """
    names = list(arms[0].figures)
    heads = ["arm", "images", "classes", "passes over real images"]
    heads += [f"{_TITLES[name]} %" for name in names]
    heads += ["training s", "sampling s / 10,000"]
    rows = []
    for arm in arms:
        cost = [arm.seconds, sampling.get(arm.name)]
        cells = [_spread(arm.figures[name]) for name in names]
        cells += ["" if each is None else f"{each:,.0f}" for each in cost]
        seen = "" if arm.passes is None else f"{arm.passes:.3g}"
        rows.append([arm.name, f"{arm.images:,}", f"{arm.classes:,}", seen, *cells])
    return Table(heads, rows)


def _spread(values: Sequence[float]) -> str:
    spread = f" ± {100 * float(np.std(values, ddof=1)):.2f}" if len(values) > 1 else ""
    return f"{100 * float(np.mean(values)):.2f}{spread}"


def differences_tables(
    arms: Sequence[RecognitionOutcome], against: str | None = None
) -> list[Table]:
    """Percentage points more than the arm real, with 95 % intervals; then, of arms with +affine,
    than real+affine; then than `against`. Without one that there is nothing to compare with."""
    tables = [
        _differences(REAL, {arm.name: arm.less_real for arm in arms}),
        _differences(REAL + AFFINE, {arm.name: arm.less_real_affine for arm in arms}),
        _differences(str(against), {arm.name: arm.less_against for arm in arms}),
        _over_classes(arms),
    ]
    return [table for table in tables if table is not None]


def _over_classes(arms: Sequence[RecognitionOutcome]) -> Table | None:
    """Intervals over draws of the unseen classes, each arm less what it is judged against."""
    compared = [arm for arm in arms if arm.over_classes]
    if not compared:
        return None
    names = [name for name in _TITLES if any(name in arm.over_classes for arm in compared)]
    rows = [
        [arm.name, arm.baseline, *(_ends(arm.over_classes.get(name)) for name in names)]
        for arm in compared
    ]
    heads = ["points, 95 % over draws of the unseen classes", "less"]
    return Table([*heads, *(_TITLES[name] for name in names)], rows)


def _ends(interval: Interval | None) -> str:
    return "" if interval is None else f"{100 * interval[0]:+.2f} to {100 * interval[1]:+.2f}"


def _differences(baseline: str, changes: Mapping[str, Mapping[str, Change]]) -> Table | None:
    compared = {arm: less for arm, less in changes.items() if less}
    if not compared:
        return None
    names = list(next(iter(compared.values())))
    rows = [[arm, *(_points(less[name]) for name in names)] for arm, less in compared.items()]
    return Table([f"less {baseline}, points", *(_TITLES[name] for name in names)], rows)


def _points(change: Change) -> str:
    if not math.isfinite(change.interval[0]):
        return f"{100 * change.difference:+.2f} (the same of every seed)"
    low, high = (f"{100 * end:+.2f}" for end in change.interval)
    star = " *" if change.is_significant else ""
    return f"{100 * change.difference:+.2f} ({low} to {high}){star}"


def recognition_conclusion(
    arms: Sequence[RecognitionOutcome],
    *,
    figure: Figure = "auto",
    against: str | None = None,
    failed: Collection[str] = (),
    by_command: bool = False,
) -> str:
    """A plain sentence on each arm that differs clearly from the real images; one on the rest.

    Arms with +affine are judged against real+affine, where that is an arm. figure: of
    `recognition.figure`. against: an arm that others are compared with, too. failed: other arms.
    by_command: the recognisers are the user's own, which may leave out the seed.
    """
    by_name = {arm.name: arm for arm in arms}
    others = [arm for arm in arms if arm.baseline != arm.name and arm.baseline in by_name]
    rivals = {arm.name: arm for arm in arms if arm.less_against}
    alone = f"Nothing can be compared with real images: {', '.join(failed)} failed."
    alone = alone if failed else _NO_REAL
    if not others and not rivals:
        return alone
    name = primary_figure(list(arms[0].figures), figure)
    seeds = len(arms[0].figures[name])
    if seeds < 2:
        return "No conclusion from one seed: set recognition.seeds to 3 or more."
    if by_command and (alike := [arm.name for arm in arms if arm.is_alike]):
        return (
            f"No conclusion: all seeds of {', '.join(alike)} gave the same figures. Does the"
            " command pass {seed} on?"
        )
    clear = clear_together({arm.name: arm.judged[1][name] for arm in others})
    sentences, unclear = [] if others else [alone], dict[str, list[str]]()
    unsettled: list[str] = []
    for arm in others:
        if arm.name in clear:
            sentences.append(_of_clear(arm, by_name[arm.baseline], name))
            continue
        settled = not arm.judged[1][name].is_significant
        same = unclear.setdefault(arm.baseline, []) if settled else unsettled
        same.append(arm.name)
    if unsettled:
        sentences.append(by_chance(unsettled, len(others)))
    for baseline, names in unclear.items():
        size = f"{_TITLES[name]}, against {baseline}, {seeds} seeds"
        sentences.append(f"No difference seen at this size: {', '.join(names)} ({size}).")
        sentences.append(_room({each: by_name[each].judged[1][name] for each in names}))
    for baseline in (REAL, REAL + AFFINE):
        named = {REAL, REAL + AFFINE}
        unjudged = [arm.name for arm in arms if arm.baseline == baseline and arm.name not in named]
        if baseline in failed and unjudged:
            sentences.append(
                f"Not judged: {', '.join(unjudged)}. {baseline}, with which they are to be"
                " compared, failed."
            )
    if against is not None:
        sentences += _of_rivals(rivals, against, name)
    return " ".join(sentences)


def _of_clear(arm: RecognitionOutcome, baseline: RecognitionOutcome, figure: str) -> str:
    """The sentence on an arm that differs clearly from real images."""
    change, seeds = arm.judged[1][figure], len(arm.figures[figure])
    better = (change.difference < 0) == (figure in _LOWER_IS_BETTER)
    return (
        f"{'Worth it' if better else 'Harmful'}: trained on {arm.name}, the {_TITLES[figure]} is"
        f" {100 * arm.mean(figure):.2f} %, on {_AS[baseline.name]}"
        f" {100 * baseline.mean(figure):.2f} % (difference {_points(change)} points;"
        f" {seeds} seeds).{_on_other_classes(arm, figure)}"
    )


def _room(changes: Mapping[str, PairedChange]) -> str:
    """How much the intervals of arms without a clear difference leave room for."""
    ends = {name: change.interval for name, change in changes.items()}
    widest = max(ends, key=lambda name: ends[name][1] - ends[name][0])
    which = f"The widest interval, of {widest}, is" if len(ends) > 1 else "Its interval is"
    finite = math.isfinite(ends[widest][0])
    return f"{which} {_ends(ends[widest]) + ' points' if finite else 'without ends'}."


def _on_other_classes(arm: RecognitionOutcome, figure: str) -> str:
    """What the sentence on an arm adds where other unseen classes might say otherwise; else "".

    Seeds are of the training alone: all of them are judged on the same classes.
    """
    if figure == "accuracy":  # of the classes that were trained on
        return ""
    if figure not in arm.over_classes:
        return " Whether other classes would say the same was not measured."
    low, high = arm.over_classes[figure]
    if low > 0 or high < 0:
        return ""
    return (
        f" Not clearly so on other classes: over draws of these the difference is"
        f" {100 * low:+.2f} to {100 * high:+.2f}."
    )


def _of_rivals(rivals: Mapping[str, RecognitionOutcome], against: str, figure: str) -> list[str]:
    """Sentences on arms that are compared with one chosen arm."""
    changes = {name: arm.less_against[figure] for name, arm in rivals.items()}
    clear = clear_together(changes)
    sentences = [
        f"Beside {against}, {name} has {'less' if changes[name].difference < 0 else 'more'}"
        f" {_TITLES[figure]} (difference {_points(changes[name])} points)."
        for name in changes
        if name in clear
    ]
    rest = [name for name in changes if name not in clear]
    if rest:
        sentences.append(f"Not clearly different from {against}: {', '.join(rest)}.")
    return sentences
