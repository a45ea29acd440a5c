"""Arms: the corpora that a trial compares."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

from ...manifests.plan.methods import CLASS_METHODS
from ..generate.config import Method

REAL, OWN = "real", "own"
_GROWING = "growing"  # the run's own method, its ratio rising from 0 while the GAN learns
_BEYOND = 3  # times the largest ratio of other arms, to which it rises where none is named
_KEPT = "mixup-kept"  # mixup with contrast kept: two options, one word
# Those that mix images of the corpus: an arm is rounds of as many images as there are real ones.
METHODS = (*(name for name in get_args(Method) if name not in CLASS_METHODS), _KEPT)


@dataclass(frozen=True)
class Arm:
    """One corpus: the training images, and `ratio` times as many made by `method`."""

    name: str  # as tables and folders have it
    method: str | None  # None: made by none; OWN: the run's
    ratio: int  # 0: the training images alone
    growing: bool = False  # the GAN sees round after round, up to `ratio`

    @property
    def changes(self) -> dict[str, str]:
        """The options of `generate` that make its images; none for the run's own."""
        if self.method == _KEPT:
            return {"method": "mixup", "contrast": "kept"}
        return {} if self.method in (None, OWN) else {"method": str(self.method)}


def parse_arm(text: str, ratio: int) -> Arm:
    """`real`, `own:10`, `mixup`, `growing:30` and so on; `ratio` where the text has none.

    `own-10`, as tables and folders have it, is `own:10`. Raises ValueError for a name that is not
    known.
    """
    name, number = _split(text)
    if name == REAL and number is None:
        return Arm(REAL, None, 0)
    known = (REAL, OWN, *METHODS, _GROWING)
    if name not in known[1:]:
        raise ValueError(f"no arm {text!r}; use {', '.join(known)}, or name:ratio")
    if number is not None and not (number.isdecimal() and 1 <= int(number) <= 999):
        raise ValueError(f"arm {text!r}: the ratio after the name must be 1 to 999")
    named = None if number is None else int(number)
    shown = name if named is None else f"{name}-{named}"
    if name == _GROWING:
        return Arm(shown, OWN, named or min(999, _BEYOND * ratio), growing=True)
    return Arm(shown, name, named or ratio)


def _split(text: str) -> tuple[str, str | None]:
    """Name and ratio of an arm, None where it has none: `own:10`, or `own-10` as it is shown."""
    name, colon, number = text.strip().partition(":")
    if colon:
        return name, number
    first, dash, last = name.rpartition("-")
    return (first, last) if dash and last.isdecimal() else (name, None)


def parse_arms(texts: Sequence[str], ratio: int, ratios: Sequence[int] = ()) -> list[Arm]:
    """The arms in order. An arm without a ratio is one at each of `ratios`, if there are some.

    Ratio 0 is `real`, which comes once. Raises ValueError for an unknown name, and for an arm or a
    ratio that comes twice: GANs on one corpus would count as two comparisons.
    """
    if again := next((each for each in ratios if [*ratios].count(each) > 1), None):
        raise ValueError(f"ratios names {again} twice; leave one out")
    static = [each for text in texts if text.strip() != _GROWING for each in _each(text, ratios)]
    known = {text: parse_arm(text, ratio) for text in static}
    largest = max([arm.ratio for arm in known.values()], default=0) or ratio
    arms: list[Arm] = []
    for text in texts:
        if text.strip() == _GROWING:
            arms.append(parse_arm(text, largest))
        else:
            arms += [known[each] for each in _each(text, ratios)]
    arms = [arm for place, arm in enumerate(arms) if arm.name != REAL or arm not in arms[:place]]
    names = [arm.name for arm in arms]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ValueError(f"the arm {twice} is named twice in {', '.join(texts)}")
    first: dict[tuple[str | None, int, bool], str] = {}
    for arm in arms:
        before = first.setdefault((arm.method, arm.ratio, arm.growing), arm.name)
        if before != arm.name:
            raise ValueError(
                f"the arms {before} and {arm.name} are one corpus, of ratio {arm.ratio}; leave one"
                " out, or name another ratio"
            )
    return arms


def twins_of(corpora: Mapping[str, Hashable]) -> dict[str, str]:
    """Arm -> the first arm of the same corpus, of all other arms that have one.

    As `mixup` of a run whose own method is mixup. corpora: arm -> what its GANs see.
    """
    first: dict[Hashable, str] = {}
    same = {arm: first.setdefault(seen, arm) for arm, seen in corpora.items()}
    return {arm: other for arm, other in same.items() if other != arm}


def _each(text: str, ratios: Sequence[int]) -> list[str]:
    """The texts of an arm at each of `ratios`, unless it names a ratio."""
    name, number = _split(text)
    if not ratios or number is not None or name == REAL:
        return [text]
    return [f"{name}:{each}" if each else REAL for each in ratios]
