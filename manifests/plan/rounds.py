"""One round of a plan as a table: permuted by the round's own seed, and cut into shards."""

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from .random_streams import image_seed, stream
from .schema import PLAN
from .training_images import Integers, TrainingImages

MAX_ROUND = 999  # the round has three digits in a key


class RoundImages(NamedTuple):
    """What the images of one round are made from, shape (n,) each; places in corpus order."""

    bases: Integers  # place of parent 1, whose key they take
    partners: Integers  # place of parent 2
    lambdas: npt.NDArray[np.float64]
    class_ids: Integers


def shards_of(count: int, shard_size: int) -> int:
    """How many shards so many images of a round fill."""
    return math.ceil(count / shard_size)


def round_table(
    corpus: TrainingImages,
    images: RoundImages,
    round_: int,
    first_shard: int,
    *,
    method: str,
    shard_size: int,
    seed: int,
) -> pa.Table:
    """The rows of one round, schema PLAN. Shards count through all rounds, from `first_shard`.

    round_: 0 for the real images, whose method `real` is.
    """
    count = len(images.bases)
    order = stream(image_seed(seed, f"round-{round_}"), "order").permutation(count)
    places, partners = images.bases[order], images.partners[order]
    bases = [corpus.keys[place] for place in places]
    keys = [f"{key}-{round_:03d}" for key in bases] if round_ else bases
    name = "aug" if round_ else "real"
    columns: dict[str, Any] = {
        "key": keys,
        "kind": ["augmented" if round_ else "real"] * count,
        "round": [round_] * count,
        "shard": [f"{name}-{first_shard + place // shard_size:06d}" for place in range(count)],
        "position": [place % shard_size for place in range(count)],
        "row_1": corpus.rows[places],
        "row_2": corpus.rows[partners],
        "source_1": bases,
        "source_2": [corpus.keys[place] for place in partners],
        "lambda": images.lambdas[order],
        "class_id": images.class_ids[order],
        "method": [method if round_ else "real"] * count,
        "seed": [image_seed(seed, key) for key in keys],
    }
    return pa.table(columns, schema=PLAN)


def real_round(corpus: TrainingImages, *, shard_size: int, seed: int) -> pa.Table:
    """Round 0: every training image as it is."""
    itself = np.arange(len(corpus.rows))
    images = RoundImages(itself, itself, np.ones(len(itself)), corpus.classes)
    return round_table(corpus, images, 0, 0, method="real", shard_size=shard_size, seed=seed)
