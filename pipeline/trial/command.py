"""A trial with the user's own trainer: each arm as shards, exported, trained on, judged."""

import json
import queue
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
from ...manifests.files.durable import make_folder, remove_tree
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


@dataclass(frozen=True)
class _Setting:
    """What all GANs of a trial share."""

    trainer: ChosenTrainer
    run: FinishedRun
    config: TrialConfig
    folder: Path
    facts: dict[str, dict[str, Any]]  # arm -> placeholders of its command
    data: dict[str, Path]  # arm -> its corpus in the trainer's layout
    judges: Judges
    stopping: Callable[[], bool]


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
    data = {each.arm.name: _exported(each, trainer, folder, stopping, progress) for each in corpora}
    setting = _Setting(trainer, run, config, folder, facts, data, judges, stopping)
    found, failed = _train_all(setting, corpora, processes, progress)
    seeds = range(config.seeds)
    results = {
        arm.name: [found[arm.name, number] for number in seeds]
        for arm in arms
        if arm.name not in failed
    }
    return CommandTrial(results, failed), {each.arm.name: each.count for each in corpora}


def _train_all(
    setting: _Setting, corpora: Sequence[ShardCorpus], processes: int, progress: Progress
) -> tuple[dict[tuple[str, int], dict[str, Any]], dict[str, str]]:
    """(arm, seed) -> result, and arm -> why it has none. Waits for GANs of other processes."""
    found: dict[tuple[str, int], dict[str, Any]] = {}
    failed: dict[str, str] = {}
    places: queue.SimpleQueue[int] = queue.SimpleQueue()
    for place in range(processes):
        places.put(place)

    def work(corpus: ShardCorpus, number: int) -> bool:
        """Whether it is done; False where another process holds it."""
        name, place = corpus.arm.name, places.get()
        try:
            result = _one(setting, corpus, number, place)
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

    tasks = [(corpus, number) for number in range(setting.config.seeds) for corpus in corpora]
    with progress.task("trial", len(tasks), "GANs") as advance:
        while tasks:
            tasks = _in_threads(work, tasks, processes)
            if tasks:  # others work on them
                pause(OTHERS, setting.stopping)
    return found, failed


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


def _one(setting: _Setting, corpus: ShardCorpus, seed: int, place: int) -> dict[str, Any] | None:
    """One GAN: its result as it was kept, or trained and judged; None: another process does."""
    trainer, name = setting.trainer, corpus.arm.name
    folder = setting.folder / "gans" / name / f"seed-{seed}"
    identity = _identity(setting, corpus, seed)
    with shard_lock(setting.folder, f"{name}-{seed}") as mine:
        if not mine:
            return None
        kept = read_result(folder, identity)
        if kept is not None:
            return kept
        call = TrainerCall(
            template=trainer.template,
            data=setting.data[name],
            out=folder / "out",
            seed=seed,
            gpu=place,
            minutes=setting.config.minutes,
            facts=setting.facts[name] | trainer.places,
        )
        remove_tree(call.out)
        make_folder(call.out)
        run_trainer(call, folder / _LOG, setting.stopping)
        try:
            with _JUDGING:
                snapshots = _judged(setting, call.out / trainer.generated, folder)
        except (ConfigError, InputError, ValueError) as error:
            raise TrainerFailed(f"it left nothing that can be judged: {error}") from error
        result = {"identity": identity, "seed": seed, "snapshots": snapshots}
        write_json(folder / RESULT, result)
        return dict(json.loads((folder / RESULT).read_bytes()))


def _identity(setting: _Setting, corpus: ShardCorpus, seed: int) -> str:
    """Names everything that a result depends on."""
    trainer, config, run = setting.trainer, setting.config, setting.run
    options = [trainer.template, config.trainer, trainer.generated, config.samples]
    more = [] if trainer.preset is None else [setting.facts[corpus.arm.name], trainer.scripts]
    made_of = [corpus.digest, corpus.ratio, *options, *more, seed, run.corpus.digest]
    features = next(iter(setting.judges.values())).features
    return canonical_digest([*made_of, run.config.seed, features])


def _open_judges(trainer: ChosenTrainer, run: FinishedRun) -> Judges:
    """The judge of all samples; of a translation one for each class that it translates into.

    A GAN that translates nothing would look perfect beside the images of all classes.
    """
    targets: list[int | None] = [None]
    if trainer.preset is not None and trainer.preset.translates:
        targets = [1] if trainer.spec.target == "unpaired" else [*range(len(run.corpus.classes))]
    evaluate, seed = run.config.evaluate, run.config.seed
    return {target: open_judge(evaluate, run.corpus, seed, target) for target in targets}


def _judged(setting: _Setting, place: Path, folder: Path) -> list[dict[str, Any]]:
    """The figures of every set of samples, in order; means over the classes of a translation.

    Some samples of the best set are kept in `folder`.
    """
    if setting.trainer.preset is None:
        found = find_sets(place, None, tuple(setting.run.corpus.classes))
    else:
        found = _numbered(place)
    snapshots: list[dict[str, Any]] = []
    share = KEPT_SAMPLES // len(setting.judges)
    for number, one in enumerate(found, start=1):
        measured, made = [], []
        for target, judge in setting.judges.items():
            part = one.path if target is None else one.path / f"to-{target}"
            measures, some = _measured(SampleSet(one.name, part), setting, judge)
            measured.append(measures)
            made.append(some[:share])
        figures = {name: fmean(each[name] for each in measured) for name in measured[0]}
        at: dict[str, Any] = {"step": number, "name": one.name}
        if setting.trainer.preset is not None:
            at["images"] = int(one.name)
        snapshots.append(at | round_floats(figures))
        if best_snapshot(snapshots) is snapshots[-1]:
            keep_samples(folder, np.concatenate(made))
    return snapshots


def _numbered(place: Path) -> list[SampleSet]:
    """What a preset leaves: folders or .npz files, named by the images shown."""
    found = [path for path in place.iterdir() if path.stem.isdecimal()] if place.is_dir() else []
    if not found:
        raise InputError(f"{place} holds no samples, which the preset should leave there.")
    return [SampleSet(path.stem, path) for path in sorted(found, key=lambda path: int(path.stem))]


def _measured(
    samples: SampleSet, setting: _Setting, judge: Judge
) -> tuple[dict[str, float], NDArray[np.uint8]]:
    """The figures of a set, and some of its samples."""
    run, shape = setting.run, setting.run.corpus.images.shape
    with open_samples(
        samples,
        run.config.ingest.preparation(shape[1], gray=shape[3] == 1),
        most=setting.config.samples,
        seed=run.config.seed,
        scratch=RunFolder(run.folder).internal,
        progress=Silent(),
        single=setting.trainer.preset is not None,
    ) as opened:
        return judge.measure(opened.images), np.array(opened.images[:KEPT_SAMPLES])
