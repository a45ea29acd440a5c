"""The mixtures of a pilot: plan rows of their own, whatever ratio and alpha the corpus has.

Pairs are drawn as the plan draws them; lambda is uniform in [.1, .9]. The plan's own rows would not
do: with Beta(.2, .2) three fifths of them are nearly copies of a parent, which every method makes
well, and another ratio or alpha would ask for another pilot.
"""

import pyarrow as pa

from ...manifests.plan.plan import MAX_RATIO, PlanOptions, build_plan
from ...manifests.plan.random_streams import image_seed
from ..generate.config import GenerateConfig

LEAST, MOST = 0.1, 0.9  # lambda


def draw_rows(sources: pa.Table, generate: GenerateConfig, count: int, seed: int) -> pa.Table:
    """`count` augmented plan rows; fewer where so many training images do not give as many.

    sources: as `build_plan` takes them. Every image is the base of one row before any is of two.

    Raises:
        ConfigError, InputError: no plan can be made of these images.
    """
    images = build_plan(sources, _options(generate, 0), seed).num_rows
    rounds = min(-(-count // images), MAX_RATIO)
    plan = build_plan(sources, _options(generate, rounds), image_seed(seed, "pilot"))
    rows = plan.slice(images, count)  # round 0 holds the real images
    place = rows.column_names.index("lambda")
    lambdas = LEAST + (MOST - LEAST) * rows["lambda"].to_numpy()
    return rows.set_column(place, rows.field(place), pa.array(lambdas))


def _options(generate: GenerateConfig, ratio: int) -> PlanOptions:
    return PlanOptions(
        ratio=ratio,
        alpha=1.0,  # uniform
        pairing=generate.pairing,
        lone_class=generate.lone_class,
        method="pilot",
        shard_size=1000,
    )
