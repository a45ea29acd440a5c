"""Planned: a run's plan with its recipe and its shards; how it is read and checked."""

from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ..manifests.errors import VerifyError
from ..manifests.files.atomic import read_parquet
from ..manifests.plan.plan import PlanOptions, build_plan, rows_digest
from ..manifests.run_folder import RunFolder
from ..stages.common.presets import balanced_batch
from ..stages.corpus.store import FORGOTTEN, Corpus
from ..stages.generate.recipe import Recipe
from ..stages.write.tasks import ShardTask, plan_shards
from .config import Config
from .ledger import Ledger


@dataclass(frozen=True)
class Planned:
    """Plan rows, their recipe, and the shards that they form."""

    rows: pa.Table
    digest: str  # of the rows
    recipe: Recipe  # every option that can change a pixel or a byte
    shards: list[ShardTask]
    chosen_because: str = ""  # how the pilot chose the method, in a sentence; empty without one


def plan_options_of(config: Config) -> PlanOptions:
    """The options of a resolved config that decide the plan's rows."""
    return PlanOptions(
        ratio=config.generate.ratio,
        alpha=config.generate.alpha or 1.0,  # unset before a pilot: then nothing drawn is used
        pairing=config.generate.pairing,
        lone_class=config.generate.lone_class,
        method=config.generate.method or "auto",  # open while only checking
        shard_size=config.write.shard_size,
    )


def draw_plan(config: Config, corpus: Corpus) -> pa.Table:
    """The plan's rows, from corpus and options."""
    options, side = plan_options_of(config), corpus.images.shape[1]
    return build_plan(corpus.planned_sources, options, config.seed, side)


def check_plan(config: Config, corpus: Corpus, *, without_forgotten: bool = False) -> None:
    """Raises ConfigError where no plan can be made, as for a class with one image.

    Called before a network is trained. without_forgotten: of the images that are left.
    """
    sources = corpus.planned_sources
    if without_forgotten:
        sources = corpus.sources.filter(pc.not_equal(corpus.sources["status"], FORGOTTEN))
    options = plan_options_of(config)
    options = replace(options, ratio=min(options.ratio, 1))
    build_plan(sources, options, config.seed, corpus.images.shape[1])


def recipe_of(
    config: Config, model: dict[str, Any] | None, corpus: Corpus, means_sha256: str | None
) -> Recipe:
    """The full recipe: generation's options and the encoder's. With the rows it decides a shard.

    means_sha256: as `means_sha256_of` gives it.
    """
    batch = config.generate.batch
    assert isinstance(batch, int)
    size = balanced_batch(batch, config.write.shard_size, len(corpus.images))
    evenly = config.generate.model_copy(update={"batch": size})
    made = Recipe.from_config(evenly, model, corpus.digest, means_sha256)
    return replace(made, format=config.write.format, encoder=config.write.encoder)


def planned_of(rows: pa.Table, ledger: Ledger, recipe: Recipe, corpus: Corpus) -> Planned:
    """The plan that the ledger names with its shards, without rows of a forgotten parent.

    rows: the plan's, as read or drawn.
    """
    outcome = ledger.outcome("plan")
    digest: str = outcome["digest"]
    if corpus.forgotten:
        rows, digest = (kept := without_keys(rows, corpus.forgotten)), rows_digest(kept)
    shards = plan_shards(rows, recipe.for_real_images().digest, recipe.digest)
    return Planned(rows, digest, recipe, shards, outcome.get("chosen_because", ""))


def open_plan(
    files: RunFolder, config: Config, corpus: Corpus, ledger: Ledger, recipe: Recipe
) -> Planned:
    """The plan that the ledger names; drawn again from corpus and options where its file is gone.

    Raises VerifyError where these give another one.
    """
    digest: str = ledger.outcome("plan").get("digest", "")
    rows = read_plan(files, digest)
    if rows is None:
        rows = draw_plan(config, corpus)
        if rows_digest(rows) != digest:
            raise VerifyError(
                f"{files.plan} is gone or damaged, and {files.path} now gives another plan."
                f" Restore it, or run `scoremix-pipeline run {files.config}`."
            )
    return planned_of(rows, ledger, recipe, corpus)


def read_plan(files: RunFolder, digest: str | None) -> pa.Table | None:
    """The plan's rows, or None where the file is gone, damaged, or not the one of this digest."""
    try:
        rows = read_parquet(files.plan)
        return rows if rows_digest(rows) == digest else None
    except (pa.ArrowException, OSError, ValueError, KeyError):
        return None


def without_keys(rows: pa.Table, keys: frozenset[str]) -> pa.Table:
    """Plan or manifest rows that have no parent among `keys`."""
    gone = pa.array(sorted(keys), pa.string())
    either = pc.or_(pc.is_in(rows["source_1"], gone), pc.is_in(rows["source_2"], gone))
    return rows.filter(pc.invert(either))
