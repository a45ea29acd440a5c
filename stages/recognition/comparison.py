"""recognition: every arm with every seed, here or beside other processes on the same comparison.

A task is one recogniser. Whoever holds its lock trains it; its result is a file, so a comparison
that was stopped, or is worked on from several machines, ends with the same table.
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ...manifests.errors import LockedError
from ...manifests.files.atomic import canonical_digest
from ...manifests.files.lock import shard_lock
from ...models.network.device import one_thread, set_deterministic
from ..common.progress import Progress
from ..corpus.store import Corpus, open_corpus
from ..recognise.config import ALGORITHM, RecogniseConfig
from ..recognise.run import RecogniserOptions
from ..trial.arm_corpus import ArmCorpus
from ..trial.one import read_result
from ..trial.task_pool import work_on_all
from .judge import UnseenClasses
from .one import RecognitionTask, run_recognition_task


@dataclass(frozen=True)
class ComparisonSpec:
    """Everything that the tasks of a comparison share; it travels to child processes."""

    folder: Path  # of the comparison
    corpus: Path  # the run's corpus/
    corpus_digest: str
    unseen: Path | None  # a corpus/ of classes never seen
    unseen_digest: str | None
    config: RecogniseConfig  # resolved
    updates: int  # of every recogniser, whatever its arm
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


@dataclass(frozen=True)
class _RecognitionJob:
    """One task by name: what a child needs to find its files."""

    arm: ComparedCorpus
    number: int  # of the seed, from 0
    identity: str

    @property
    def name(self) -> str:
        return f"{self.arm.name}-{self.number}"


def compare_recognition(
    spec: ComparisonSpec,
    arms: Sequence[ComparedCorpus],
    seeds: int,
    *,
    processes: int,
    stopping: Callable[[], bool],
    progress: Progress,
) -> dict[str, list[dict[str, Any]]]:
    """Arm -> the result of each seed. Seed by seed, so that an early stop leaves whole comparisons.

    processes: recognisers that are trained at once here; more than one only on a CPU.

    Raises:
        ConfigError: unseen classes that cannot be verified on, or a side of no recogniser.
        Interrupted: `stopping()` became true; the same command goes on.
        ScoreMixError: a loss is not finite, or a state is damaged.
    """
    jobs = [_RecognitionJob(arm, n, _identity(spec, arm, n)) for n in range(seeds) for arm in arms]
    total = len(jobs) * spec.updates * spec.config.batch
    with progress.task("recognition", total, "images") as advance:
        work_on_all(_work_on, spec, jobs, processes=processes, stopping=stopping, advance=advance)
    return {
        arm.name: [_result(spec, job) for job in jobs if job.arm.name == arm.name] for arm in arms
    }


def _options_of(spec: ComparisonSpec, arm: ComparedCorpus) -> RecogniserOptions:
    return RecogniserOptions(spec.config.model_copy(update={"affine": arm.affine}), spec.updates)


def _identity(spec: ComparisonSpec, arm: ComparedCorpus, number: int) -> str:
    """Names everything that a task's result depends on."""
    options = _options_of(spec, arm)
    judged = [spec.unseen_digest, spec.pairs, spec.episodes, spec.resamples]
    facts = [ALGORITHM, arm.corpus.digest, arm.classes, spec.corpus_digest, options.updates]
    return canonical_digest([*facts, options.config.training_inputs(), judged, spec.seed, number])


def _folder(spec: ComparisonSpec, job: _RecognitionJob) -> Path:
    return spec.folder / "recognisers" / job.arm.name / f"seed-{job.number}"


def _result(spec: ComparisonSpec, job: _RecognitionJob) -> dict[str, Any]:
    found = read_result(_folder(spec, job), job.identity)
    if found is None:
        raise LockedError(
            f"{_folder(spec, job)} was replaced by a comparison with other options meanwhile. Run"
            " one after the other."
        )
    return found


def _work_on(
    spec: ComparisonSpec,
    job: _RecognitionJob,
    stopping: Callable[[], bool],
    advance: Callable[[int], None],
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
            folder=_folder(spec, job),
            identity=job.identity,
            images=images,
            labels=labels,
            classes=job.arm.classes,
            options=_options_of(spec, job.arm),
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
