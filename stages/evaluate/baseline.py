"""What the made images of each method are compared with, and which of them: in words."""

from dataclasses import dataclass

from ...manifests.plan.methods import ONE_PARENT
from .row_sample import MIXED_LAMBDA

MIXUP = frozenset({"mixup", "mixup-classes"})  # whose images are the baseline itself

_TITLES = {
    "scoremix": "ScoreMix images",
    "mixup": "mixup images",
    "mixup, contrast kept": "Kept-contrast mixup images",
    "bridge": "Bridge images",
    "cutmix": "CutMix images",
    "fmix": "FMix images",
    "augmix": "AugMix images",
    "renoise": "Re-noised images",
    "sample": "Sampled images",
    "compose": "Images of composed classes",
    "condition-mix": "Images of mixed conditions",
    "mixup-classes": "mixup images of new classes",
    "reproduce": "Images of reproduced classes",
}


@dataclass(frozen=True)
class Baseline:
    """The images that a method's are compared with, row by row."""

    title: str  # the method's images
    name: str  # the baseline
    judged: str  # which of the method's images: a subset's name in the metric records

    @property
    def which(self) -> str:
        """To follow the title: " with lambda >= .1", or nothing where all images are judged."""
        return " with lambda >= .1" if "lambda" in self.judged else ""


def baseline_of(method: str) -> Baseline:
    """Mixup of the same rows, where lambda is at least .1; of a method with one parent, which mixes
    nothing and has no lambda, all images, compared with exact copies of their parents."""
    title = _TITLES.get(method, f"{method} images")
    if method in ONE_PARENT:
        return Baseline(title, "copies of their parents", "all")
    return Baseline(title, "mixup", f"lambda >= {MIXED_LAMBDA:g}")
