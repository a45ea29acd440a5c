"""The corpora of a trial: each arm's images as arrays, for the built-in GAN, or as shards."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ...manifests.errors import ConfigError, LockedError
from ...manifests.files.atomic import canonical_digest
from ...manifests.files.rows import rows_where
from ...manifests.plan.plan import rows_digest
from ...manifests.published.index import INDEX, parse_index
from ...manifests.published.inspect import read_manifest
from ...manifests.storage.store import store_of
from ...manifests.trainers.image_bytes import read_pixels
from ...models.network.device import device_type
from ...stages.common.progress import Progress
from ...stages.generate.config import GenerateConfig
from ...stages.trial.arm_corpus import ArmCorpus, open_arm, write_arm
from ...stages.trial.arms import OWN, Arm
from ...stages.trial.gan_run import Rise
from ...stages.trial.locks import waiting_lock
from ..config import Config
from ..finished_run import FinishedRun, require_written
from ..other_options import builder_by, check_has_network, other_options
from ..shards.builder import ShardBuilder
from ..shards.local import LocalDestination

_CHUNK = 1024  # training images copied at once
_OF_AN_IMAGE = ("key", "class_id", "soft_label", "pixel_sha256")  # what a trainer sees of it

Images = NDArray[np.uint8]


@dataclass(frozen=True)
class ShardCorpus:
    """An arm as shards."""

    arm: Arm
    shards: Path
    ratio: int  # rounds of them
    digest: str  # of its images and their classes
    count: int


def arm_options(config: Config, arm: Arm, side: int, device: str) -> GenerateConfig:
    """The options of `generate` that make an arm's images. config: resolved and decided."""
    if arm.method == OWN:
        return config.generate
    return other_options(config, arm.changes, side, device)


@dataclass(frozen=True)
class _Plan:
    """What an arm's images are made of."""

    arm: Arm
    digest: str
    builder: ShardBuilder | None  # None of the training images alone
    rows: pa.Table | None  # of the augmented images
    facts: dict[str, Any]

    def begins(self, other: "_Plan") -> bool:
        """Whether the images of `other` begin with these."""
        if self.builder is None or other.builder is None:
            return False
        assert self.rows is not None and other.rows is not None
        same = self.builder.planned.recipe.digest == other.builder.planned.recipe.digest
        return same and other.rows.slice(0, self.rows.num_rows).equals(self.rows)


def array_corpora(
    run: FinishedRun,
    arms: Sequence[Arm],
    folder: Path,
    device: str,
    stopping: Callable[[], bool],
    progress: Progress,
) -> list[ArmCorpus]:
    """Each arm's images on disk, in the order of `arms`: found there, or made.

    Of arms that differ in their ratio alone the largest is made first, and others are its
    beginning; the run's own images are read from its shards, where these are finished.
    """
    plans = [_plan_of(run, arm, device, stopping) for arm in arms]
    made: list[tuple[_Plan, ArmCorpus]] = []
    for plan in sorted(plans, key=lambda plan: -plan.arm.ratio):
        larger = next((corpus for other, corpus in made if plan.begins(other)), None)
        made.append((plan, _array_corpus(run, plan, larger, folder, stopping, progress)))
    by_arm = {plan.arm: corpus for plan, corpus in made}
    return [by_arm[arm] for arm in arms]


def _plan_of(run: FinishedRun, arm: Arm, device: str, stopping: Callable[[], bool]) -> _Plan:
    made_of: list[Any] = [run.corpus.digest, run.corpus.training_rows.tolist()]
    if arm.method is None:
        return _Plan(arm, canonical_digest(made_of), None, None, {})
    builder = _builder(run, arm, device, stopping)
    recipe, rows = builder.planned.recipe, rows_where(builder.planned.rows, kind="augmented")
    made_of += [recipe.digest, rows_digest(rows)]
    facts = {"recipe": recipe.as_json(), "ratio": arm.ratio}
    return _Plan(arm, canonical_digest(made_of), builder, rows, facts)


def _array_corpus(
    run: FinishedRun,
    plan: _Plan,
    larger: ArmCorpus | None,
    folder: Path,
    stopping: Callable[[], bool],
    progress: Progress,
) -> ArmCorpus:
    """larger: an arm on disk whose images begin with these."""
    corpus, arm, rows = run.corpus, plan.arm, plan.rows
    real, place = corpus.training_rows, folder / "arms" / arm.name
    labels = corpus.training_ids[real]
    if rows is not None:
        ids = rows["class_id"].fill_null(-1).to_numpy().astype(np.int64)
        labels = np.concatenate([labels, ids])

    def images() -> Iterator[Images]:
        if larger is not None:
            yield from _chunks(larger.open()[0], np.arange(len(labels)))
            return
        yield from _chunks(corpus.images, real)
        if rows is not None and in_own_shards(run, arm):
            yield from _from_own_shards(run, rows)
        elif rows is not None and plan.builder is not None:
            for batch in _with_network(run, plan.builder).generate(rows):
                yield batch.final

    rises = Rise(len(real), arm.ratio) if arm.growing else None
    with waiting_lock(folder, arm_lock(arm), stopping):
        found = open_arm(arm.name, place, plan.digest)
        if found is not None:
            return replace(found, rises=rises)
        with progress.task(f"arm {arm.name}", len(labels), "images") as advance:
            given = (arm.name, place, plan.digest, images(), labels, plan.facts)
            written = write_arm(*given, advance)
    return replace(written, rises=rises)


def _chunks(images: Images, rows: NDArray[np.int64]) -> Iterator[Images]:
    for start in range(0, len(rows), _CHUNK):
        yield np.asarray(images[rows[start : start + _CHUNK]])


def in_own_shards(run: FinishedRun, arm: Arm) -> bool:
    """Whether the run's finished shards hold this arm."""
    own = run.ledger.place()
    if arm.method != OWN or not isinstance(own, Path) or not (own / INDEX).exists():
        return False
    built = int(pc.max(run.planned.rows["round"]).as_py())
    destination = LocalDestination(own, run.folder)
    return arm.ratio <= built and all(map(destination.finished, run.planned.shards))


def _from_own_shards(run: FinishedRun, rows: pa.Table) -> Iterator[Images]:
    """The images of `rows`, each compared with its digest. Raises VerifyError."""
    store = store_of(run.ledger.place())
    found = read_manifest(store)
    found = found.take(pc.index_in(rows["key"], value_set=found["key"]))
    yield from read_pixels(store, found, _CHUNK)


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
    """Plans the arm's images as a run with its options would make them: rows, recipe, means."""
    kind = run.ledger.device_type(device_type(device))
    options = arm_options(run.config, arm, run.corpus.images.shape[1], kind)
    check_network(run, options)
    return builder_by(run, options.model_copy(update={"ratio": arm.ratio}), device, stopping)


def _with_network(run: FinishedRun, builder: ShardBuilder) -> ShardBuilder:
    """Ready to make images. Not before some are missing: it reads all of the corpus once."""
    return run.with_network(builder) if builder.config.generate.needs_network else builder


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
        require_written(run)  # else they may hold images that are held out now
        return _as_corpus(arm, own, arm.ratio, run)
    place = folder / "arms" / arm.name / "shards"
    builder = _builder(run, arm, device, stopping)
    with waiting_lock(folder, arm_lock(arm), stopping):
        _build(run, builder, LocalDestination(place, place.parent), progress)
    return _as_corpus(arm, place, arm.ratio, run)


def _build(
    run: FinishedRun, builder: ShardBuilder, destination: LocalDestination, progress: Progress
) -> None:
    missing = [task for task in builder.planned.shards if not destination.finished(task)]
    if not missing and destination.is_published():
        return
    images = sum(task.rows.num_rows for task in missing)
    builder = _with_network(run, builder) if missing else builder
    with progress.task(f"arm {destination.shards.parent.name}", images, "images") as advance:
        destination.claim(builder, lambda same: None, changes=bool(missing))
        for task in missing:
            destination.write_shard(builder, task, builder.generate(task.rows), advance)
    destination.publish(builder)


def _as_corpus(arm: Arm, shards: Path, ratio: int, run: FinishedRun) -> ShardCorpus:
    count = len(run.corpus.training_rows) * (1 + ratio)
    return ShardCorpus(arm, shards, ratio, _digest(shards, ratio), count)


def _digest(shards: Path, ratio: int) -> str:
    """Digests the images up to the ratio, and their classes.

    index.json is no part of it: a run with more rounds has the same first ones.
    """
    store = store_of(shards)
    rows = read_manifest(store)
    rows = rows.filter(pc.less_equal(rows["round"], ratio))
    columns = [rows[name].to_pylist() for name in _OF_AN_IMAGE]
    return canonical_digest([columns, parse_index(store.read(INDEX))["classes"]])


def check_unchanged(corpus: ShardCorpus) -> None:
    """Raises LockedError where the shards of an arm hold other images than when it was made."""
    if _digest(corpus.shards, corpus.ratio) != corpus.digest:
        raise LockedError(
            f"{corpus.shards} was made of other images by another trial of this run meanwhile. Let"
            " that one end, and run the same command again."
        )
