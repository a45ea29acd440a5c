"""The first questions and their answers: one small table, one sentence, one recommended ratio.

Is the corpus nearer to unseen real images than the real images alone are, by ratio? Are the made
ones nearer than copies, than mixup? How many are near-copies? The intervals of distances cover
other training images, too.

The ratio is the one whose interval ends lowest, if it ends below 0: of those that are clearly
nearer than the real images alone, the one that is surely nearest. Otherwise it is 0. There is none
where too few images are held out, or where the features do not see what may be wrong; "farther"
stands even then, since they saw what makes it so.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...manifests.plan.methods import ONE_PARENT
from .baseline import MIXUP
from .number_format import format_kernel
from .sentences import Change, advise_ratio
from .tables import Table
from .verdict import Comparisons, missing_images, unseen_damage

_HEADS = ("nearer to unseen real images", "answer", "difference x 1000", "95 % interval")
_WORDS = {"lower": "yes", "higher": "no, farther", "unclear": "not clearly"}


@dataclass(frozen=True)
class Answers:
    """The table, the sentence below it, and the ratio that is recommended; None: nothing is."""

    table: Table
    note: str  # which images the table is about
    sentence: str
    ratio: int | None

    def as_text(self) -> str:
        """For verdict.txt and a terminal."""
        return f"{self.sentence}\n\n{self.table.as_text()}\n{self.note}\n"

    def as_json(self) -> dict[str, Any]:
        """For metrics.json."""
        return {
            "sentence": self.sentence,
            "ratio": self.ratio,
            "heads": list(self.table.heads),
            "rows": [list(row) for row in self.table.rows],
            "note": self.note,
        }


@dataclass(frozen=True)
class _Ratio:
    ratio: int
    change: Change  # against the real images alone


def answer_questions(
    comparisons: Comparisons,
    by_ratio: Sequence[Mapping[str, Any]],
    copying: Mapping[str, Any] | None,
    copies: Mapping[str, Any] | None,
) -> Answers:
    """The answers from what was measured.

    by_ratio, copying: as in metrics.json. copies: the metric record of the judged images' share of
    copies; None where copies are not defined or images are too few.
    """
    ratios = [_Ratio(entry["ratio"], _change(entry)) for entry in by_ratio if entry["ratio"]]
    rows = [_ratio_row(ratios), *_other_rows(comparisons), _copies_row(comparisons, copies)]
    sentence, ratio = _recommend(comparisons, ratios, copying)
    return Answers(Table(_HEADS, rows), _note(comparisons), sentence, ratio)


def _change(entry: Mapping[str, Any]) -> Change:
    found = entry["less_real_images"]["final"]
    return Change(found["difference"], tuple(found["interval_95_other_training_images"]))


def _surest(ratios: Sequence[_Ratio]) -> _Ratio:
    return min(ratios, key=lambda each: each.change.interval[1])


def _ratio_row(ratios: Sequence[_Ratio]) -> list[str]:
    question = "than the real images alone?"
    if not ratios:
        return [question, "not measured", "", ""]
    nearer = [each.ratio for each in ratios if each.change.direction == "lower"]
    surest = _surest(ratios)
    if nearer:
        answer = f"yes, at ratio {_ranges(nearer)}"
    elif all(each.change.direction == "higher" for each in ratios):
        answer = "no, farther at every ratio"
    else:
        answer = "not clearly at any ratio"
    difference, interval = _figures(surest.change)
    return [question, answer, f"{difference} at ratio {surest.ratio}", interval]


def _other_rows(comparisons: Comparisons) -> list[list[str]]:
    """Against copies and against mixup: the same rows, lambda >= .1."""
    rows = [_row("than copies of them?", comparisons.against_copies)]
    if comparisons.method in MIXUP:
        rows.append(["than mixup?", "it is mixup", "", ""])
    elif comparisons.method not in ONE_PARENT:  # whose mixup is a copy
        rows.append(_row("than mixup?", comparisons.against_baseline))
    return rows


def _row(question: str, change: Change | None) -> list[str]:
    if change is None:
        return [question, "not measured", "", ""]
    return [question, _WORDS[change.direction], *_figures(change)]


def _copies_row(comparisons: Comparisons, record: Mapping[str, Any] | None) -> list[str]:
    """The share of near-copies among the judged images."""
    question = "how many are near-copies?"
    if record is None or record["value"] is None:
        return [question, "not measured", "", ""]
    low, high = (f"{100 * end:.1f}" for end in record["interval_95"])
    share = f"{100 * record['value']:.1f} %"
    count = f"{round(record['value'] * record['n']):,} of {record['n']:,}"
    return [question, count, share, f"{low} to {high} %"]


def _note(comparisons: Comparisons) -> str:
    """Which images the table is about, and how many are near-copies by their lambda."""
    if comparisons.method in ONE_PARENT:
        return "The first row is of the whole corpus."
    light = 100 * (1.0 - float(comparisons.mixed["share_of_corpus"]))
    return (
        "The first row is of the whole corpus, the others of images with lambda >= .1;"
        f" {light:.0f} % of the made images have less, and look like one parent by design."
    )


def _figures(change: Change) -> tuple[str, str]:
    low, high = map(format_kernel, change.interval)
    return format_kernel(change.difference), f"{low} to {high}"


def _ranges(numbers: Sequence[int]) -> str:
    """ "1 to 3, 5" for 1, 2, 3, 5; ascending."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and runs[-1][-1] == number - 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]} to {run[-1]}" for run in runs)


def _recommend(
    comparisons: Comparisons, ratios: Sequence[_Ratio], copying: Mapping[str, Any] | None
) -> tuple[str, int | None]:
    """The sentence and the ratio."""
    if copying is not None and copying["kind"] == "copying":
        return f"Do not use this corpus: {str(copying['text']).removeprefix('COPYING: ')}", 0
    farther = bool(ratios) and all(each.change.direction == "higher" for each in ratios)
    why = missing_images(comparisons)
    if why is None and not farther:
        why = unseen_damage(comparisons)
    if why is not None:
        return f"No ratio is recommended: {why}.", None
    if not ratios:
        return (
            "No ratio is recommended: too few images of some band of lambda were evaluated"
            " (evaluate.rows).",
            None,
        )
    surest = _surest(ratios)
    at = f"at ratio {surest.ratio} {surest.change.figures}, x 1000"
    if farther:
        return (
            "Do not use this corpus: at every ratio it is farther from unseen real images than the"
            f" real images alone are ({at}).",
            0,
        )
    advised = advise_ratio(surest.change, surest.ratio)
    if not advised:
        return (
            "Use ratio 0, the real images alone, unless a trial says otherwise: at no ratio is this"
            f" corpus clearly nearer to unseen real images than they are ({at}).",
            0,
        )
    return (
        f"Use ratio {advised}: there the corpus is clearly nearer to unseen real images than"
        f" the real images alone are ({surest.change.figures}, x 1000){_but(comparisons)}.",
        advised,
    )


def _but(comparisons: Comparisons) -> str:
    """What a reader of "use it" must know: mixup of the same rows is clearly nearer."""
    change = comparisons.against_baseline
    if change is None or change.direction != "higher" or comparisons.method in ONE_PARENT:
        return ""
    return "; but mixup of the same rows is nearer still (generate.method: mixup)"
