"""The rule: which candidate makes the corpus, and how much of it is worth making.

A pure function of the table of scores. A candidate cannot win by what is no gain:

* copying: its images lie clearly nearer to training images than NEAREST of what mixup's do, or
  held-out images, whichever are nearer: the whole 95 % interval of the ratio is below NEAREST;
* blur: its contrast is below CONTRAST, or its detail below DETAIL, of mixup's. Mixup is the
  measure, since mixing itself takes away a part of both. Detail is a power: .8 of it is .9 of the
  amplitude;
* grain: its detail is above GRAIN of held-out images', and of mixup's where that is above theirs.

Of the others, let one be the nearest to held-out images. Those that are not clearly
farther (the interval of their difference from it has 0 inside, and they have GAIN of its gain over
mixup) count like it, and of these the one wins whose images lie farthest from
training images: a GAN sees the training images anyway. The reason says whether the winner is
clearly nearer than mixup, the interval of that difference below 0, or may be so by chance.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..evaluate.number_format import format_kernel
from ..evaluate.sentences import Change, advise_ratio
from .candidates import BRIDGE, COPIES, MIXUP
from .scores import Scores

NEAREST = 0.9
CONTRAST = 0.9
DETAIL = 0.8
GRAIN = 1.5
GAIN = 0.5
MIN_HELD_OUT = 50  # held-out images and rows, below which nothing is compared


@dataclass(frozen=True)
class Decision:
    """The chosen candidate, and how sure the choice is."""

    choice: str
    kind: str  # clear | no clear difference | not compared
    reason: str  # one or two sentences
    disqualified: dict[str, str]  # name -> why
    ratio: int | None  # the ratio that is advised; None where nothing was compared
    ratio_reason: str


Difference = Callable[[str, str], Change]  # of two candidates' kernel distances: first, less second


def choose(scores: Sequence[Scores], ratio: int, difference: Difference) -> Decision:
    """The decision from the scores of every candidate and of copies.

    ratio: generate.ratio, which stays the user's; another one is advised in words. difference: of
    the distances of two candidates, by name.
    """
    by_name = {row.name: row for row in scores}
    mixup = by_name[MIXUP]
    candidates = [row for row in scores if row.name != COPIES]
    disqualified = {row.name: why for row in candidates if (why := disqualify(row, mixup))}
    left = [row for row in candidates if row.name not in disqualified]
    nearest = min(left, key=lambda row: row.kd)
    best = _newest_as_good(nearest, left, mixup, difference)
    ahead = best.against_mixup is not None and best.against_mixup.direction == "lower"
    compared = f"kernel distance {format_kernel(best.kd)} to held-out images"
    if best.against_mixup is not None:
        compared += f", mixup's {format_kernel(mixup.kd)} ({best.against_mixup.figures})"
    if ahead:
        reason = f"{best.name} is clearly nearer to held-out images than mixup: {compared}."
    elif len(candidates) == 1:
        reason = f"Nothing but mixup was made, and there is nothing to choose from ({compared})."
    elif best is mixup:
        reason = f"No clear difference: nothing is nearer than mixup itself ({compared})."
    else:
        which = "the nearest" if best is nearest else "nearer than mixup"
        reason = f"No clear difference: {best.name} is {which}, which may be chance ({compared})."
    if best is not nearest:
        reason += (
            f" {nearest.name} is nearer still by no clear difference"
            f" ({format_kernel(nearest.kd)}; {difference(best.name, nearest.name).figures}), and"
            f" nearer to training images ({nearest.newness:.2f} of mixtures' or held-out images'"
            f" distance, {best.newness:.2f} for what was chosen)."
        )
    kind = "clear" if ahead else "no clear difference"
    return Decision(best.name, kind, reason, disqualified, *_advise(best, ratio))


def _newest_as_good(
    nearest: Scores, left: Sequence[Scores], mixup: Scores, difference: Difference
) -> Scores:
    """Chooses the farthest from training images among `nearest` and those not clearly behind it."""

    def is_as_good(row: Scores) -> bool:
        gains = mixup.kd - row.kd >= GAIN * (mixup.kd - nearest.kd)
        return gains and not difference(row.name, nearest.name).is_significant

    peers = [row for row in left if row is not nearest and row is not mixup and is_as_good(row)]
    return max((nearest, *peers), key=lambda row: row.newness)


def choose_unseen(names: Sequence[str], held_out: int) -> Decision:
    """The decision where too few images are held out for any comparison.

    names: the candidates that were made.
    """
    choice = BRIDGE if BRIDGE in names else MIXUP
    return Decision(
        choice,
        "not compared",
        f"{choice} was taken without a comparison: {held_out} images are held out, and"
        f" {MIN_HELD_OUT} are needed (ingest.holdout or ingest.reference).",
        {},
        None,
        "Without held-out images nothing says which ratio is worth making.",
    )


def disqualify(row: Scores, mixup: Scores) -> str | None:
    """Why a candidate must not win; None if it may."""
    low, high = row.newness_interval
    if high < NEAREST:
        return (
            f"copies: its distance to training images is {row.newness:.2f} of mixtures' or held-out"
            f" images' (95 % interval {low:.2f} to {high:.2f}), clearly below {NEAREST:g}"
        )
    for what, found, base, share in (
        ("contrast", row.contrast, mixup.contrast, CONTRAST),
        ("detail", row.detail, mixup.detail, DETAIL),
    ):
        if found < share * base:
            return f"loses {what}: {found:.2f}, below {share:g} of mixup's {base:.2f}"
    if row.detail > GRAIN * max(1.0, mixup.detail):
        return f"adds grain: {row.detail:.2f} of held-out images' detail, above {GRAIN:g}"
    return None


def _advise(best: Scores, ratio: int) -> tuple[int, str]:
    """The ratio that is advised, as the verdict of `evaluate` advises it, and why."""
    change = best.against_copies
    assert change is not None
    advised = advise_ratio(change, ratio)
    if advised:
        return advised, (
            "Its images are clearly nearer to held-out images than copies of real ones"
            f" ({change.figures})."
        )
    if change.direction == "higher":
        return 0, (
            "Copies of real images are clearly nearer to held-out images"
            f" ({change.figures}): train on the real images alone, or train the network longer."
        )
    return 0, (
        "Train on the real images alone unless a trial says otherwise: its images are not clearly"
        f" nearer to held-out images than copies of real ones ({change.figures})."
    )
