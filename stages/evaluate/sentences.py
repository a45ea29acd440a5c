"""Sentences about distances: one wording for the verdict, the variants, GAN samples and the report.

Kernel distances are passed raw and written times 1,000, as is customary.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ...models.metrics.distances import Comparison
from .number_format import format_kernel

NONE_HELD_OUT = (
    "no images were held out (ingest.holdout or ingest.reference gives some), and nearness to the"
    " training images rewards copies"
)


@dataclass(frozen=True)
class Change:
    """A difference of two kernel distances with its 95 % interval; negative is an improvement."""

    difference: float  # after less before
    interval: tuple[float, float]
    before: float | None = None  # None where only the difference is known
    after: float | None = None

    @classmethod
    def of(cls, comparison: Comparison) -> "Change":
        """The change of the kernel distance in a comparison."""
        return cls(
            comparison.kd_difference,
            comparison.kd_interval,
            comparison.kd_before,
            comparison.kd_after,
        )

    @property
    def direction(self) -> Literal["lower", "higher", "unclear"]:
        """Where the whole interval lies: below 0, above 0, or with 0 inside."""
        low, high = self.interval
        if high < 0:
            return "lower"
        return "higher" if low > 0 else "unclear"

    @property
    def is_significant(self) -> bool:
        """Whether the interval leaves 0 out."""
        return self.direction != "unclear"

    @property
    def figures(self) -> str:
        """ "difference -35.0, 95 % interval -40.0 to -30.0"."""
        low, high = map(format_kernel, self.interval)
        return f"difference {format_kernel(self.difference)}, 95 % interval {low} to {high}"


def advise_ratio(less_real: Change, ratio: int) -> int:
    """The ratio that distances alone can advise: 0 unless made images are clearly nearer.

    less_real: the distance of made images to held-out images, less that of real training images or
    of copies of them. ratio: where that was measured.
    """
    return ratio if less_real.direction == "lower" else 0


def describe_change(subject: str, change: Change, distance: str = "the kernel distance") -> str:
    """One sentence that names the direction, both distances, the difference and its interval."""
    verbs = {"lower": "lowers", "higher": "raises", "unclear": "does not clearly change"}
    verb = verbs[change.direction]
    figures = change.figures
    if change.before is not None and change.after is not None:
        before, after = format_kernel(change.before), format_kernel(change.after)
        figures = f"{before} to {after}, {figures}"
    return f"{subject} {verb} {distance} ({figures})."


def describe_reference(held_out: int) -> str:
    """What distances are taken to. held_out: number of held-out images, 0 where there are none."""
    return f"to {held_out:,} held-out images" if held_out else "to the training images"


def describe_features(features: Mapping[str, Any], option: str) -> str:
    """What features measure that no training gave, and the option that takes better ones.

    features: an extractor's description. Empty for a trained network.
    """
    if "label" not in features:
        return ""
    sees = {
        "random": "They compare layout, colour, contrast, sharpness and grain at every scale, not"
        " what is shown",
        "pixels": "They register layout, contrast and ghosts; of blur and grain the less the larger"
        " the images are",
    }[features["kind"]]
    better = f"{option} takes a trained network (a TorchScript file) instead"
    return f"Features: {features['label']}. {sees}; {better}."


def join_words(words: Sequence[str], last: str) -> str:
    """ "a, b or c", with `last` before the last one."""
    *first, end = words
    return f"{', '.join(first)} {last} {end}" if first else end
