"""The corpora of a trial: each arm's images as arrays, for the built-in GAN, or as shards."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from numpy.typing import NDArray

from ...manifests.errors import ConfigError
from ...manifests.files.atomic import canonical_digest, sha256_file
from ...manifests.plan.plan import PlanOptions, build_plan, rows_digest
from ...manifests.published.index import INDEX
from ...manifests.run_folder import RunFolder
from ...models.features.extractors import FeaturesError, open_extractor
from ...models.network.checkpoint import TrainedNet
from ...models.network.device import device_type
from ...stages.common.presets import balanced_batch
from ...stages.common.progress import Progress
from ...stages.corpus.store import Corpus
from ...stages.evaluate.config import EvaluateConfig
from ...stages.generate.config import GenerateConfig
from ...stages.generate.generate import generate
from ...stages.generate.recipe import Recipe
from ...stages.trial.arm_corpus import ArmCorpus, open_arm, write_arm
from ...stages.trial.arms import OWN, Arm
from ...stages.write.write import plan_shards
from ..config import Config
from ..finished_run import FinishedRun
from ..means import open_means
from ..planned import Planned, recipe_of, without_keys
from ..shards.builder import ShardBuilder
from ..shards.local import LocalDestination
from ..trained_network import open_network

_CHUNK = 1024  # training images copied at once

Images = NDArray[np.uint8]


@dataclass(frozen=True)
class ShardCorpus:
    """An arm as shards."""

    arm: Arm
    shards: Path
    ratio: int  # rounds of them
    digest: str  # of index.json
    count: int


def features_of(evaluate: EvaluateConfig, corpus: Corpus) -> dict[str, Any]:
    """The network that judges, with its digest. Raises ConfigError where it cannot be had."""
    try:
        extractor = open_extractor(evaluate.features, evaluate.inception_weights, corpus.reference)
    except FeaturesError as error:
        raise ConfigError(str(error)) from error
    return dict(extractor.describe())


def arm_options(config: Config, arm: Arm, side: int, device: str) -> GenerateConfig:
    """The options of `generate` that make an arm's images. config: resolved and decided."""
    if arm.method == OWN:
        return config.generate
    train = config.train
    assert train.width
    open_ones = dict.fromkeys(("alpha", "t0", "denoise_steps"))
    plain = GenerateConfig().model_dump(include={"contrast", "keep", "gamma", "repair_t0"})
    changed = config.generate.model_copy(update=open_ones | plain | arm.changes)
    return changed.resolved(train.preset, side, train.width, device, train.network)


def array_corpus(
    run: FinishedRun,
    arm: Arm,
    folder: Path,
    device: str,
    stopping: Callable[[], bool],
    progress: Progress,
) -> ArmCorpus:
    """The arm's images on disk: found there, or made."""
    corpus = run.corpus
    real = np.sort(
        corpus.sources.filter(pc.equal(corpus.sources["status"], "train"))["row"].to_numpy()
    )
    parts: Iterator[Images] = (
        corpus.images[real[start : start + _CHUNK]] for start in range(0, len(real), _CHUNK)
    )
    labels = corpus.training_ids[real]
    place = folder / "arms" / arm.name
    if arm.method is None:
        digest = canonical_digest([corpus.digest, real.tolist()])
        found = open_arm(arm.name, place, digest)
        if found is None:
            found = write_arm(arm.name, place, digest, parts, labels, {}, lambda count: None)
        return found
    kind = run.ledger.device_type(device_type(device))
    options = arm_options(run.config, arm, corpus.images.shape[1], kind)
    rows = rows_of(run, options, arm.ratio)
    net, recipe, means = _maker(run, options, device)
    digest = canonical_digest([corpus.digest, real.tolist(), recipe.digest, rows_digest(rows)])
    found = open_arm(arm.name, place, digest)
    if found is not None:
        return found
    uses = means if recipe.means_sha256 else None
    torch_device = torch.device(device)
    batches = generate(
        rows, corpus.images, recipe, net, means=uses, device=torch_device, stopping=stopping
    )

    def both() -> Iterator[Images]:
        yield from parts
        for batch in batches:
            yield batch.final

    ids = rows["class_id"].fill_null(-1).to_numpy().astype(np.int64)
    facts = {"recipe": recipe.as_json(), "ratio": arm.ratio}
    every = np.concatenate([labels, ids])
    with progress.task(f"arm {arm.name}", len(every), "images") as advance:
        return write_arm(arm.name, place, digest, both(), every, facts, advance)


def check_network(run: FinishedRun, options: GenerateConfig) -> None:
    """Raises ConfigError where these options need a score network, and the run has none."""
    if options.needs_network and not run.config.generate.needs_network:
        raise ConfigError(
            f"An arm by {options.method} needs a score network, and {run.folder} has none: its"
            f" method is {run.config.generate.method}. Leave the arm out, or make a run with"
            " generate.method: auto."
        )


def rows_of(
    run: FinishedRun, options: GenerateConfig, ratio: int, *, real: bool = False
) -> pa.Table:
    """Augmented plan rows at this ratio; those of the run's own method are its corpus's.

    real: with the rows of the real images, too.
    """
    plan = PlanOptions(
        ratio=ratio,
        alpha=options.alpha or 1.0,
        pairing=options.pairing,
        lone_class=options.lone_class,
        method=str(options.method),
        shard_size=run.config.write.shard_size,
    )
    corpus = run.corpus
    rows = build_plan(corpus.planned_sources, plan, run.config.seed, corpus.images.shape[1])
    rows = rows if real else rows.filter(pc.equal(rows["kind"], "augmented"))
    return without_keys(rows, corpus.forgotten)


def _maker(
    run: FinishedRun, options: GenerateConfig, device: str
) -> tuple[TrainedNet | None, Recipe, Any]:
    """Network, recipe and mean images of these options."""
    files, corpus = RunFolder(run.folder), run.corpus
    check_network(run, options)
    net = open_network(files, torch.device(device)) if options.needs_network else None
    means = open_means(files, corpus, run.planned.recipe.means_sha256)
    assert isinstance(options.batch, int)
    size = balanced_batch(options.batch, run.config.write.shard_size, len(corpus.images))
    evenly = options.model_copy(update={"batch": size})
    used = means.sha256 if options.needs_means else None
    return net, Recipe.from_config(evenly, net.facts if net else None, corpus.digest, used), means


def shard_corpus(
    run: FinishedRun,
    arm: Arm,
    folder: Path,
    device: str,
    stopping: Callable[[], bool],
    progress: Progress,
) -> ShardCorpus:
    """The run's own shards where they hold the arm; else shards made below the trial."""
    own = run.ledger.place()
    built = int(pc.max(run.planned.rows["round"]).as_py())
    if arm.method in (None, OWN) and arm.ratio <= built and isinstance(own, Path):
        if not (own / INDEX).exists():
            raise ConfigError(f"{own} is not finished: run the stages of {run.folder} first.")
        return _as_corpus(arm, own, arm.ratio, run)
    kind = run.ledger.device_type(device_type(device))
    options = arm_options(run.config, arm, run.corpus.images.shape[1], kind)
    check_network(run, options)
    config = run.config.model_copy(
        update={"generate": options.model_copy(update={"ratio": arm.ratio})}
    )
    builder = run.with_network(replace(run.builder(device), config=config, stopping=stopping))
    means = builder.means.sha256 if options.needs_means else None
    net = builder.net if options.needs_network else None
    recipe = recipe_of(config, net.facts if net else None, run.corpus, means)
    rows = rows_of(run, options, arm.ratio, real=True)
    tasks = plan_shards(rows, recipe.for_real_images().digest, recipe.digest)
    planned = Planned(rows, rows_digest(rows), recipe, tasks)
    builder = replace(builder, planned=planned, net=net)
    place = folder / "arms" / arm.name / "shards"
    _build(builder, LocalDestination(place, folder), progress)
    return _as_corpus(arm, place, arm.ratio, run)


def _build(builder: ShardBuilder, destination: LocalDestination, progress: Progress) -> None:
    missing = [task for task in builder.planned.shards if not destination.finished(task)]
    if not missing and destination.is_published():
        return
    images = sum(task.rows.num_rows for task in missing)
    with progress.task(f"arm {destination.shards.parent.name}", images, "images") as advance:
        destination.claim(builder, lambda: None, changes=bool(missing))
        for task in missing:
            destination.write_shard(builder, task, builder.generate(task.rows), advance)
    destination.publish(builder)


def _as_corpus(arm: Arm, shards: Path, ratio: int, run: FinishedRun) -> ShardCorpus:
    real = len(run.corpus.sources.filter(pc.equal(run.corpus.sources["status"], "train")))
    return ShardCorpus(arm, shards, ratio, sha256_file(shards / INDEX), real * (1 + ratio))
