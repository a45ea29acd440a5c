"""trial: every arm with every seed, here or beside other processes that work on the same trial.

A task is one GAN. Whoever holds its lock trains it; its result is a file, so a trial that was
stopped, or is worked on from several machines, ends with the same table.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ...manifests.errors import LockedError
from ...manifests.files.atomic import canonical_digest
from ...manifests.files.lock import shard_lock
from ...models.gan.networks import GanShape
from ...models.network.device import one_thread, set_deterministic
from ..common.progress import Advance, Progress
from ..corpus.store import Corpus, open_corpus
from ..evaluate.config import EvaluateConfig
from .arm_corpus import ArmCorpus
from .gan_run import ALGORITHM, ALGORITHM_OF_GROWING, GanOptions
from .judge import JUDGING_ALGORITHM, Judge, check_held_out, open_judge
from .one import (
    Labelled,
    Task,
    failures,
    gan_folder,
    options_folder,
    read_result,
    result_name,
    run_task,
)
from .task_pool import unfinished, work_on_all

Ids = NDArray[np.int64]


@dataclass(frozen=True)
class TrialSpec:
    """Everything that the tasks of a trial share; it travels to child processes."""

    folder: Path  # of the trial
    corpus: Path  # the run's corpus/
    corpus_digest: str
    options: GanOptions
    shape: GanShape
    samples: int
    evaluate: EvaluateConfig
    features: dict[str, Any]  # the network that they come from, with its digest
    seed: int  # of the run
    device: str

    @property
    def gans(self) -> str:
        """The folder of GANs that are trained like this, however long, below that of the trial."""
        options = vars(self.options) | {"dtype": str(self.options.dtype)}
        del options["images"]
        facts = [ALGORITHM, self.corpus_digest, options, vars(self.shape)]
        return options_folder("gans", facts)


@dataclass(frozen=True)
class _Job:
    """One task by name: what a child needs to find its files."""

    arm: ArmCorpus
    number: int  # of the seed, from 0
    trained: str
    identity: str

    @property
    def name(self) -> str:
        return f"{self.arm.name}-{self.number}"


@dataclass(frozen=True)
class Trained:
    """What the GANs of a trial left."""

    gans: str  # folder of them, below that of the trial
    results: dict[str, list[dict[str, Any]]]  # arm -> the result of each seed
    failed: dict[str, str]  # other arms: why one of their GANs has none
    targets: Sequence[str] = ()  # of translations: the classes that are translated into
    twins: Mapping[str, str] = field(default_factory=dict)  # arms that were not trained: the arm
    # of the same corpus


def run_trial(
    spec: TrialSpec,
    arms: Sequence[ArmCorpus],
    seeds: int,
    *,
    processes: int,
    stopping: Callable[[], bool],
    progress: Progress,
) -> Trained:
    """Trains and judges. Seed by seed, so that an early stop leaves whole comparisons.

    processes: GANs that are trained at once here; more than one only on a CPU.

    Raises:
        ConfigError: too few held-out images, or features that cannot be had.
        Interrupted: `stopping()` became true; the same command goes on.
        ScoreMixError: a file of a GAN is damaged.
    """
    check_held_out(len(open_corpus(spec.corpus).reference))
    jobs = [_job(spec, arm, n) for n in range(seeds) for arm in arms]
    images = spec.options.steps * spec.options.batch

    def is_finished(job: _Job) -> bool:
        return _kept(spec, job) is not None

    with progress.task("trial", len(jobs) * images, "images") as advance:
        left = unfinished(jobs, is_finished, lambda _: images, advance)
        work_on_all(_work_on, spec, left, processes=processes, stopping=stopping, advance=advance)
    results = {
        arm.name: [_result(spec, job) for job in jobs if job.arm.name == arm.name] for arm in arms
    }
    failed = failures(results)
    whole = {arm: found for arm, found in results.items() if arm not in failed}
    return Trained(spec.gans, whole, failed)


def _job(spec: TrialSpec, arm: ArmCorpus, number: int) -> _Job:
    facts = [spec.gans, arm.digest, spec.seed, number]
    images = spec.options.images
    # Until when they are trained makes no difference to the updates before, but where rounds come.
    facts += [] if arm.rises is None else [ALGORITHM_OF_GROWING, vars(arm.rises), images]
    trained = canonical_digest(facts)
    judged_by = [images, spec.samples, spec.features, JUDGING_ALGORITHM]
    judged_by += ["mirrored copies"] if spec.options.flip else []
    identity = canonical_digest([trained, *judged_by])
    return _Job(arm, number, trained, identity)


def _folder(spec: TrialSpec, job: _Job) -> Path:
    return gan_folder(spec.folder, spec.gans, job.arm.name, job.number)


def _result(spec: TrialSpec, job: _Job) -> dict[str, Any]:
    found = _kept(spec, job)
    if found is None:
        raise LockedError(
            f"{_folder(spec, job) / result_name(job.identity)} was removed while the trial went on."
            " Run it again."
        )
    return found


def _kept(spec: TrialSpec, job: _Job) -> dict[str, Any] | None:
    return read_result(_folder(spec, job), job.identity, result_name(job.identity))


def _work_on(spec: TrialSpec, job: _Job, stopping: Callable[[], bool], advance: Advance) -> bool:
    """Trains and judges one GAN; False where another process does.

    On a CPU by one thread: a GAN is the same beside others and alone.
    """
    set_deterministic(torch.device(spec.device))
    with shard_lock(spec.folder, job.name) as mine, one_thread():
        if not mine:
            return False
        corpus, judge = _open(spec)
        conditional = spec.shape.classes > 0
        images, labels = job.arm.open()
        task = Task(
            folder=_folder(spec, job),
            trained=job.trained,
            identity=job.identity,
            images=images,
            labels=labels if conditional else None,
            real=Labelled.some(
                corpus.images, corpus.training_ids, corpus.training_rows, classes=conditional
            ),
            held_out=Labelled.some(
                corpus.reference,
                corpus.reference_ids,
                np.arange(len(corpus.reference)),
                classes=conditional,
            ),
            shape=spec.shape,
            options=spec.options,
            samples=spec.samples,
            seed=spec.seed * 1000 + job.number,
            rises=job.arm.rises,
        )
        run_task(task, judge, torch.device(spec.device), stopping, advance)
    return True


@functools.lru_cache(maxsize=1)
def _open_cached(corpus: Path, evaluate: str, seed: int, flips: bool) -> tuple[Corpus, Judge]:
    opened, options = open_corpus(corpus), EvaluateConfig.model_validate_json(evaluate)
    return opened, open_judge(options, opened, seed, flips=flips)


def _open(spec: TrialSpec) -> tuple[Corpus, Judge]:
    """The corpus and its judge, once a process."""
    evaluate = spec.evaluate.model_dump_json()
    return _open_cached(spec.corpus, evaluate, spec.seed, spec.options.flip)
