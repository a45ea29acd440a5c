"""A recogniser's figures: on classes it never saw, and on held-out images of those it knows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...manifests.errors import ConfigError
from ...manifests.plan.random_streams import image_seed, stream
from ...models.metrics.identification import WAYS, one_shot, rank_one
from ...models.metrics.verification import (
    Pairs,
    allowed_impostors,
    class_intervals,
    cosine_scores,
    draw_pairs,
    equal_error_rate,
    roc_points,
    tar_at_far,
    tar_on_grid,
)
from ..corpus.store import Corpus
from ..recognise.recognise import held_out_accuracy
from ..recognise.run import RecogniserRun
from .over_classes import DRAWS

FARS = (1e-2, 1e-3)  # at which TAR is given, where there are impostor pairs enough
GRID = tuple(float(far) for far in np.round(np.logspace(-4, 0, 41), 8))  # of the picture
_INTERVAL_PAIRS = 300_000  # at most: of impostors a sample says as much as all
_SEED = 0  # of pairs and episodes: the same for every arm and seed of a comparison

Images = NDArray[np.uint8]
Ids = NDArray[np.int64]


def tar_name(far: float) -> str:
    """The name of the figure: tar_0.01."""
    return f"tar_{far:g}"


def episode_ways(labels: Ids) -> int:
    """Classes of a one-shot episode: 20, or all that have two images; 0 for fewer than two."""
    several = int((np.unique(labels, return_counts=True)[1] > 1).sum())
    return min(WAYS, several) if several > 1 else 0


@dataclass(frozen=True)
class UnseenClasses:
    """Images (N, H, W, C) of classes `labels` (N,) that no recogniser is trained on."""

    images: Images
    labels: Ids
    pairs: Pairs
    interval_pairs: Pairs  # for intervals: fewer impostors, which are drawn again so often
    fars: Sequence[float]  # for which there are impostor pairs enough
    ways: int  # classes of a one-shot episode; 0: there is none
    episodes: int
    resamples: int

    @classmethod
    def of(cls, corpus: Corpus, pairs: int, episodes: int, resamples: int) -> "UnseenClasses":
        """All labelled images of a corpus of unseen classes.

        Raises:
            ConfigError: fewer than two classes, or none with two images.
        """
        labels = corpus.training_ids
        known = np.flatnonzero(labels >= 0)
        labels = labels[known]
        random = stream(image_seed(_SEED, "recognition"), "pairs")
        try:
            drawn = draw_pairs(labels, pairs, random)
            fewer = draw_pairs(labels, min(pairs, _INTERVAL_PAIRS), random)
        except ValueError as error:
            raise ConfigError(f"recognition.unseen cannot be verified on: {error}.") from error
        return cls(
            images=np.asarray(corpus.images)[known],
            labels=labels,
            pairs=drawn,
            interval_pairs=fewer,
            fars=[far for far in FARS if _is_measurable(drawn.impostors, far)],
            ways=episode_ways(labels),
            episodes=episodes,
            resamples=resamples,
        )


def _is_measurable(impostors: int, far: float) -> bool:
    try:
        return allowed_impostors(impostors, far) > 0
    except ValueError:
        return False


def measure(run: RecogniserRun, corpus: Corpus, unseen: UnseenClasses | None) -> dict[str, Any]:
    """The figures of a trained recogniser, with intervals over the unseen classes, and its ROC.

    corpus: the run's, whose held-out images give the accuracy; left out where none has a class.
    """
    accuracy = held_out_accuracy(run, corpus)
    figures: dict[str, Any] = {} if accuracy is None else {"accuracy": accuracy}
    if unseen is not None:
        figures |= measure_embeddings(run.embed(unseen.images), unseen)
    return figures


def measure_embeddings(embeddings: NDArray[np.floating], unseen: UnseenClasses) -> dict[str, Any]:
    """The figures of embeddings (N, E) of the unseen images, by whatever recogniser."""
    random = stream(image_seed(_SEED, "recognition"), "judge")
    scores = cosine_scores(embeddings, unseen.pairs)
    genuine, impostor = scores[unseen.pairs.genuine], scores[~unseen.pairs.genuine]
    far, tar = roc_points(genuine, impostor)
    figures: dict[str, Any] = {
        tar_name(each): tar_at_far(genuine, impostor, each) for each in unseen.fars
    }
    figures["eer"] = equal_error_rate(far, tar)
    figures["rank_1"] = rank_one(embeddings, unseen.labels)
    if unseen.ways:
        given = embeddings, unseen.labels, unseen.episodes, random, unseen.ways
        figures["one_shot"] = one_shot(*given)
    some = unseen.interval_pairs
    resampled = cosine_scores(embeddings, some), some, unseen.labels, unseen.fars
    found = class_intervals(*resampled, unseen.resamples, random)
    ends = {tar_name(each): list(found.tar[each]) for each in unseen.fars}
    figures["interval_95_over_classes"] = {"eer": list(found.eer), **ends}
    # The same draws for every recogniser, so that arms can be compared draw by draw.
    names = ["eer", *(tar_name(each) for each in unseen.fars)]
    figures[DRAWS] = dict(zip(names, found.draws.T.tolist(), strict=True))
    figures["roc"] = [float(each) for each in tar_on_grid(far, tar, GRID)]
    return figures
