"""Scores of a candidate's images, by the measures of the stage `evaluate` on the same features."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ...models.features.extractors import Extractor
from ...models.metrics.contrast import contrast, detail
from ...models.metrics.copying import median_ratio
from ...models.metrics.distances import compare
from ...models.metrics.neighbours import Vectors, nearest
from ...models.metrics.prdc import prdc
from ..common.progress import Advance
from ..evaluate.feature_cache import Features, Rows
from ..evaluate.real_images import RealImages
from ..evaluate.regenerate import TracedBatch
from ..evaluate.row_sample import nearer_parent_rows
from ..evaluate.sentences import Change

Images = NDArray[np.uint8]
Floats = NDArray[np.float64]

_CHUNK_VALUES = 2**22  # of real images that are measured at a time


@dataclass(frozen=True)
class Scores:
    """One row of the pilot's table; contrast and detail as shares of held-out images'."""

    name: str
    kd: float  # kernel distance to the held-out images, raw
    against_mixup: Change | None  # None for mixup itself
    against_copies: Change | None  # None for the copies themselves
    precision: float
    recall: float
    coverage: float
    nearest: float  # median distance to the nearest training image
    newness: float  # that over mixup's, or over held-out images' where those are nearer
    newness_interval: tuple[float, float]  # 95 %
    contrast: float
    detail: float
    evenness: float  # see `evenness`, over that of held-out images


@dataclass(frozen=True)
class RealScores:
    """What real, held-out images have."""

    nearest: float  # median distance to the nearest training image
    contrast: float  # median standard deviation of the pixels, in units of the range
    detail: float  # median power at high frequencies
    evenness: float


@dataclass(frozen=True)
class CandidateImages:
    """What is kept of a candidate's images, in the order of the rows."""

    features: Vectors  # (n, D)
    contrast: Floats  # (n,)
    detail: Floats  # (n,)
    shown: Images  # (s, H, W, C): the first few


def measure_batches(
    batches: Iterator[TracedBatch], extractor: Extractor | None, shown: int, advance: Advance
) -> CandidateImages:
    """Features, contrast and detail of images as they are made; the first `shown` are kept.

    Without an extractor the features are empty, (n, 0).
    """
    features, contrasts, details, kept = [], [], [], list[Images]()
    for batch in batches:
        features.append(extractor(batch.final) if extractor else np.empty((len(batch.final), 0)))
        contrasts.append(contrast(batch.final))
        details.append(detail(batch.final))
        kept.append(batch.final[: max(0, shown - sum(map(len, kept)))])
        advance(batch.rows.num_rows)
    return CandidateImages(
        features=np.concatenate(features),
        contrast=np.concatenate(contrasts),
        detail=np.concatenate(details),
        shown=np.concatenate(kept),
    )


def copies_of(rows: pa.Table, images: Images, real: RealImages) -> CandidateImages:
    """Exact copies of each row's nearer parent, the reference that no mixing is; none is shown."""
    nearer = Rows(images, nearer_parent_rows(rows))
    return CandidateImages(
        features=np.asarray(real.nearer_parents(rows)),
        contrast=_in_chunks(contrast, nearer),
        detail=_in_chunks(detail, nearer),
        shown=nearer[:0],
    )


def real_scores(reference: Images, real: RealImages) -> RealScores:
    """Of the held-out images (M, H, W, C), whose features are those of `real`."""
    every = Rows(reference, np.arange(len(reference)))
    details = _in_chunks(detail, every)
    return RealScores(
        nearest=float(np.median(_distances(real.reference.vectors, real.training))),
        contrast=float(np.median(_in_chunks(contrast, every))),
        detail=float(np.median(details)),
        evenness=evenness(details),
    )


def score(
    name: str,
    made: CandidateImages,
    mixup: CandidateImages,
    copies: CandidateImages,
    real: RealImages,
    of_real: RealScores,
    seed: int,
) -> Scores:
    """Scores of one candidate. mixup, copies: the two baselines, of the same rows.

    Raises:
        ValueError: too few images, or features that are not finite.
    """

    def change_from(baseline: CandidateImages) -> Change | None:
        return None if made is baseline else difference(made, baseline, real, seed)

    distances, of_mixup, held_out = (
        _distances(features, real.training)
        for features in (made.features, mixup.features, real.reference.vectors)
    )
    # Mixtures of sparse images lie near their parents; of dense ones, farther off than any real
    # image: no image need be newer than both.
    if np.median(of_mixup) <= np.median(held_out):
        newness, interval = median_ratio(distances, of_mixup, seed, paired=True)
    else:
        newness, interval = median_ratio(distances, held_out, seed, paired=False)
    fidelity = prdc(real.reference.vectors, made.features)
    return Scores(
        name=name,
        kd=real.reference.kernel(made.features),
        against_mixup=change_from(mixup),
        against_copies=change_from(copies),
        precision=fidelity.precision,
        recall=fidelity.recall,
        coverage=fidelity.coverage,
        nearest=float(np.median(distances)),
        newness=newness,
        newness_interval=interval,
        contrast=_ratio(made.contrast, of_real.contrast),
        detail=_ratio(made.detail, of_real.detail),
        evenness=evenness(made.detail) / of_real.evenness,
    )


def difference(
    made: CandidateImages, baseline: CandidateImages, real: RealImages, seed: int
) -> Change:
    """The kernel distance of `made` less that of `baseline`, images of the same rows."""
    before, after = baseline.features, made.features
    return Change.of(compare(real.reference, before, after, seed, frechet=False))


def evenness(details: Floats) -> float:
    """The tenth percentile of the images' detail over its median; 1 where one of them is 0.

    Smooth images have little detail, and noise fills them up: where it has taken the place of
    detail, the median may be that of real images, and this is not.
    """
    low, median = (float(value) for value in np.quantile(details, (0.1, 0.5)))
    return low / median if low > 0 else 1.0


def _ratio(values: Floats, of_real: float) -> float:
    """The median over real images' median; 1 where real images have none of it."""
    return float(np.median(values)) / of_real if of_real > 0 else 1.0


def _distances(x: Features, training: Features) -> Floats:
    """Distance of each x (n, D) to its nearest training image (N, D), (n,)."""
    return nearest(x, training).distances[:, 0]


def _in_chunks(measure: Callable[[Images], Floats], images: Rows) -> Floats:
    """(n,) of memory-mapped images, read a chunk at a time."""
    size = max(1, _CHUNK_VALUES // int(np.prod(images.shape[1:])))
    starts = range(0, len(images), size)
    return np.concatenate([measure(images[start : start + size]) for start in starts])
