"""Planned: a run's plan with its recipe and its shards; how it is read and checked."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from ..manifests.errors import VerifyError
from ..manifests.files.atomic import read_parquet
from ..manifests.plan.class_plan import (
    ClassPlanOptions,
    MadeClass,
    build_class_plan,
    check_classed,
    classes_with_images,
    made_of_new,
    reproduced,
)
from ..manifests.plan.new_classes import NewClass, digest_of
from ..manifests.plan.plan import PlanOptions, build_plan, rows_digest
from ..manifests.run_folder import RunFolder
from ..stages.common.presets import balanced_batch
from ..stages.corpus.store import FORGOTTEN, Corpus
from ..stages.generate.recipe import Recipe
from ..stages.write.tasks import ShardTask, plan_shards
from .config import Config
from .ledger import Ledger
from .new_classes import needs_new_classes, new_classes_of, random_new_classes


@dataclass(frozen=True)
class Planned:
    """Plan rows, their recipe, and the shards that they form."""

    rows: pa.Table
    digest: str  # of the rows
    recipe: Recipe  # every option that can change a pixel or a byte
    shards: list[ShardTask]
    new_classes: tuple[NewClass, ...] = ()
    chosen_because: str = ""  # how the pilot chose the method, in a sentence; empty without one


def plan_options_of(config: Config) -> PlanOptions | ClassPlanOptions:
    """The options of a resolved config that decide the plan's rows, beside new classes."""
    generate = config.generate
    if generate.by_class:
        size = config.write.shard_size
        return ClassPlanOptions(str(generate.method), generate.images_per_class, size)
    return PlanOptions(
        ratio=config.generate.ratio,
        alpha=config.generate.alpha or 1.0,  # unset before a pilot: then nothing drawn is used
        pairing=config.generate.pairing,
        lone_class=config.generate.lone_class,
        method=config.generate.method or "auto",  # open while only checking
        shard_size=config.write.shard_size,
    )


def draw_plan(config: Config, corpus: Corpus, new_classes: Sequence[NewClass]) -> pa.Table:
    """The plan's rows, from corpus, options and new classes."""
    return _drawn(config, _of_corpus(corpus), new_classes)


class PlannedImages(NamedTuple):
    """What plans are drawn from beside the options."""

    sources: pa.Table  # schema SOURCES
    classes: Sequence[str]
    side: int  # of the images in pixels


def _of_corpus(corpus: Corpus) -> PlannedImages:
    return PlannedImages(corpus.planned_sources, corpus.classes, corpus.images.shape[1])


def _drawn(config: Config, images: PlannedImages, new_classes: Sequence[NewClass]) -> pa.Table:
    options = plan_options_of(config)
    if isinstance(options, ClassPlanOptions):
        made = _made_classes(config, images, new_classes)
        return build_class_plan(images.sources, made, options, config.seed)
    return build_plan(images.sources, options, config.seed, images.side)


def _made_classes(
    config: Config, images: PlannedImages, new_classes: Sequence[NewClass]
) -> list[MadeClass]:
    if needs_new_classes(config):
        return made_of_new(new_classes)
    usable = classes_with_images(images.sources)
    return reproduced(len(images.classes), usable, config.generate.new_classes, config.seed)


def check_plan(config: Config, corpus: Corpus, *, without_forgotten: bool = False) -> None:
    """Raises ConfigError where no plan can be made, as for a class with one image.

    Called before a network is trained. without_forgotten: of the images that are left.
    """
    images = _of_corpus(corpus)
    if without_forgotten:
        sources = corpus.sources.filter(pc.not_equal(corpus.sources["status"], FORGOTTEN))
        images = images._replace(sources=sources)
    check_planned_images(config, images)


def check_planned_images(config: Config, images: PlannedImages) -> pa.Table:
    """As `check_plan`, of images that need not be a corpus yet; gives the plan that was tried.

    Of methods by class it has every row, with new classes that were chosen at random.
    """
    new_classes: Sequence[NewClass] = ()
    if config.generate.by_class:
        check_classed(images.sources, str(config.generate.method))
    if needs_new_classes(config):  # any will do: there may be no recogniser yet
        usable = classes_with_images(images.sources)
        new_classes = random_new_classes(config, images.classes, usable)
    ratio = min(config.generate.ratio, 1)
    generate = config.generate.model_copy(update={"ratio": ratio})
    return _drawn(config.model_copy(update={"generate": generate}), images, new_classes)


def recipe_of(
    config: Config,
    model: dict[str, Any] | None,
    corpus: Corpus,
    means_sha256: str | None,
    new_classes: Sequence[NewClass],
) -> Recipe:
    """The full recipe: generation's options and the encoder's. With the rows it decides a shard.

    means_sha256: as `means_sha256_of` gives it.
    """
    batch = config.generate.batch
    assert isinstance(batch, int)
    size = balanced_batch(batch, config.write.shard_size, len(corpus.images))
    evenly = config.generate.model_copy(update={"batch": size})
    named = digest_of(new_classes) if new_classes else None
    made = Recipe.from_config(evenly, model, corpus.digest, means_sha256, named)
    return replace(made, format=config.write.format, encoder=config.write.encoder)


def planned_of(
    rows: pa.Table,
    ledger: Ledger,
    recipe: Recipe,
    corpus: Corpus,
    new_classes: tuple[NewClass, ...],
) -> Planned:
    """The plan that the ledger names with its shards, without rows of a forgotten parent.

    rows: the plan's, as read or drawn.
    """
    outcome = ledger.outcome("plan")
    digest: str = outcome["digest"]
    if corpus.forgotten:
        rows, digest = (kept := without_keys(rows, corpus.forgotten)), rows_digest(kept)
    shards = plan_shards(rows, recipe.for_real_images().digest, recipe.digest)
    because = outcome.get("chosen_because", "")
    return Planned(rows, digest, recipe, shards, new_classes, because)


def plan_anew(
    config: Config, corpus: Corpus, recipe: Recipe, new_classes: tuple[NewClass, ...]
) -> Planned:
    """The plan of these options, drawn now; without rows of a forgotten parent."""
    rows = without_keys(draw_plan(config, corpus, new_classes), corpus.forgotten)
    tasks = plan_shards(rows, recipe.for_real_images().digest, recipe.digest)
    return Planned(rows, rows_digest(rows), recipe, tasks, new_classes)


def open_plan(
    files: RunFolder,
    config: Config,
    corpus: Corpus,
    ledger: Ledger,
    model: dict[str, Any] | None,
    means_sha256: str | None,
) -> Planned:
    """The plan that the ledger names; drawn again from corpus and options where its file is gone.

    model, means_sha256: as `recipe_of` takes them.

    Raises VerifyError where these give another one.
    """
    new_classes = new_classes_of(files, config, corpus, ledger)
    recipe = recipe_of(config, model, corpus, means_sha256, new_classes)
    digest: str = ledger.outcome("plan").get("digest", "")
    rows = read_plan(files, digest)
    if rows is None:
        rows = draw_plan(config, corpus, new_classes)
        if rows_digest(rows) != digest:
            raise VerifyError(
                f"{files.plan} is gone or damaged, and {files.path} now gives another plan."
                f" Restore it, or run `scoremix-pipeline run {files.config}`."
            )
    return planned_of(rows, ledger, recipe, corpus, new_classes)


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
