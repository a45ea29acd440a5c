"""What is measured of a set only where weights for it are given: classifier score, LPIPS."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...models.features import FeaturesError
from ...models.metrics.classifier_score import classifier_score
from ...models.metrics.perceptual import Lpips, perceptual_diversity
from ...models.metrics.record import Record, metric_name
from ...models.networks import Classifier, InceptionClasses, TorchScriptClassifier
from ..evaluate import EvaluateConfig

_PAIRS = 500  # of images whose LPIPS distance is taken
_FEW = "too few images in a split to know how often each class occurs: the score is too low"

Images = NDArray[np.uint8]


class Extras:
    """The networks that were named, opened once.

    lpips: AlexNet's weights. classifier: a TorchScript file that gives logits; where none is named
        and the features are Inception's, its own classes are looked at.

    Raises:
        FeaturesError: a file that is not there, or not such a network.
    """

    def __init__(
        self, lpips: Path | None, classifier: Path | None, config: EvaluateConfig, seed: int
    ) -> None:
        self._seed = seed
        self._lpips = None if lpips is None else Lpips(lpips)
        self._classifier: Classifier | None = None
        if classifier is not None:
            self._classifier = TorchScriptClassifier(classifier)
        elif config.features in ("auto", "inception") and config.inception_weights is not None:
            self._classifier = InceptionClasses(Path(config.inception_weights))

    def of(self, images: Images, subset: str) -> Iterator[Record]:
        """Records of one set, uint8 (n, H, W, C)."""
        if self._classifier is not None:
            yield self._score(self._classifier, images, subset)
        if self._lpips is not None:
            yield self._diversity(self._lpips, images, subset)

    def _score(self, classifier: Classifier, images: Images, subset: str) -> Record:
        found = classifier_score(classifier(images), probabilities=classifier.probabilities)
        facts = classifier.describe()
        return Record(
            metric_name("cs", facts),
            found.mean,
            len(images),
            facts,
            subset,
            std=found.std,
            std_of=f"the score of {found.splits} parts",
            parameters={"classes": found.classes},
            notes=(_FEW,) if found.biased else (),
        )

    def _diversity(self, measure: Lpips, images: Images, subset: str) -> Record:
        try:
            found = perceptual_diversity(measure, images, _PAIRS, self._seed)
        except RuntimeError as error:
            raise FeaturesError(
                f"LPIPS does not take images of {images.shape[2]} px"
                f" ({str(error).splitlines()[0]}). Leave --lpips out."
            ) from error
        return Record(
            measure.name,
            found.mean,
            len(images),
            measure.describe(),
            subset,
            std=found.standard_error,
            std_of="the mean, over pairs",
            seed=self._seed,
            parameters={"pairs": found.pairs},
        )
