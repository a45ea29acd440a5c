"""recognition: every arm with every seed, here or beside other processes on the same comparison.

A task is one recogniser. Whoever holds its lock trains it; its result is a file, so a comparison
that was stopped, or is worked on from several machines, ends with the same table.
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ...manifests.errors import LockedError
from ...manifests.files.atomic import canonical_digest
from ...manifests.files.lock import shard_lock
from ...models.network.device import one_thread, set_deterministic
from ..common.progress import Advance, Progress
from ..corpus.store import Corpus, open_corpus
from ..recognise.config import ALGORITHM, RecogniseConfig
from ..recognise.run import RecogniserOptions
from ..trial.arm_corpus import ArmCorpus
from ..trial.one import failures, options_folder, read_result
from ..trial.task_pool import unfinished, work_on_all
from .config import Length
from .judge import UnseenClasses
from .one import RecognitionTask, run_recognition_task

JUDGED = 1  # raised whenever a result has other figures: states are kept, and judged again


@dataclass(frozen=True)
class ComparisonSpec:
    """Everything that the tasks of a comparison share; it travels to child processes."""

    folder: Path  # of the comparison
    corpus: Path  # the run's corpus/
    corpus_digest: str
    unseen: Path | None  # a corpus/ of classes never seen
    unseen_digest: str | None
    config: RecogniseConfig  # resolved
    real: int  # labelled training images, with which every arm begins
    length: Length  # what all arms have in common
    pairs: int
    episodes: int
    resamples: int
    seed: int  # of the run
    device: str


@dataclass(frozen=True)
class ComparedCorpus:
    """The images of an arm on disk, and how its recognisers change them."""

    name: str
    corpus: ArmCorpus
    classes: int  # real ones and new ones
    affine: bool
    twice: bool = False  # trained for twice as many updates


@dataclass(frozen=True)
class _RecognitionJob:
    """One task by name: what a child needs to find its files."""

    arm: ComparedCorpus
    number: int  # of the seed, from 0
    options: RecogniserOptions
    folder: Path
    trained: str
    identity: str

    @property
    def name(self) -> str:
        return f"{self.arm.name}-{self.number}"


@dataclass(frozen=True)
class Compared:
    """What the recognisers of a comparison left."""

    results: dict[str, list[dict[str, Any]]]  # arm -> the result of each seed
    failed: dict[str, str]  # other arms: why one of their recognisers has none

    @classmethod
    def of(cls, results: dict[str, list[dict[str, Any]]]) -> "Compared":
        """Arms of which a recogniser failed are left out of the results."""
        failed = failures(results)
        return cls({arm: found for arm, found in results.items() if arm not in failed}, failed)


def compare_recognition(
    spec: ComparisonSpec,
    arms: Sequence[ComparedCorpus],
    seeds: int,
    *,
    processes: int,
    stopping: Callable[[], bool],
    progress: Progress,
) -> Compared:
    """Trains and judges. Seed by seed, so that an early stop leaves whole comparisons.

    processes: recognisers that are trained at once here; more than one only on a CPU.

    Raises:
        ConfigError: unseen classes that cannot be verified on, or a side of no recogniser.
        Interrupted: `stopping()` became true; the same command goes on.
        ScoreMixError: a state is damaged.
    """
    jobs = [_job(spec, arm, n) for n in range(seeds) for arm in arms]

    def is_finished(job: _RecognitionJob) -> bool:
        return read_result(job.folder, job.identity) is not None

    def images(job: _RecognitionJob) -> int:
        return job.options.updates * spec.config.batch

    with progress.task("recognition", sum(map(images, jobs)), "images") as advance:
        left = unfinished(jobs, is_finished, images, advance)
        work_on_all(_work_on, spec, left, processes=processes, stopping=stopping, advance=advance)
    results = {arm.name: [_result(job) for job in jobs if job.arm.name == arm.name] for arm in arms}
    return Compared.of(results)


def real_share(labels: NDArray[np.int64], real: int) -> float:
    """The share of real images among those that a recogniser sees, classes being drawn first.

    labels: of an arm's images, of which the first `real` are real.
    """
    classes, place = np.unique(labels, return_inverse=True)
    every = np.bincount(place, minlength=len(classes))
    mine = np.bincount(place[:real], minlength=len(classes))
    return float(np.mean(mine / every))


def options_of(spec: ComparisonSpec, arm: ComparedCorpus) -> RecogniserOptions:
    """How an arm's recognisers are trained, and for how long."""
    config = spec.config.model_copy(update={"affine": arm.affine})
    options = RecogniserOptions.over(config, spec.real)
    if arm.twice:
        return replace(options, updates=2 * options.updates)
    if spec.length == "updates":
        return options
    share = real_share(arm.corpus.open()[1], spec.real)
    return replace(options, updates=round(options.updates / share))


def passes_of(spec: ComparisonSpec, arm: ComparedCorpus) -> float:
    """How often an arm's recognisers see each real image, the mean over these."""
    seen = options_of(spec, arm).updates * spec.config.batch
    return seen * real_share(arm.corpus.open()[1], spec.real) / spec.real


def _job(spec: ComparisonSpec, arm: ComparedCorpus, number: int) -> _RecognitionJob:
    options = options_of(spec, arm)
    facts = [ALGORITHM, arm.corpus.digest, arm.classes, spec.corpus_digest, options.updates]
    facts += [options.config.training_inputs(), spec.seed]
    folder = spec.folder / options_folder(f"recognisers/{arm.name}", facts) / f"seed-{number}"
    trained = canonical_digest([*facts, number])
    judged = [JUDGED, spec.unseen_digest, spec.pairs, spec.episodes, spec.resamples]
    return _RecognitionJob(
        arm, number, options, folder, trained, canonical_digest([trained, judged])
    )


def _result(job: _RecognitionJob) -> dict[str, Any]:
    found = read_result(job.folder, job.identity)
    if found is None:
        raise LockedError(
            f"{job.folder} was judged by a comparison with other options meanwhile. Run one after"
            " the other."
        )
    return found


def _work_on(
    spec: ComparisonSpec,
    job: _RecognitionJob,
    stopping: Callable[[], bool],
    advance: Advance,
) -> bool:
    """Trains and judges one recogniser; False where another process does.

    On a CPU by one thread: a recogniser is the same beside others and alone.
    """
    device = torch.device(spec.device)
    set_deterministic(device)
    with shard_lock(spec.folder, job.name) as mine, one_thread():
        if not mine:
            return False
        corpus, unseen = _opened(spec)
        images, labels = job.arm.corpus.open()
        task = RecognitionTask(
            folder=job.folder,
            trained=job.trained,
            identity=job.identity,
            images=images,
            labels=labels,
            classes=job.arm.classes,
            options=job.options,
            corpus=corpus,
            unseen=unseen,
            seed=spec.seed * 1000 + job.number,
        )
        run_recognition_task(task, device, stopping, advance)
    return True


@functools.lru_cache(maxsize=1)
def _opened(spec: ComparisonSpec) -> tuple[Corpus, UnseenClasses | None]:
    """The corpus and the unseen classes, once a process."""
    corpus = open_corpus(spec.corpus)
    if spec.unseen is None:
        return corpus, None
    unseen = open_corpus(spec.unseen)
    return corpus, UnseenClasses.of(unseen, spec.pairs, spec.episodes, spec.resamples)
