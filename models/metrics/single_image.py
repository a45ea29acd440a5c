"""Single-image Frechet distance (SIFID): between the feature maps of two images.

Shaham et al. 2019, "SinGAN" (SIFID): each place of a feature map is one vector, and the two maps'
Gaussians are compared. Which network gave the maps decides the name: record.metric_name.
"""

from dataclasses import dataclass

import numpy as np

from .distances import frechet_distance, is_biased
from .neighbours import Vectors


@dataclass(frozen=True)
class SingleImage:
    """The distance of each pair, and whether the maps are large enough for it."""

    distances: tuple[float, ...]  # of each pair
    places: int  # vectors of the smallest map
    dimensions: int
    biased: bool  # fewer than five places per dimension: mostly the maps' size

    @property
    def mean(self) -> float:
        """Over the pairs."""
        return float(np.mean(self.distances))

    @property
    def std(self) -> float:
        """Over the pairs."""
        return float(np.std(self.distances))


def single_image_distances(fakes: list[Vectors], reals: list[Vectors]) -> SingleImage:
    """Frechet distance of each pair of feature maps (Shaham et al. 2019).

    fakes[i], reals[i]: (places, D) features of the i-th pair; the numbers of places may differ.

    Raises:
        ValueError: not as many fakes as reals, none at all, or maps of fewer than two places.
    """
    if len(fakes) != len(reals) or not fakes:
        raise ValueError(f"pairs of images are needed, got {len(fakes)} with {len(reals)}")
    distances = tuple(frechet_distance(a, b) for a, b in zip(fakes, reals, strict=True))
    places = min(len(vectors) for vectors in [*fakes, *reals])
    dimensions = fakes[0].shape[1]
    return SingleImage(distances, places, dimensions, is_biased(places, places, dimensions))
