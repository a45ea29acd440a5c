"""A trial with the user's own trainer: each arm as shards, exported, trained on, judged."""

import contextlib
import json
import queue
import shutil
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...manifests.errors import ConfigError, InputError
from ...manifests.files.atomic import canonical_digest, write_json
from ...manifests.files.lock import shard_lock
from ...manifests.run_folder import RunFolder
from ...stages.common.progress import Progress, Silent
from ...stages.evaluate.number_format import round_floats
from ...stages.export.export import ExportConfig, export
from ...stages.gan_samples.read import open_samples
from ...stages.gan_samples.sets import find_sets
from ...stages.trial.arms import Arm
from ...stages.trial.command import TrainerCall, TrainerFailed, run_trainer
from ...stages.trial.config import TrialConfig
from ...stages.trial.judge import Judge, best_snapshot, open_judge
from ...stages.trial.locks import OTHERS, pause, waiting_lock
from ...stages.trial.one import RESULT, keep_samples, read_result
from ..finished_run import FinishedRun
from .arms import ShardCorpus, arm_lock, shard_corpus

_LOG = "trainer.log"
_JUDGING = threading.Lock()  # decoding starts processes, which is no work for several threads


@dataclass(frozen=True)
class CommandTrial:
    """What its GANs left: results of arms that all seeds finished, and why others did not."""

    results: dict[str, list[dict[str, Any]]]
    failed: dict[str, str]  # arm -> reason


def trial_by_command(
    run: FinishedRun,
    arms: Sequence[Arm],
    config: TrialConfig,
    folder: Path,
    *,
    device: str,
    processes: int,
    stopping: Callable[[], bool],
    progress: Progress,
) -> tuple[CommandTrial, dict[str, int]]:
    """Runs `trial.command` for every arm and seed; gives also how many images an arm has.

    processes: commands at once; {gpu} is the number of the place, from 0.

    Raises:
        ConfigError: a trainer that cannot read this corpus, an arm that cannot be made, features.
        Interrupted: a stop was asked for; GANs that are finished are kept.
    """
    judge = open_judge(run.config.evaluate, run.corpus, run.config.seed)
    corpora = [shard_corpus(run, arm, folder, device, stopping, progress) for arm in arms]
    data = {
        corpus.arm.name: _exported(corpus, config, folder, stopping, progress) for corpus in corpora
    }
    found: dict[tuple[str, int], dict[str, Any]] = {}
    failed: dict[str, str] = {}
    places: queue.SimpleQueue[int] = queue.SimpleQueue()
    for place in range(processes):
        places.put(place)

    def work(corpus: ShardCorpus, number: int) -> bool:
        """Whether it is done; False where another process holds it."""
        name, place = corpus.arm.name, places.get()
        try:
            out = folder / "gans" / name / f"seed-{number}" / "out"
            template, minutes = config.command or "", config.minutes
            call = TrainerCall(template, data[name], out, number, place, minutes)
            result = _one(call, corpus, run, config, judge, stopping)
            if result is None:
                return False
            found[name, number] = result
        except TrainerFailed as error:
            failed[name] = f"seed {number}: {error}"
            progress.note(f"trial: {name} failed, {failed[name]}")
        finally:
            places.put(place)
        advance(1)
        return True

    tasks = [(corpus, number) for number in range(config.seeds) for corpus in corpora]
    with progress.task("trial", len(tasks), "GANs") as advance:
        while tasks:
            tasks = _in_threads(work, tasks, processes)
            if tasks:  # others work on them
                pause(OTHERS, stopping)
    seeds = range(config.seeds)
    results = {
        arm.name: [found[arm.name, number] for number in seeds]
        for arm in arms
        if arm.name not in failed
    }
    return CommandTrial(results, failed), {each.arm.name: each.count for each in corpora}


def _in_threads(
    work: Callable[[ShardCorpus, int], bool],
    tasks: Sequence[tuple[ShardCorpus, int]],
    processes: int,
) -> list[tuple[ShardCorpus, int]]:
    """Works on the tasks, several at once; gives those that another process holds."""
    with ThreadPoolExecutor(processes, "trial") as pool:
        futures = [pool.submit(work, *task) for task in tasks]
        try:
            done = [future.result() for future in futures]
        finally:
            pool.shutdown(cancel_futures=True)
    return [task for task, finished in zip(tasks, done, strict=True) if not finished]


def _exported(
    corpus: ShardCorpus,
    config: TrialConfig,
    folder: Path,
    stopping: Callable[[], bool],
    progress: Progress,
) -> Path:
    """The arm in the trainer's layout."""
    options = ExportConfig(
        to=None if config.trainer else "imagefolder",
        trainer=config.trainer,
        ratio=corpus.ratio,
        overwrite=True,
    )
    with waiting_lock(folder, arm_lock(corpus.arm), stopping):
        out = folder / "data" / corpus.arm.name
        return export(corpus.shards, out, options, progress=progress).out


def _one(
    call: TrainerCall,
    corpus: ShardCorpus,
    run: FinishedRun,
    config: TrialConfig,
    judge: Judge,
    stopping: Callable[[], bool],
) -> dict[str, Any] | None:
    """One GAN: its result as it was kept, or trained and judged; None: another process does."""
    options = [config.command, config.trainer, config.generated, config.samples]
    made_of = [corpus.digest, corpus.ratio, *options, call.seed, run.corpus.digest]
    identity = canonical_digest([*made_of, run.config.seed, judge.features])
    folder = call.out.parent
    with shard_lock(RunFolder(run.folder).trial, f"{corpus.arm.name}-{call.seed}") as mine:
        if not mine:
            return None
        kept = read_result(folder, identity)
        if kept is not None:
            return kept
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(call.out)
        call.out.mkdir(parents=True)
        run_trainer(call, folder / _LOG, stopping)
        try:
            with _JUDGING:
                snapshots = _judged(call.out / config.generated, folder, run, config, judge)
        except (ConfigError, InputError, ValueError) as error:
            raise TrainerFailed(f"it left nothing that can be judged: {error}") from error
        result = {"identity": identity, "seed": call.seed, "snapshots": snapshots}
        write_json(folder / RESULT, result)
        return dict(json.loads((folder / RESULT).read_bytes()))


def _judged(
    place: Path, folder: Path, run: FinishedRun, config: TrialConfig, judge: Judge
) -> list[dict[str, Any]]:
    """The figures of every set of samples, in order; some of the best set are kept in `folder`."""
    corpus, shape = run.corpus, run.corpus.images.shape
    preparation = run.config.ingest.preparation(shape[1], gray=shape[3] == 1)
    snapshots: list[dict[str, Any]] = []
    for number, one in enumerate(find_sets(place, None, tuple(corpus.classes)), start=1):
        with open_samples(
            one,
            preparation,
            most=config.samples,
            seed=run.config.seed,
            scratch=RunFolder(run.folder).internal,
            progress=Silent(),
        ) as samples:
            figures = round_floats(judge.measure(samples.images))
            snapshots.append({"step": number, "name": one.name, **figures})
            if best_snapshot(snapshots) is snapshots[-1]:
                keep_samples(folder, np.asarray(samples.images))
    return snapshots
