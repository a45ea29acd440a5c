"""Arms: the corpora that a trial compares."""

from collections.abc import Sequence
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

    Raises ValueError for a name that is not known.
    """
    name, colon, number = text.strip().partition(":")
    if name == REAL and not colon:
        return Arm(REAL, None, 0)
    known = (REAL, OWN, *METHODS, _GROWING)
    if name not in known[1:]:
        raise ValueError(f"no arm {text!r}; use {', '.join(known)}, or name:ratio")
    if colon and not (number.isdecimal() and 1 <= int(number) <= 999):
        raise ValueError(f"arm {text!r}: the ratio after the colon must be 1 to 999")
    shown = f"{name}-{int(number)}" if colon else name
    if name == _GROWING:
        return Arm(shown, OWN, int(number) if colon else min(999, _BEYOND * ratio), growing=True)
    return Arm(shown, name, int(number) if colon else ratio)


def parse_arms(texts: Sequence[str], ratio: int, ratios: Sequence[int] = ()) -> list[Arm]:
    """The arms in order. An arm without a ratio is one at each of `ratios`, if there are some.

    Ratio 0 is `real`, which comes once. Raises ValueError for an unknown name and for an arm that
    comes twice.
    """
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
    return arms


def _each(text: str, ratios: Sequence[int]) -> list[str]:
    """The texts of an arm at each of `ratios`, unless it names a ratio."""
    if not ratios or ":" in text or text.strip() == REAL:
        return [text]
    return [f"{text}:{each}" if each else REAL for each in ratios]
