"""Does the extractor see known damage, on as many images as the verdict is about?

Distances of real training images to the held-out ones, as they are and damaged. An extractor that
cannot tell blurred, noisy, faded or doubled images from real ones says nothing where a method
makes such: its "better" and "no different" would be worth nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...manifests.plan.random_streams import image_seed, stream
from ...models.features.extractors import Extractor
from ...models.metrics.distances import Reference, compare
from ...models.metrics.distortions import DISTORTIONS, grey_levels
from ..common.progress import Progress
from .feature_cache import FeatureCache

Images = NDArray[np.uint8]

MOST = 500  # images that are damaged
_LEAST_CHANGE = 2.0  # grey levels (root mean square), below which damage is none


@dataclass(frozen=True)
class Sensitivity:
    """What damage the extractor sees. Kernel distances are raw, damaged less undamaged."""

    images: int
    seen: Mapping[str, dict[str, Any]]  # damage -> its difference, interval and grey levels
    blind: Sequence[str]  # damage whose interval holds 0 or lies below it

    def as_json(self) -> dict[str, Any]:
        """For metrics.json."""
        return {"images": self.images, "damage": dict(self.seen), "not_seen": list(self.blind)}


def measure_sensitivity(
    extractor: Extractor,
    training: Images,
    rows: NDArray[np.int64],
    reference: Reference,
    cache: FeatureCache,
    *,
    count: int,
    seed: int,
    progress: Progress,
) -> Sensitivity:
    """Damages `count` training images, 500 at most, in each way.

    training: uint8 (N, H, W, C); rows: those that may be taken.
    reference: features of the held-out images.
    Damage that changes these images by less than two grey levels, such as blur of images that are
    blurred, is left out.

    Raises:
        FeaturesError: the network does not take these images.
    """
    random = stream(image_seed(seed, "evaluate"), "sensitivity")
    images = np.asarray(training[np.sort(random.permutation(rows)[: min(count, MOST)])])
    if len(images) < 2:
        return Sensitivity(len(images), {}, [])
    seen: dict[str, dict[str, Any]] = {}
    total = (1 + len(DISTORTIONS)) * len(images)
    with progress.task("sensitivity", total, "images") as advance:
        before = cache.features(extractor, images, advance)
        for name, distort in DISTORTIONS.items():
            damaged = distort(images, stream(image_seed(seed, "sensitivity"), name))
            change = grey_levels(images, damaged)
            if change < _LEAST_CHANGE:
                advance(len(images))
                continue
            after = cache.features(extractor, damaged, advance)
            pair = compare(reference, before, after, image_seed(seed, "sensitivity"))
            seen[name] = {
                "grey_levels": change,
                "difference": pair.kd_difference,
                "interval_95": pair.kd_interval,
            }
    blind = [name for name, found in seen.items() if found["interval_95"][0] <= 0]
    return Sensitivity(len(images), seen, blind)
