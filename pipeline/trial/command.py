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
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...manifests.errors import ConfigError, InputError
from ...manifests.files.atomic import canonical_digest, write_json
from ...manifests.files.lock import shard_lock
from ...manifests.run_folder import RunFolder
from ...stages.common.progress import Progress, Silent
from ...stages.evaluate.number_format import round_floats
from ...stages.export.export import ExportConfig, export
from ...stages.gan_samples.read import open_samples
from ...stages.gan_samples.sets import SampleSet, find_sets
from ...stages.trial.arms import Arm
from ...stages.trial.command import TrainerCall, TrainerFailed, run_trainer
from ...stages.trial.config import TrialConfig
from ...stages.trial.judge import Judge, best_snapshot, open_judge
from ...stages.trial.locks import OTHERS, pause, waiting_lock
from ...stages.trial.one import KEPT_SAMPLES, RESULT, keep_samples, read_result
from ..finished_run import FinishedRun
from .arms import ShardCorpus, arm_lock, shard_corpus
from .trainer import ChosenTrainer, facts_of

Judges = dict[int | None, Judge]  # class -> its judge; None: of all images

_LOG = "trainer.log"
_JUDGING = threading.Lock()  # decoding starts processes, which is no work for several threads


@dataclass(frozen=True)
class CommandTrial:
    """What its GANs left: results of arms that all seeds finished, and why others did not."""

    results: dict[str, list[dict[str, Any]]]
    failed: dict[str, str]  # arm -> reason


def trial_by_command(
    trainer: ChosenTrainer,
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
    """Runs the trainer's command for every arm and seed; gives also how many images an arm has.

    processes: commands at once; {gpu} is the number of the place, from 0.

    Raises:
        ConfigError: a trainer that cannot read this corpus, an arm that cannot be made, features.
        Interrupted: a stop was asked for; GANs that are finished are kept.
    """
    facts = facts_of(trainer, run, arms, config)
    judges = _open_judges(trainer, run)
    corpora = [shard_corpus(run, arm, folder, device, stopping, progress) for arm in arms]
    data = {
        corpus.arm.name: _exported(corpus, trainer, folder, stopping, progress)
        for corpus in corpora
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
            placeholders = facts[name] | trainer.places
            call = TrainerCall(
                trainer.template, data[name], out, number, place, config.minutes, placeholders
            )
            made_of = [corpus.digest, corpus.ratio, *_options(trainer, facts[name], config)]
            result = _one(call, made_of, run, config, trainer, judges, stopping)
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
    trainer: ChosenTrainer,
    folder: Path,
    stopping: Callable[[], bool],
    progress: Progress,
) -> Path:
    """The arm in the trainer's layout."""
    options = ExportConfig(
        to=trainer.spec.target,
        trainer=trainer.spec.trainer or None,
        ratio=corpus.ratio,
        overwrite=True,
    )
    with waiting_lock(folder, arm_lock(corpus.arm), stopping):
        out = folder / "data" / corpus.arm.name
        return export(corpus.shards, out, options, progress=progress).out


def _options(
    trainer: ChosenTrainer, facts: dict[str, Any], config: TrialConfig
) -> list[str | int | dict[str, Any] | None]:
    """What a result depends on beside the corpora and the seed."""
    return [
        trainer.template,
        config.trainer,
        trainer.generated,
        config.samples,
        *([] if trainer.preset is None else [facts, trainer.scripts]),
    ]


def _one(
    call: TrainerCall,
    made_of: list[Any],
    run: FinishedRun,
    config: TrialConfig,
    trainer: ChosenTrainer,
    judges: Judges,
    stopping: Callable[[], bool],
) -> dict[str, Any] | None:
    """One GAN: its result as it was kept, or trained and judged; None: another process does."""
    made_of = [*made_of, call.seed, run.corpus.digest, run.config.seed]
    folder, features = call.out.parent, next(iter(judges.values())).features
    identity = canonical_digest([*made_of, features])
    with shard_lock(RunFolder(run.folder).trial, f"{folder.parent.name}-{call.seed}") as mine:
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
                place = call.out / trainer.generated
                snapshots = _judged(place, folder, run, config, trainer, judges)
        except (ConfigError, InputError, ValueError) as error:
            raise TrainerFailed(f"it left nothing that can be judged: {error}") from error
        result = {"identity": identity, "seed": call.seed, "snapshots": snapshots}
        write_json(folder / RESULT, result)
        return dict(json.loads((folder / RESULT).read_bytes()))


def _open_judges(trainer: ChosenTrainer, run: FinishedRun) -> Judges:
    """The judge of all samples; of a translation one for each class that it translates into.

    A GAN that translates nothing would look perfect beside the images of all classes.
    """
    targets: list[int | None] = [None]
    if trainer.preset is not None and trainer.preset.translates:
        targets = [1] if trainer.spec.target == "unpaired" else [*range(len(run.corpus.classes))]
    evaluate, seed = run.config.evaluate, run.config.seed
    return {target: open_judge(evaluate, run.corpus, seed, target) for target in targets}


def _judged(
    place: Path,
    folder: Path,
    run: FinishedRun,
    config: TrialConfig,
    trainer: ChosenTrainer,
    judges: Judges,
) -> list[dict[str, Any]]:
    """The figures of every set of samples, in order; means over the classes of a translation.

    Some samples of the best set are kept in `folder`.
    """
    preset = trainer.preset
    named = (
        find_sets(place, None, tuple(run.corpus.classes)) if preset is None else _numbered(place)
    )
    snapshots: list[dict[str, Any]] = []
    for number, one in enumerate(named, start=1):
        sets = {
            target: one if target is None else SampleSet(one.name, one.path / f"to-{target}")
            for target in judges
        }
        measured = [_measured(sets[target], run, config, judges[target]) for target in judges]
        found = [figures for figures, _ in measured]
        figures = {name: fmean(each[name] for each in found) for name in found[0]}
        at = {"step": number, "name": one.name}
        if preset is not None:
            at["images"] = int(one.name)
        snapshots.append(at | round_floats(figures))
        if best_snapshot(snapshots) is snapshots[-1]:
            share = KEPT_SAMPLES // len(measured)
            keep_samples(folder, np.concatenate([made[:share] for _, made in measured]))
    return snapshots


def _numbered(place: Path) -> list[SampleSet]:
    """What a preset leaves: folders or .npz files, named by the images shown."""
    found = [path for path in place.iterdir() if path.stem.isdecimal()] if place.is_dir() else []
    if not found:
        raise InputError(f"{place} holds no samples, which the preset should leave there.")
    return [SampleSet(path.stem, path) for path in sorted(found, key=lambda path: int(path.stem))]


def _measured(
    samples: SampleSet, run: FinishedRun, config: TrialConfig, judge: Judge
) -> tuple[dict[str, float], NDArray[np.uint8]]:
    """The figures of a set, and some of its samples."""
    shape = run.corpus.images.shape
    with open_samples(
        samples,
        run.config.ingest.preparation(shape[1], gray=shape[3] == 1),
        most=config.samples,
        seed=run.config.seed,
        scratch=RunFolder(run.folder).internal,
        progress=Silent(),
    ) as opened:
        return judge.measure(opened.images), np.array(opened.images[:KEPT_SAMPLES])
