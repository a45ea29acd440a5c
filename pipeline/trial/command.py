"""A trial with the user's own trainer: each arm as shards, exported, trained on, judged."""

import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...manifests.errors import ConfigError, InputError, LockedError
from ...manifests.files.atomic import canonical_digest, write_json
from ...manifests.files.durable import make_folder, remove_file, remove_tree
from ...manifests.files.json_reader import parse_json
from ...manifests.files.lock import shard_lock
from ...manifests.foreign_text import first_names
from ...stages.common.progress import Progress
from ...stages.export.export import ExportConfig, export
from ...stages.trial.arms import Arm, twins_of
from ...stages.trial.command import (
    TrainerCall,
    TrainerFailed,
    placeholders_of,
    run_trainer,
)
from ...stages.trial.config import TrialConfig
from ...stages.trial.judge import JUDGING_ALGORITHM
from ...stages.trial.locks import waiting_lock
from ...stages.trial.one import gan_folder, options_folder, read_result, result_name
from ...stages.trial.task_pool import run_all_commands
from ...stages.trial.trial import Trained
from ..finished_run import FinishedRun
from ..trial_trainer import ChosenTrainer, facts_of
from .arms import ShardCorpus, arm_lock, check_unchanged, shard_corpus
from .judging import SampleJudge, knows_flips, open_sample_judge

_LOG = "trainer.log"
_LISTED = 5  # names in an error
_TRAINED = "trained.json"  # the identity of a GAN whose command has ended well
_JUDGING = threading.Lock()  # decoding starts processes, which is no work for several threads


@dataclass(frozen=True)
class _Setting:
    """What all GANs of a trial share."""

    trainer: ChosenTrainer
    run: FinishedRun
    config: TrialConfig
    folder: Path
    facts: dict[str, dict[str, Any]]  # arm -> placeholders of its command
    data: dict[str, Path]  # arm -> its corpus in the trainer's layout
    judge: SampleJudge
    stopping: Callable[[], bool]

    @property
    def gans(self) -> str:
        """The folder of the GANs that are trained like this, below that of the trial."""
        return gans_of(self.trainer, self.config)


def gans_of(trainer: ChosenTrainer, config: TrialConfig) -> str:
    """The folder of the GANs that a command trains with these options, below that of the trial."""
    facts: list[Any] = [trainer.template, config.trainer]
    if trainer.preset is None:
        facts += [config.images] if {"images", "epochs"} & placeholders_of(trainer.template) else []
    else:
        facts += [trainer.scripts, config.images, config.snapshot_every, config.samples]
    return options_folder("gans", facts)


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
) -> tuple[Trained, dict[str, int]]:
    """Runs the trainer's command for every arm and seed; gives also how many images an arm has.

    processes: commands at once; {gpu} is the number of the place, from 0.

    Raises:
        ConfigError: a trainer that cannot read this corpus, an arm that cannot be made, features.
        Interrupted: a stop was asked for; GANs that are finished are kept.
    """
    facts = facts_of(trainer, run.corpus, arms, config)
    judge = open_sample_judge(trainer, run, config)
    corpora = [shard_corpus(run, arm, folder, device, stopping, progress) for arm in arms]
    twins = twins_of({each.arm.name: each.digest for each in corpora})
    corpora = [each for each in corpora if each.arm.name not in twins]
    data = {each.arm.name: _exported(each, trainer, folder, stopping, progress) for each in corpora}
    setting = _Setting(trainer, run, config, folder, facts, data, judge, stopping)
    found, failed = _train_all(setting, corpora, processes, progress)
    seeds = range(config.seeds)
    results = {
        each.arm.name: [found[each.arm.name, number] for number in seeds]
        for each in corpora
        if each.arm.name not in failed
    }
    return Trained(setting.gans, results, failed, judge.targets, twins), {
        each.arm.name: each.count for each in corpora
    }


def _train_all(
    setting: _Setting, corpora: Sequence[ShardCorpus], processes: int, progress: Progress
) -> tuple[dict[tuple[str, int], dict[str, Any]], dict[str, str]]:
    """(arm, seed) -> result, and arm -> why it has none. Waits for GANs of other processes."""
    by_name = {corpus.arm.name: corpus for corpus in corpora}
    tasks = [(name, number) for number in range(setting.config.seeds) for name in by_name]

    def run(task: tuple[str, int], place: int) -> dict[str, Any] | None:
        return _one(setting, by_name[task[0]], task[1], place, progress)

    with progress.task("trial", len(tasks), "GANs") as advance:
        return run_all_commands(
            run,
            tasks,
            processes=processes,
            stopping=setting.stopping,
            advance=advance,
            failing=lambda arm, why: progress.note(f"trial: {arm} failed, {why}"),
        )


def _exported(
    corpus: ShardCorpus,
    trainer: ChosenTrainer,
    folder: Path,
    stopping: Callable[[], bool],
    progress: Progress,
) -> Path:
    """The arm in the trainer's layout.

    Raises LockedError where another trial has made the arm of other images meanwhile.
    """
    options = ExportConfig(
        to=trainer.spec.target,
        trainer=trainer.spec.trainer or None,
        ratio=corpus.ratio,
        overwrite=True,
    )
    with waiting_lock(folder, arm_lock(corpus.arm), stopping):
        check_unchanged(corpus)
        if not _holds(folder, corpus):
            remove_file(_data_record(folder, corpus))
        out = export(
            corpus.shards, folder / "data" / corpus.arm.name, options, progress=progress
        ).out
        write_json(_data_record(folder, corpus), _data_facts(corpus))
    return out


def _data_record(folder: Path, corpus: ShardCorpus) -> Path:
    """What an arm in its trainer's layout is made of; not there while it is being replaced."""
    return folder / "data" / f"{corpus.arm.name}.json"


def _data_facts(corpus: ShardCorpus) -> dict[str, Any]:
    return {"corpus": corpus.digest, "ratio": corpus.ratio}


def _holds(folder: Path, corpus: ShardCorpus) -> bool:
    """Whether what lies in the trainer's layout is this corpus."""
    try:
        found = parse_json(_data_record(folder, corpus).read_bytes())
    except (OSError, ValueError):
        return False
    return bool(found == _data_facts(corpus))


def _one(
    setting: _Setting, corpus: ShardCorpus, seed: int, place: int, progress: Progress
) -> dict[str, Any] | None:
    """One GAN: its result as it was kept, or trained and judged; None: another process does."""
    trainer, name = setting.trainer, corpus.arm.name
    folder = gan_folder(setting.folder, setting.gans, name, seed)
    trained = _trained(setting, corpus, seed)
    identity = _identity(setting, trained)
    with shard_lock(setting.folder, f"{name}-{seed}") as mine:
        if not mine:
            return None
        kept = read_result(folder, identity, result_name(identity))
        if kept is not None and kept.get("translation") == setting.judge.translation:
            return kept
        out, begin = folder / "out", {"identity": identity, "seed": seed}
        if read_result(folder, trained, _TRAINED) is not None:  # at most judged otherwise
            if kept is not None and not setting.judge.place(out).exists():
                progress.note(
                    f"trial: {out} was removed, so that pairs of {name} stay as they were"
                )
                return kept
            if _has_files(out):
                return _judge(setting, folder, begin)
            raise TrainerFailed(
                f"its samples in {out} were removed, so that it cannot be judged by"
                f" {setting.judge.features.get('name')}. Delete {folder} to train it anew."
            )
        call = TrainerCall(
            template=trainer.template,
            data=setting.data[name],
            out=out,
            seed=seed,
            gpu=place,
            minutes=setting.config.minutes,
            facts=setting.facts[name] | trainer.places,
        )
        remove_file(folder / _TRAINED)
        remove_tree(call.out)
        make_folder(call.out)
        run_trainer(call, folder / _LOG, setting.stopping)
        if not _holds(setting.folder, corpus):
            raise LockedError(
                f"{call.data}, on which {folder} was trained, was replaced by another trial of this"
                " run meanwhile: its samples do not count. Let that one end, and run the same"
                " command again."
            )
        if not _has_files(out):
            raise TrainerFailed(f"it left nothing that can be judged: {out} has no file.")
        write_json(folder / _TRAINED, {"identity": trained})
        return _judge(setting, folder, begin)


def _judge(setting: _Setting, folder: Path, begin: dict[str, Any]) -> dict[str, Any]:
    """The result of a trained GAN, written to its folder.

    Raises TrainerFailed where nothing of it can be judged; what it left stays.
    """
    judge, made_of, identity = setting.judge, dict(begin), str(begin["identity"])
    out = folder / "out"
    try:
        with _JUDGING:
            judged = judge.judge(judge.place(out), folder, identity)
    except (ConfigError, InputError, ValueError) as error:
        raise TrainerFailed(
            f"nothing that it left can be judged: {error}\n{out} holds {_listing(out)}. It stays"
            " there, and the same command judges it again, with another trial.generated too."
            f" Delete {folder} to train it anew."
        ) from error
    if judge.translation is not None:
        made_of["translation"] = judge.translation
    path = folder / result_name(identity)
    write_json(path, made_of | {"snapshots": judged.snapshots, "notes": judged.notes})
    return dict(parse_json(path.read_bytes()))


def _has_files(folder: Path) -> bool:
    """Whether a file lies in `folder`, at any depth."""
    return any(files for _, _, files in os.walk(folder))


def _listing(folder: Path) -> str:
    names = sorted(path.name + "/" * path.is_dir() for path in folder.iterdir())
    return first_names(names, _LISTED)


def _trained(setting: _Setting, corpus: ShardCorpus, seed: int) -> str:
    """Names everything that a GAN depends on."""
    arm = setting.facts[corpus.arm.name]
    return canonical_digest([setting.gans, corpus.digest, corpus.ratio, arm, seed])


def _identity(setting: _Setting, trained: str) -> str:
    """Names everything that its result depends on."""
    run, judged = setting.run, [setting.trainer.generated, setting.config.samples]
    made_of = [trained, *judged, run.corpus.digest, run.config.seed, JUDGING_ALGORITHM]
    made_of += [knows_flips(setting.trainer, run, setting.config)]
    return canonical_digest([*made_of, setting.judge.features])
