"""By what copies of training images are looked for among samples."""

from dataclasses import dataclass

import numpy as np

from ...models.features.extractors import Extractor, Pixels
from ...models.features.random_net import RandomNet
from ..common.progress import ignore_progress
from ..corpus.store import Corpus
from ..evaluate.feature_cache import FeatureCache, Features
from ..evaluate.metric_records import MetricSuite, RealFeatures
from .read import Samples


@dataclass(frozen=True)
class CopySearch:
    """The judging features, or pixels where those are random.

    Random features see what compression and grain add to a copy, and no longer know it; the
    principal components of the pixels look through that.
    """

    extractor: Extractor
    suite: MetricSuite

    @classmethod
    def of(cls, extractor: Extractor, suite: MetricSuite, corpus: Corpus) -> "CopySearch":
        """extractor, suite: those that judge."""
        if extractor.name != RandomNet.name:
            return cls(extractor, suite)
        held_out = suite.real.held_out
        images = np.asarray(corpus.training_images)
        pixels = Pixels(corpus.reference if held_out else images)
        training = pixels(images)
        reference = pixels(np.asarray(corpus.reference)) if held_out else training
        real = RealFeatures(pixels.describe(), reference, held_out, training, len(training))
        return cls(pixels, MetricSuite(real, suite.seed))

    def features(self, samples: Samples, judged: Extractor, features: Features) -> Features:
        """Computes those of the samples; `features`, by `judged`, serve where it is the same."""
        if self.extractor is judged:
            return features
        return FeatureCache(None).features(self.extractor, samples.images, ignore_progress)
