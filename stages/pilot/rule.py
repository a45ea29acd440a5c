"""The rule: which candidate makes the corpus, and how much of it is worth making.

A pure function of the table of scores. A candidate cannot win by what is no gain:

* copying: its images lie clearly nearer to training images than NEAREST of what mixup's do, or
  held-out images, whichever are nearer: the whole 95 % interval of the ratio is below NEAREST;
* blur: its contrast is below CONTRAST, or its detail below DETAIL, of mixup's. Mixup is the
  measure, since mixing itself takes away a part of both. Detail is a power: .8 of it is .9 of the
  amplitude;
* grain: its detail is above GRAIN of held-out images', and of mixup's where that is above theirs;
  or its evenness is above EVEN of theirs and of mixup's: smooth images have detail, too, as where
  noise has taken the place of what they show.

Of the others, let one be the nearest to held-out images. Those that are not clearly
farther (the interval of their difference from it has 0 inside, they have GAIN of its gain over
mixup, and are clearly nearer than mixup if it is) count like it where they are clearly newer (the
95 % interval of their newness lies above its newness), and of these the one wins whose images lie
farthest from training images: a GAN sees the training images anyway. The reason says whether the
winner is clearly nearer than mixup, the interval of that difference below 0, or may be so by
chance.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from ..evaluate.number_format import format_kernel
from ..evaluate.sentences import Change, advise_ratio, join_words
from .candidates import BRIDGE, COPIES, MIXUP
from .scores import Scores

NEAREST = 0.9
CONTRAST = 0.9
DETAIL = 0.8
GRAIN = 1.5
EVEN = 1.25
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
    ahead = _is_ahead(best)
    rest = " that may win" if any(row.kd < nearest.kd for row in candidates) else ""
    compared = f"kernel distance {format_kernel(best.kd)} to held-out images"
    if best.against_mixup is not None:
        compared += f", mixup's {format_kernel(mixup.kd)} ({best.against_mixup.figures})"
    if ahead:
        reason = f"{best.name} is clearly nearer to held-out images than mixup: {compared}."
    elif len(candidates) == 1:
        reason = f"Nothing but mixup was made, and there is nothing to choose from ({compared})."
    elif best is mixup:
        reason = f"No clear difference: nothing{rest} is nearer than mixup itself ({compared})."
    else:
        first = f"the nearest of those{rest}" if rest else "the nearest"
        which = first if best is nearest else "nearer than mixup"
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
    """Chooses the farthest from training images: `nearest`, or one that is as good and newer."""

    def is_as_good(row: Scores) -> bool:
        gains = mixup.kd - row.kd >= GAIN * (mixup.kd - nearest.kd)
        gains = gains and _is_ahead(row) >= _is_ahead(nearest)
        is_newer = row.newness_interval[0] > nearest.newness
        return gains and is_newer and not difference(row.name, nearest.name).is_significant

    peers = [row for row in left if row is not nearest and row is not mixup and is_as_good(row)]
    return max((nearest, *peers), key=lambda row: row.newness)


def _is_ahead(row: Scores) -> bool:
    """Whether it is clearly nearer to held-out images than mixup."""
    return row.against_mixup is not None and row.against_mixup.direction == "lower"


def without_ratio(decision: Decision, kd: str, blind: Sequence[str], images: int) -> Decision:
    """The decision without advice on the ratio, since the features do not see some damage.

    kd: the name of the distance; blind: what was not seen in so many real images, as `evaluate`
    finds it before its verdict.
    """
    reason = (
        f"No ratio is advised: {kd} does not see {join_words(blind, 'or')} in {images} real images,"
        " and its order says little. Name other features (evaluate.features), or hold out more"
        " images."
    )
    return replace(decision, ratio=None, ratio_reason=reason)


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
    most = GRAIN * max(1.0, mixup.detail)
    if row.detail > most:
        return f"adds grain: {row.detail:.3f} of held-out images' detail, above {most:.3g}"
    most = EVEN * max(1.0, mixup.evenness)
    if row.evenness > most:
        return (
            f"adds grain: smooth images have as much detail as others, {row.evenness:.3f} of the"
            f" evenness of held-out images, above {most:.3g}"
        )
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
