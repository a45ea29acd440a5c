"""Which training images a size of a trial has, and whether a run can be planned of them."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ..manifests.errors import ConfigError
from ..manifests.plan.random_streams import image_seed, stream
from ..stages.corpus.store import Corpus
from .config import Config
from .planned import PlannedImages, check_planned_images


def choose_rows(corpus: Corpus, size: int, seed: int) -> NDArray[np.int64]:
    """Rows of `size` training images, ascending: one of every class in turn, in a seeded order.

    A smaller choice is part of every larger one.
    """
    rows = corpus.training_rows
    order = stream(image_seed(seed, "trial"), "sizes").permutation(len(rows))
    labels = corpus.training_ids[rows[order]]
    turn = np.empty(len(rows), np.int64)  # how many of its class come before an image
    for label in np.unique(labels):
        turn[labels == label] = np.arange(np.sum(labels == label))
    return np.sort(rows[order[np.lexsort((labels, turn))[:size]]])


def check_plans_of_sizes(config: Config, corpus: Corpus, sizes: Sequence[int]) -> None:
    """Raises ConfigError for a size of whose images no run can be planned, as where a class has one
    and mixes within itself."""
    sources = corpus.planned_sources
    for size in sizes:
        rows = choose_rows(corpus, size, config.seed)
        chosen = pc.and_(
            pc.equal(sources["status"], "train"), pc.is_in(sources["row"], pa.array(rows))
        )
        images = PlannedImages(sources.filter(chosen), corpus.classes, corpus.images.shape[1])
        try:
            check_planned_images(config, images)
        except ConfigError as error:
            ids = corpus.training_ids[corpus.training_rows]
            what = str(error).split(": ")[0].split(". ")[0]
            raise ConfigError(
                f"trial.sizes has {size:,}, of which no run can be planned: {what}. A size has one"
                " image of every class in turn: name sizes of"
                f" {2 * len(np.unique(ids)):,} images or more."
            ) from error
