"""Features of real images: the held-out reference, and training images that could be copied."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ...manifests.plan.random_streams import image_seed, stream
from ...models.features.errors import FeaturesError
from ...models.features.extractors import Extractor, open_extractor
from ...models.metrics.distances import Reference, is_biased
from ..common.progress import Progress
from .feature_cache import FeatureCache, Features, Rows
from .row_sample import nearer_parent_rows, parent_rows

Images = NDArray[np.uint8]


@dataclass(frozen=True)
class RealImages:
    """Features of real images, (n, D), and the names of the distances to them."""

    extractor: Extractor
    held_out: int  # held-out images; 0: the reference is training images
    reference: Reference
    training_rows: NDArray[np.int64]  # (n,) ascending: training images whose features are known
    training: Features  # (n, D) theirs: parents of the evaluated rows, and a choice of others
    sample_rows: NDArray[np.int64]  # as many training images as rows are evaluated, ascending
    training_sample: Features  # theirs, compared as one set
    kd: str
    fd: str

    def nearer_parents(self, rows: pa.Table) -> Features:
        """Features of each row's nearer parent, (rows, D): those of exact parent copies."""
        return self.training[np.searchsorted(self.training_rows, nearer_parent_rows(rows))]

    def distances(self, x: Features) -> dict[str, Any]:
        """Both distances of one set x (n, D) to the reference; None for fewer than two images."""
        if len(x) < 2:
            return {self.kd: None, self.fd: None, "fd_biased": True}
        return {
            self.kd: self.reference.kernel(x),
            self.fd: self.reference.frechet(x),
            "fd_biased": is_biased(len(x), *self.reference.vectors.shape),
        }


@dataclass(frozen=True)
class FeatureSource:
    """The feature network that section `evaluate` names, and the cache of its features."""

    name: str
    inception_weights: str | None
    cache: FeatureCache


def load_real_features(
    images: Images,
    planned: NDArray[np.int64],
    reference: Images,
    rows: pa.Table,
    source: FeatureSource,
    *,
    sample_size: int,
    least: int,
    seed: int,
    progress: Progress,
) -> RealImages:
    """Features of the held-out images, of the parents of `rows`, and of other training images.

    images, reference: uint8 (N, H, W, C) and (M, H, W, C); M may be 0.
    planned: rows of `images` that are in the plan; those of forgotten images are blank.
    sample_size: training images that are compared as one set; least: that are known at least.

    Raises:
        FeaturesError: fewer than two images to compare with, or a network that cannot be had.
    """
    order = stream(image_seed(seed, "evaluate"), "training").permutation(len(images))
    order = order[np.isin(order, planned)]
    sample = np.sort(order[:sample_size])
    known = np.union1d(order[: max(sample_size, least)], parent_rows(rows))
    held_out = len(reference)
    against = reference if held_out else np.asarray(images[sample])
    if len(against) < 2:
        raise FeaturesError(f"{len(against)} real image is not enough to compare with.")
    extractor = open_extractor(source.name, source.inception_weights, against)
    cache = source.cache
    with progress.task("features", len(known) + held_out, "images") as advance:
        training = cache.features(extractor, Rows(images, known), advance)
        training_sample = training[np.isin(known, sample)]
        target = cache.features(extractor, reference, advance) if held_out else training_sample
    suffix = "" if held_out else "_vs_train"
    return RealImages(
        extractor=extractor,
        held_out=held_out,
        reference=Reference(target),
        training_rows=known,
        training=training,
        sample_rows=sample,
        training_sample=training_sample,
        kd=extractor.kd + suffix,
        fd=extractor.fd + suffix,
    )
