"""Snapshots of a GAN against held-out images: one half chooses the best, the other reports it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...manifests.errors import ConfigError
from ...manifests.plan.random_streams import image_seed, stream
from ...models.features.errors import FeaturesError
from ...models.features.extractors import Extractor, copy_extractor, open_extractor
from ...models.metrics.copying import find_copies, training_spacing
from ...models.metrics.distances import Reference
from ...models.metrics.neighbours import Vectors
from ...models.metrics.prdc import prdc
from ..common.progress import ignore_progress
from ..corpus.store import Corpus
from ..evaluate.config import EvaluateConfig
from ..evaluate.feature_cache import FeatureCache, ImageSet, Rows

JUDGING_ALGORITHM = 3  # raised whenever equal samples would give another result
MIN_HELD_OUT = 60  # two halves of 30, below which nothing can be said

Images = NDArray[np.uint8]


def check_held_out(count: int, of: str = "") -> None:
    """Raises ConfigError where too few images are held out to judge anything.

    of: of which images, for a message, such as " of class cat".
    """
    if count < MIN_HELD_OUT:
        raise ConfigError(
            f"{count} images{of} are held out, and a trial needs {MIN_HELD_OUT}: one half chooses"
            " the best snapshot, the other judges it. Hold more out (ingest.holdout,"
            " ingest.reference)."
        )


@dataclass(frozen=True)
class Halves:
    """Rows of the held-out images, ascending: those that choose, and those that report."""

    choosing: NDArray[np.int64]
    reporting: NDArray[np.int64]


def split_held_out(count: int, seed: int) -> Halves:
    """A seeded draw; the larger half reports."""
    order = stream(image_seed(seed, "trial"), "halves").permutation(count)
    return Halves(np.sort(order[: count // 2]), np.sort(order[count // 2 :]))


def open_features(evaluate: EvaluateConfig, corpus: Corpus) -> Extractor:
    """The network that judges. Raises ConfigError where it cannot be had."""
    try:
        return open_extractor(evaluate.features, evaluate.inception_weights, corpus.reference)
    except FeaturesError as error:
        raise ConfigError(str(error)) from error


def open_judge(
    evaluate: EvaluateConfig,
    corpus: Corpus,
    seed: int,
    class_id: int | None = None,
    *,
    flips: bool,
) -> "Judge":
    """The judge of a corpus, or of the images of one class.

    flips: whether the GANs see horizontal flips, so that copies of these are copies, too.

    Raises ConfigError where its features cannot be had, or too few images of the class are held
    out.
    """
    rows, held_out = corpus.training_rows, np.asarray(corpus.reference)
    if class_id is not None:
        rows = rows[corpus.training_ids[rows] == class_id]
        held_out = held_out[corpus.reference_ids == class_id]
        check_held_out(len(held_out), f" of class {corpus.classes[class_id]}")
    try:
        training = Rows(corpus.images, rows)
        return Judge(open_features(evaluate, corpus), training, held_out, seed, flips=flips)
    except FeaturesError as error:
        raise ConfigError(str(error)) from error


class Mirrored:
    """Images (n, H, W, C), flipped horizontally when they are sliced."""

    def __init__(self, images: ImageSet) -> None:
        self._images = images

    @property
    def shape(self) -> tuple[int, ...]:
        """(n, H, W, C)"""
        return self._images.shape

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, some: slice, /) -> Images:
        return np.ascontiguousarray(self._images[some][:, :, ::-1])


class Judge:
    """Measures sets of samples by the features of the stage `evaluate`.

    Copies are looked for as `evaluate --generated` does: by pixels where those features are random.
    """

    def __init__(
        self,
        extractor: Extractor,
        training: ImageSet,
        held_out: Images,
        seed: int,
        *,
        flips: bool = False,
    ) -> None:
        halves = split_held_out(len(held_out), seed)
        self._extract = extractor
        self.features = extractor.describe()
        vectors = extractor(held_out)
        self._choosing = Reference(vectors[halves.choosing])
        self._reporting = Reference(vectors[halves.reporting])
        # Mirrored images have the spacing among themselves: a symmetric one is near its own image.
        sets = [training, Mirrored(training)] if flips else [training]
        self._copies = copy_extractor(extractor, held_out)
        known = [FeatureCache(None).features(self._copies, one, ignore_progress) for one in sets]
        self._training = np.concatenate(known)
        self._spacing = np.concatenate([training_spacing(each) for each in known])

    def vectors(self, samples: Images) -> Vectors:
        """The features (N, D) of samples (N, H, W, C)."""
        return self._extract(samples)

    def measure(self, samples: Images) -> dict[str, float]:
        """The figures of samples (N, H, W, C)."""
        return self.figures(samples, self.vectors(samples))

    def distances(self, vectors: Vectors) -> dict[str, float]:
        """Distances of features (N, D) to the reporting half."""
        return {"kd": self._reporting.kernel(vectors), "fd": self._reporting.frechet(vectors)}

    def figures(self, samples: Images, vectors: Vectors) -> dict[str, float]:
        """Distances to both halves; fidelity and diversity against the reporting one; copies.

        vectors: the features of the samples.
        """
        looked = vectors if self._copies is self._extract else self._copies(samples)
        fidelity = prdc(self._reporting.vectors, vectors)
        return {
            "kd_choosing": self._choosing.kernel(vectors),
            **self.distances(vectors),
            "precision": fidelity.precision,
            "recall": fidelity.recall,
            "coverage": fidelity.coverage,
            "copies": find_copies(looked, self._training, self._spacing).share,
        }


def best_snapshot(snapshots: list[dict[str, Any]]) -> dict[str, Any]:
    """The one nearest to the choosing half; its `kd` is to the other. Without halves the last."""
    if "kd_choosing" not in snapshots[0]:
        return snapshots[-1]
    return min(snapshots, key=lambda snapshot: float(snapshot["kd_choosing"]))
