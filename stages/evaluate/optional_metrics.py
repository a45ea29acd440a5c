"""What is measured of a set only where weights for it are given: classifier score, LPIPS, and the
Frechet distance of single images."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ...models.features.extractors import FeaturesError
from ...models.features.networks import (
    Classifier,
    InceptionClasses,
    InceptionMaps,
    Maps,
    TorchScriptClassifier,
    TorchScriptMaps,
)
from ...models.metrics.classifier_score import classifier_score
from ...models.metrics.copying import NEEDED
from ...models.metrics.perceptual import Lpips, perceptual_diversity
from ...models.metrics.record import MetricRecord, metric_name
from ...models.metrics.single_image import single_image_distances
from .contact_sheet import Shown
from .row_sample import fold_lambda

_PAIRS = 500  # of images whose LPIPS distance is taken
_FEW = "too few images in a split to know how often each class occurs: the score is too low"
_AT_ONCE = 32  # images whose maps are held
_PICTURED = 1000  # images of a run that are looked at
_FEW_PLACES = (
    "mostly bias: {places} places in {dimensions} dimensions, five per dimension are needed"
)

Images = NDArray[np.uint8]


@dataclass(frozen=True)
class MetricWeights:
    """What was named."""

    lpips: str | Path | None = None  # AlexNet's weights
    classifier: str | Path | None = None  # a TorchScript file that gives logits
    maps: str | None = None  # a TorchScript file that gives maps, or FILE#SEQUENCE:LENGTH
    inception: str | Path | None = None  # its classes and maps, where no others are named
    target: Images | None = None  # (H, W, C): the one image that all should look like

    @property
    def asks(self) -> bool:
        """Whether anything is to be measured of sets of images."""
        return any(name is not None for name in (self.lpips, self.classifier, self.inception))


class OptionalMetrics:
    """The networks that were named, opened once.

    Raises:
        FeaturesError: a file that is not there, or not such a network.
    """

    def __init__(self, weights: MetricWeights, seed: int) -> None:
        self._seed = seed
        self._lpips = None if weights.lpips is None else Lpips(Path(weights.lpips))
        self._classifier: Classifier | None = None
        if weights.classifier is not None:
            self._classifier = TorchScriptClassifier(Path(weights.classifier))
        elif weights.inception is not None:
            self._classifier = InceptionClasses(Path(weights.inception))
        self._target: Maps | None = None
        if weights.target is not None:
            self._maps = _maps(weights)
            self._target = self._maps(weights.target[None])[0]

    def of(self, images: Images, subset: str) -> Iterator[MetricRecord]:
        """Records of one set, uint8 (n, H, W, C)."""
        if self._classifier is not None:
            yield self._score(self._classifier, images, subset)
        if self._lpips is not None:
            yield self._diversity(self._lpips, images, subset)
        if self._target is not None:
            yield self._single(self._target, images, subset)

    def of_run(self, shown: Sequence[Shown], reference: Images, heavy: float) -> list[MetricRecord]:
        """Of mixup, final and held-out images; sets of fewer than fifty are left out."""
        mixed = [item for item in shown if min(item[0]["lambda"], 1 - item[0]["lambda"]) >= heavy]
        sets = {"held-out images": reference[: max(len(mixed), NEEDED)]}
        if mixed:
            sets[f"mixup, lambda >= {heavy:g}"] = np.stack([item[1] for item in mixed])
            sets[f"final, lambda >= {heavy:g}"] = np.stack([item[3] for item in mixed])
        enough = ((name, some) for name, some in sets.items() if len(some) >= NEEDED)
        return [record for name, some in enough for record in self.of(some, name)]

    def _score(self, classifier: Classifier, images: Images, subset: str) -> MetricRecord:
        found = classifier_score(classifier(images), probabilities=classifier.probabilities)
        facts = classifier.describe()
        return MetricRecord(
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

    def _diversity(self, measure: Lpips, images: Images, subset: str) -> MetricRecord:
        try:
            found = perceptual_diversity(measure, images, _PAIRS, self._seed)
        except RuntimeError as error:
            raise FeaturesError(
                f"LPIPS does not take images of {images.shape[2]} px"
                f" ({str(error).splitlines()[0]}). Leave --lpips out."
            ) from error
        return MetricRecord(
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

    def _single(self, target: Maps, images: Images, subset: str) -> MetricRecord:
        """Each image's own distance to the target; their mean."""
        parts = [
            single_image_distances(list(maps), [target] * len(maps))
            for start in range(0, len(images), _AT_ONCE)
            for maps in [self._maps(images[start : start + _AT_ONCE])]
        ]
        values = np.concatenate([part.distances for part in parts])
        facts = self._maps.describe()
        few = _FEW_PLACES.format(places=parts[0].places, dimensions=parts[0].dimensions)
        return MetricRecord(
            metric_name("sfd", facts),
            float(values.mean()),
            len(images),
            facts,
            subset,
            reference="the target image",
            reference_n=1,
            std=float(values.std()),
            std_of="single images",
            notes=(few,) if parts[0].biased else (),
        )


def _maps(weights: MetricWeights) -> TorchScriptMaps | InceptionMaps:
    """Raises FeaturesError where no network was named, or not so that it can be used."""
    if weights.maps is None:
        if weights.inception is None:
            raise FeaturesError(
                "A distance to one image is taken between maps of a network's features. Name one:"
                " evaluate.maps (a TorchScript file), or evaluate.inception_weights for SIFID."
            )
        return InceptionMaps(Path(weights.inception))
    path, hash_, layers = weights.maps.partition("#")
    if not hash_:
        return TorchScriptMaps(Path(path))
    sequence, colon, length = layers.partition(":")
    if not (sequence and colon and length.isdecimal()):
        raise FeaturesError(
            f"evaluate.maps is {weights.maps!r}; use FILE, or FILE#SEQUENCE:LENGTH as in"
            " net.pt#features:2 for the first two layers of its Sequential `features`."
        )
    return TorchScriptMaps(Path(path), sequence, int(length))


def mixed_keys(rows: pa.Table, heavy: float) -> set[str]:
    """Keys of rows with folded lambda >= `heavy`, evenly chosen, of which pictures are kept."""
    places = np.flatnonzero(fold_lambda(rows["lambda"]) >= heavy)
    chosen = np.linspace(0, len(places) - 1, min(_PICTURED, len(places))).astype(int)
    return set(rows["key"].take(places[chosen]).to_pylist())
