"""The real images of an evaluation: what distances are taken to, and what made images may copy."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ...manifests.plan.random_streams import image_seed, stream
from ...models.features.extractors import Extractor, FeaturesError, open_extractor
from ...models.metrics.distances import Reference, is_biased
from ..common.progress import Progress
from .feature_cache import FeatureCache, Features, Rows
from .row_sample import nearer_parents, parents

Images = NDArray[np.uint8]


@dataclass(frozen=True)
class RealImages:
    """The features of real images, and what the distances to them are called."""

    extract: Extractor
    held_out: int  # 0: these are training images
    reference: Reference
    looked: NDArray[np.int64]  # rows of the training images that were looked at
    training: Features  # of those: parents of judged images, and a choice of others
    some: Features  # of as many as rows are judged: what is compared as one set
    kd: str
    fd: str

    def copies(self, rows: pa.Table) -> Features:
        """Of the nearer parent of each row: what exact copies of training images would have."""
        return self.training[np.searchsorted(self.looked, nearer_parents(rows))]

    def distances(self, x: Features) -> dict[str, Any]:
        """Both distances of one set, None for fewer than two images."""
        if len(x) < 2:
            return {self.kd: None, self.fd: None, "fd_biased": True}
        return {
            self.kd: self.reference.kernel(x),
            self.fd: self.reference.frechet(x),
            "fd_biased": is_biased(len(x), *self.reference.vectors.shape),
        }


@dataclass(frozen=True)
class FeatureSource:
    """The feature network that is asked for, by the words of section `evaluate`."""

    name: str
    inception_weights: str | None
    cache: FeatureCache


def load_real_features(
    images: Images,
    alive: NDArray[np.int64],
    reference: Images,
    rows: pa.Table,
    network: FeatureSource,
    *,
    compared: int,
    looked_at: int,
    seed: int,
    progress: Progress,
) -> RealImages:
    """Features of the held-out images, of the parents of `rows`, and of other training images.

    compared: training images that are one set to compare. looked_at: with those, at least.
    alive: rows of `images` that are in the plan; those of forgotten images are blank.

    Raises:
        FeaturesError: fewer than two images to compare with, or a network that cannot be had.
    """
    order = stream(image_seed(seed, "evaluate"), "training").permutation(len(images))
    order = order[np.isin(order, alive)]
    chosen = np.sort(order[:compared])
    looked = np.union1d(order[: max(compared, looked_at)], parents(rows))
    held_out = len(reference)
    against = reference if held_out else np.asarray(images[chosen])
    if len(against) < 2:
        raise FeaturesError(f"{len(against)} real image is not enough to compare with.")
    extract = open_extractor(network.name, network.inception_weights, against)
    suffix = "" if held_out else "_vs_train"
    cache = network.cache
    with progress.task("features", len(looked) + held_out, "images") as advance:
        training = cache.features(extract, Rows(images, looked), advance)
        some = training[np.isin(looked, chosen)]
        target = Reference(cache.features(extract, reference, advance) if held_out else some)
    names = extract.kd + suffix, extract.fd + suffix
    return RealImages(extract, held_out, target, looked, training, some, *names)
