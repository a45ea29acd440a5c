"""Arms: the corpora that a trial compares."""

from dataclasses import dataclass
from typing import get_args

from ..generate.config import Method

REAL, OWN = "real", "own"
_KEPT = "mixup-kept"  # mixup with contrast kept: two options, one word
METHODS = (*(name for name in get_args(Method) if name != "auto"), _KEPT)


@dataclass(frozen=True)
class Arm:
    """One corpus: the training images, and `ratio` times as many made by `method`."""

    name: str  # as tables and folders have it
    method: str | None  # None: made by none; OWN: the run's
    ratio: int  # 0: the training images alone

    @property
    def changes(self) -> dict[str, str]:
        """The options of `generate` that make its images; none for the run's own."""
        if self.method == _KEPT:
            return {"method": "mixup", "contrast": "kept"}
        return {} if self.method in (None, OWN) else {"method": str(self.method)}


def parse_arm(text: str, ratio: int) -> Arm:
    """`real`, `own:10`, `mixup` and so on; `ratio` where the text has none.

    Raises ValueError for a name that is not known.
    """
    name, colon, number = text.strip().partition(":")
    if name == REAL and not colon:
        return Arm(REAL, None, 0)
    if name not in (OWN, *METHODS):
        raise ValueError(f"no arm {text!r}; use {', '.join((REAL, OWN, *METHODS))}, or name:ratio")
    if colon and not (number.isdecimal() and 1 <= int(number) <= 999):
        raise ValueError(f"arm {text!r}: the ratio after the colon must be 1 to 999")
    return Arm(f"{name}-{int(number)}" if colon else name, name, int(number) if colon else ratio)
