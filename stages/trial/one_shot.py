"""The judge of one-shot translation: patches of one image in the style of one other.

No image is held out: all patches of a side are of one image. The distance is Shaham et al. 2019's
(SIFID), the Frechet distance of two images' feature maps, whose places are vectors; here those of
all translated patches, and of all real patches of the target image, are taken together.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...manifests.errors import ConfigError
from ...models.features.errors import FeaturesError
from ...models.features.networks import InceptionMaps, TorchScriptMaps
from ...models.metrics.record import metric_name
from ...models.metrics.single_image import single_image_distances
from ..corpus.store import Corpus
from ..evaluate.config import EvaluateConfig
from ..evaluate.optional_metrics import named_weights, open_maps

_AT_ONCE = 32  # images whose maps are made at once
_MOST = 500  # images whose maps are held, evenly chosen of more

Images = NDArray[np.uint8]


class OneShotJudge:
    """Measures translated patches against the real patches of the target image."""

    def __init__(self, maps: TorchScriptMaps | InceptionMaps, real: Images) -> None:
        self._maps = maps
        self.features: dict[str, Any] = maps.describe()
        self.name = f"{metric_name('sfd', self.features)} of patches"
        self._real = self._places(real)

    def measure(self, samples: Images) -> dict[str, Any]:
        """The distance `sfd` of samples (N, H, W, C), its name, and whether it is mostly bias."""
        found = single_image_distances([self._places(samples)], [self._real])
        return {"sfd": found.mean, "sfd_name": self.name, "sfd_biased": found.biased}

    def _places(self, images: Images) -> NDArray[np.floating[Any]]:
        """(N, H, W, C) -> (places of all of them, D)."""
        chosen = np.linspace(0, len(images) - 1, min(_MOST, len(images))).astype(int)
        some = np.asarray(images[chosen])
        maps = [self._maps(some[at : at + _AT_ONCE]) for at in range(0, len(some), _AT_ONCE)]
        return np.concatenate([each.reshape(-1, each.shape[2]) for each in maps])


def open_one_shot_judge(evaluate: EvaluateConfig, corpus: Corpus, target: int) -> OneShotJudge:
    """The judge by the training images of class `target`.

    Raises ConfigError where no network of feature maps is named, or images are too small for it.
    """
    rows = corpus.training_rows
    real = np.asarray(corpus.images[rows[corpus.training_ids[rows] == target]])
    try:
        return OneShotJudge(open_maps(named_weights(evaluate)), real)
    except (FeaturesError, RuntimeError) as error:
        raise ConfigError(f"One-shot translation cannot be judged: {error}") from error
