"""The corpora of a trial: each arm's images as arrays, for the built-in GAN, or as shards."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from ...manifests.errors import ConfigError
from ...manifests.files.atomic import canonical_digest, sha256_file
from ...manifests.files.rows import rows_where
from ...manifests.plan.plan import rows_digest
from ...manifests.published.index import INDEX
from ...models.network.device import device_type
from ...stages.common.progress import Progress
from ...stages.generate.config import GenerateConfig
from ...stages.trial.arm_corpus import ArmCorpus, open_arm, write_arm
from ...stages.trial.arms import OWN, Arm
from ...stages.trial.gan_run import Rise
from ...stages.trial.locks import waiting_lock
from ..config import Config
from ..finished_run import FinishedRun
from ..other_options import builder_by, check_has_network, other_options
from ..shards.builder import ShardBuilder
from ..shards.local import LocalDestination

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


def arm_options(config: Config, arm: Arm, side: int, device: str) -> GenerateConfig:
    """The options of `generate` that make an arm's images. config: resolved and decided."""
    if arm.method == OWN:
        return config.generate
    return other_options(config, arm.changes, side, device)


def array_corpus(
    run: FinishedRun,
    arm: Arm,
    folder: Path,
    device: str,
    stopping: Callable[[], bool],
    progress: Progress,
) -> ArmCorpus:
    """The arm's images on disk: found there, or made."""
    corpus, place = run.corpus, folder / "arms" / arm.name
    real, labels = corpus.training_rows, corpus.training_ids[corpus.training_rows]
    parts: Iterator[Images] = (
        corpus.images[real[start : start + _CHUNK]] for start in range(0, len(real), _CHUNK)
    )
    made_of, facts = [corpus.digest, real.tolist()], dict[str, Any]()
    builder = None if arm.method is None else _builder(run, arm, device, stopping)
    if builder is not None:
        recipe, rows = builder.planned.recipe, builder.planned.rows
        rows = rows_where(rows, kind="augmented")
        made_of += [recipe.digest, rows_digest(rows)]
        facts = {"recipe": recipe.as_json(), "ratio": arm.ratio}
        ids = rows["class_id"].fill_null(-1).to_numpy().astype(np.int64)
        labels = np.concatenate([labels, ids])
    digest = canonical_digest(made_of)
    rises = Rise(len(real), arm.ratio) if arm.growing else None

    def images() -> Iterator[Images]:
        yield from parts
        if builder is not None:
            for batch in builder.generate(rows):
                yield batch.final

    with waiting_lock(folder, arm_lock(arm), stopping):
        found = open_arm(arm.name, place, digest)
        if found is not None:
            return replace(found, rises=rises)
        with progress.task(f"arm {arm.name}", len(labels), "images") as advance:
            written = write_arm(arm.name, place, digest, images(), labels, facts, advance)
    return replace(written, rises=rises)


def arm_lock(arm: Arm) -> str:
    """The lock of an arm's files; of two processes on one trial the second finds them made."""
    return f"arm.{arm.name}"


def check_network(run: FinishedRun, options: GenerateConfig) -> None:
    """Raises ConfigError where these options need a score network, and the run has none; or where
    they make images class by class, of which there is no number for each real one."""
    if options.by_class:
        raise ConfigError(
            f"The method of {run.folder} is {options.method}, which makes images class by class. A"
            " trial trains GANs on arms of so many images for each real one: leave the arm `own`"
            " out, or make a run by another method."
        )
    check_has_network(run, options)


def _builder(run: FinishedRun, arm: Arm, device: str, stopping: Callable[[], bool]) -> ShardBuilder:
    """Makes the arm's images as a run with its options would: plan, recipe, network, means."""
    kind = run.ledger.device_type(device_type(device))
    options = arm_options(run.config, arm, run.corpus.images.shape[1], kind)
    check_network(run, options)
    builder = builder_by(run, options.model_copy(update={"ratio": arm.ratio}), device, stopping)
    return run.with_network(builder) if options.needs_network else builder


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
    place = folder / "arms" / arm.name / "shards"
    builder = _builder(run, arm, device, stopping)
    with waiting_lock(folder, arm_lock(arm), stopping):
        _build(builder, LocalDestination(place, place.parent), progress)
    return _as_corpus(arm, place, arm.ratio, run)


def _build(builder: ShardBuilder, destination: LocalDestination, progress: Progress) -> None:
    missing = [task for task in builder.planned.shards if not destination.finished(task)]
    if not missing and destination.is_published():
        return
    images = sum(task.rows.num_rows for task in missing)
    with progress.task(f"arm {destination.shards.parent.name}", images, "images") as advance:
        destination.claim(builder, lambda same: None, changes=bool(missing))
        for task in missing:
            destination.write_shard(builder, task, builder.generate(task.rows), advance)
    destination.publish(builder)


def _as_corpus(arm: Arm, shards: Path, ratio: int, run: FinishedRun) -> ShardCorpus:
    count = len(run.corpus.training_rows) * (1 + ratio)
    return ShardCorpus(arm, shards, ratio, sha256_file(shards / INDEX), count)
