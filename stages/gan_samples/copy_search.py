"""By what copies of training images are looked for among samples."""

from dataclasses import dataclass

import numpy as np

from ...models.features.extractors import Extractor, copy_extractor
from ..common.progress import ignore_progress
from ..corpus.store import Corpus
from ..evaluate.feature_cache import FeatureCache, Features
from ..evaluate.metric_records import MetricSuite, RealFeatures
from .read import Samples


@dataclass(frozen=True)
class CopySearch:
    """The features that copies are looked for by, and the real images in them."""

    extractor: Extractor
    suite: MetricSuite

    @classmethod
    def of(cls, extractor: Extractor, suite: MetricSuite, corpus: Corpus) -> "CopySearch":
        """extractor, suite: those that judge."""
        held_out = suite.real.held_out
        images = np.asarray(corpus.training_images)
        pixels = copy_extractor(extractor, corpus.reference if held_out else images)
        if pixels is extractor:
            return cls(extractor, suite)
        training = pixels(images)
        reference = pixels(np.asarray(corpus.reference)) if held_out else training
        real = RealFeatures(pixels.describe(), reference, held_out, training, len(training))
        return cls(pixels, MetricSuite(real, suite.seed))

    def features(self, samples: Samples, judged: Extractor, features: Features) -> Features:
        """Computes those of the samples; `features`, by `judged`, serve where it is the same."""
        if self.extractor is judged:
            return features
        return FeatureCache(None).features(self.extractor, samples.images, ignore_progress)
