"""Metrics that need weights of their own: classifier score, LPIPS, single-image distances."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ...manifests.plan.random_streams import some_rows, stream
from ...models.features.errors import FeaturesError
from ...models.features.networks import (
    Classifier,
    InceptionClasses,
    InceptionMaps,
    Maps,
    TorchScriptClassifier,
    TorchScriptMaps,
)
from ...models.metrics.classifier_score import classifier_score
from ...models.metrics.copying import MIN_IMAGES
from ...models.metrics.perceptual import Lpips, perceptual_diversity
from ...models.metrics.record import MetricRecord, metric_name
from ...models.metrics.single_image import single_image_distances
from .baseline import baseline_of
from .config import EvaluateConfig
from .contact_sheet import SheetRow
from .row_sample import MIXED_LAMBDA, fold_lambda, is_judged

PAIRS = 500  # of images whose LPIPS distance is taken
_AT_ONCE = 32  # images whose maps are held
_MOST_MIXED = 1000  # rows of a run whose images are kept for these metrics
_BIASED_SCORE = (
    "too few images in a split to know how often each class occurs: the score is too low"
)
_BIASED_FRECHET = (
    "mostly bias: {places} places in {dimensions} dimensions, five per dimension are needed"
)

Images = NDArray[np.uint8]


@dataclass(frozen=True)
class MetricWeights:
    """The weights that were named, for any of these metrics; None leaves a metric out."""

    lpips: str | Path | None = None  # AlexNet's weights
    classifier: str | Path | None = None  # a TorchScript file that gives logits
    maps: str | None = None  # a TorchScript file that gives maps, or FILE#SEQUENCE:LENGTH
    inception: str | Path | None = None  # its classes and maps, where no others are named
    target: Images | None = None  # (H, W, C): the image that all should look like

    @property
    def measures_sets(self) -> bool:
        """Whether a metric of whole sets of images was named."""
        return any(name is not None for name in (self.lpips, self.classifier, self.inception))


def open_lpips(evaluate: EvaluateConfig, side: int) -> Lpips | None:
    """LPIPS by the weights that section `evaluate` names, tried on images of `side` px.

    None where it names none. Raises FeaturesError where they cannot be used.
    """
    if evaluate.lpips is None:
        return None
    measure = Lpips(Path(evaluate.lpips))
    probe = np.zeros((1, side, side, 3), np.uint8)
    with takes_images_of(side):
        measure(probe, probe)
    return measure


@contextlib.contextmanager
def takes_images_of(side: int) -> Iterator[None]:
    """Turns the network's error of images of `side` px that are too small into FeaturesError."""
    try:
        yield
    except RuntimeError as error:
        raise FeaturesError(
            f"LPIPS does not take images of {side} px ({str(error).splitlines()[0]}). Leave"
            " evaluate.lpips or --lpips out."
        ) from error


def named_weights(config: EvaluateConfig, target: Images | None = None) -> MetricWeights:
    """The weights that section `evaluate` names; Inception's where its features are used, too."""
    inception = config.inception_weights if config.features in ("auto", "inception") else None
    return MetricWeights(config.lpips, config.classifier, config.maps, inception, target)


class OptionalMetrics:
    """Computes the metrics whose weights were named; every network is opened once.

    Raises:
        FeaturesError: a file that is not there, or not such a network.
    """

    def __init__(self, weights: MetricWeights, seed: int) -> None:
        self._seed = seed
        self.lpips = None if weights.lpips is None else Lpips(Path(weights.lpips))
        self._classifier: Classifier | None = None
        if weights.classifier is not None:
            self._classifier = TorchScriptClassifier(Path(weights.classifier))
        elif weights.inception is not None:
            self._classifier = InceptionClasses(Path(weights.inception))
        self._target_map: Maps | None = None
        if weights.target is not None:
            self._maps = open_maps(weights)
            self._target_map = self._maps(weights.target[None])[0]

    def records(self, images: Images, subset: str) -> Iterator[MetricRecord]:
        """Records of one set, uint8 (n, H, W, C), called `subset`."""
        if self._classifier is not None:
            yield self._classifier_score(self._classifier, images, subset)
        if self.lpips is not None:
            yield self._diversity(self.lpips, images, subset)
        if self._target_map is not None:
            yield self._single_image(self._target_map, images, subset)

    def records_of_run(self, rows: Sequence[SheetRow], reference: Images) -> list[MetricRecord]:
        """Records of mixup, final and held-out images; sets of fewer than fifty are left out.

        rows: the judged ones are measured. reference: (M, H, W, C), a seeded choice of as many.
        """
        mixed = [row for row in rows if is_judged(row[0])]
        most = max(len(mixed), MIN_IMAGES)
        held_out = some_rows(len(reference), most, self._seed, "held-out images")
        sets = {"held-out images": reference[held_out]}
        if mixed:
            judged = baseline_of(mixed[0][0]["method"]).judged
            sets[f"mixup, {judged}"] = np.stack([row[1] for row in mixed])
            sets[f"final, {judged}"] = np.stack([row[3] for row in mixed])
        return [
            record
            for subset, images in sets.items()
            if len(images) >= MIN_IMAGES
            for record in self.records(images, subset)
        ]

    def _classifier_score(
        self, classifier: Classifier, images: Images, subset: str
    ) -> MetricRecord:
        # Images of a folder come class by class, and every part must have all classes in it.
        order = stream(self._seed, "parts of a classifier score").permutation(len(images))
        outputs = classifier(images)[order]
        score = classifier_score(outputs, probabilities=classifier.probabilities)
        facts = classifier.describe()
        return MetricRecord(
            metric_name("cs", facts),
            score.mean,
            len(images),
            facts,
            subset,
            std=score.std,
            std_of=f"the score of {score.splits} parts",
            parameters={"classes": score.classes},
            notes=(_BIASED_SCORE,) if score.biased else (),
        )

    def _diversity(self, measure: Lpips, images: Images, subset: str) -> MetricRecord:
        with takes_images_of(images.shape[2]):
            diversity = perceptual_diversity(measure, images, PAIRS, self._seed)
        return MetricRecord(
            measure.name,
            diversity.mean,
            len(images),
            measure.describe(),
            subset,
            std=diversity.standard_error,
            std_of="the mean, over pairs",
            seed=self._seed,
            parameters={"pairs": diversity.pairs},
        )

    def _single_image(self, target: Maps, images: Images, subset: str) -> MetricRecord:
        """The mean over images of the Frechet distance between an image's map and the target's."""
        parts = [
            single_image_distances(list(maps), [target] * len(maps))
            for start in range(0, len(images), _AT_ONCE)
            for maps in [self._maps(images[start : start + _AT_ONCE])]
        ]
        values = np.concatenate([part.distances for part in parts])
        facts = self._maps.describe()
        note = _BIASED_FRECHET.format(places=parts[0].places, dimensions=parts[0].dimensions)
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
            notes=(note,) if parts[0].biased else (),
        )


def open_maps(weights: MetricWeights) -> TorchScriptMaps | InceptionMaps:
    """The network of feature maps; raises FeaturesError where none or no valid one is named."""
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


def mixed_keys(rows: pa.Table) -> set[str]:
    """Keys of rows with folded lambda >= .1 whose images `records_of_run` takes; evenly chosen."""
    places = np.flatnonzero(fold_lambda(rows) >= MIXED_LAMBDA)
    chosen = np.linspace(0, len(places) - 1, min(_MOST_MIXED, len(places))).astype(int)
    return set(rows["key"].take(places[chosen]).to_pylist())
