"""A comparison with the user's own recogniser: arms as folders of images, trained on, judged.

RUN/recognition/data/ARM/              each arm: a folder of PNG files for each class
RUN/recognition/data/unseen/, held-out/   what judges, the same way
RUN/recognition/commands/ARM/seed-K/   each recogniser: out/, trainer.log, result.json
"""

import shlex
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...manifests.errors import ConfigError
from ...manifests.files.atomic import canonical_digest, write_json
from ...manifests.files.durable import make_folder, remove_tree
from ...manifests.files.lock import shard_lock
from ...manifests.trainers.layout import class_folder
from ...stages.corpus.store import Corpus
from ...stages.evaluate.number_format import round_floats
from ...stages.recognise.recognise import LabelledRows
from ...stages.recognition.arms import REAL
from ...stages.recognition.by_command import JudgedImages
from ...stages.recognition.comparison import Compared, ComparedCorpus
from ...stages.recognition.config import RecognitionConfig
from ...stages.recognition.image_folders import ImageFolder
from ...stages.recognition.judge import UnseenClasses
from ...stages.recognition.template import HELD_OUT, UNSEEN
from ...stages.trial.command import TrainerCall, placeholders_of, require_whole_command, run_trainer
from ...stages.trial.locks import waiting_lock
from ...stages.trial.one import RESULT, read_result
from ...stages.trial.task_pool import CommandTask, run_all_commands
from ..progress import ProgressReporter, Stoppable

_ALGORITHM = 1  # raised whenever equal answers of a command would give other figures
_LOG = "trainer.log"
_NEW = "new"  # in the names of new classes' folders


@dataclass(frozen=True)
class RecognitionByCommand:
    """Runs a command for every arm and seed."""

    config: RecognitionConfig
    corpus: Corpus
    unseen: Corpus | None
    folder: Path  # of the comparison
    stopping: Callable[[], bool]
    progress: ProgressReporter

    def compare(self, arms: Sequence[ComparedCorpus], processes: int) -> Compared:
        """Runs the command for every arm and seed, and judges what it leaves.

        processes: commands at once; {gpu} is the number of the place, from 0.

        Raises:
            ConfigError: the command names images that there are none of.
            Interrupted: a stop was asked for; recognisers that are finished are kept.
        """
        names = self._folder_names(max(arm.classes for arm in arms))
        judged = self._judged(names)
        data = {arm.corpus.name: self._arm_folder(arm, names) for arm in arms}
        by_name = {arm.name: arm for arm in arms}
        tasks = [(arm.name, number) for number in range(self.config.seeds) for arm in arms]

        def run(task: CommandTask, place: int) -> dict[str, Any] | None:
            arm = by_name[task[0]]
            return self._one(arm, task[1], place, data[arm.corpus.name], judged)

        with self.progress.task("recognition", len(tasks), "recognisers") as advance:
            found, failed = run_all_commands(
                run,
                tasks,
                processes=processes,
                stopping=self.stopping,
                advance=advance,
                failing=lambda arm, why: self.progress.note(f"recognition: {arm} failed, {why}"),
            )
        finished = [arm.name for arm in arms if arm.name not in failed]
        results = {arm: [found[arm, n] for n in range(self.config.seeds)] for arm in finished}
        return Compared(results, failed)

    def _folder_names(self, classes: int) -> list[str]:
        """By class id: the folder of each class, new ones included."""
        real = self.corpus.classes
        named = (*real, *([_NEW] * (classes - len(real))))
        return [class_folder(named, id_) for id_ in range(len(named))]

    def _arm_folder(self, arm: ComparedCorpus, names: Sequence[str]) -> Path:
        """The arm's images as files; real ones are links to those of the arm `real`."""
        images, labels = arm.corpus.open()
        real, place = LabelledRows.of(self.corpus), self.folder / "data" / arm.corpus.name
        shared = None
        if arm.corpus.name != REAL:
            rows = real.rows
            shared = self._written(
                self.folder / "data" / REAL,
                np.asarray(self.corpus.images)[rows],
                real.labels,
                names,
                canonical_digest([self.corpus.digest, rows.tolist()]),
            )
        # The arm real has the digest of these very facts: see labelled_corpus.
        return self._written(
            place, images, labels, names, arm.corpus.digest, shared, len(real.rows)
        )

    def _written(
        self,
        place: Path,
        images: Any,
        labels: Any,
        names: Sequence[str],
        digest: str,
        shared: Path | None = None,
        first: int = 0,
    ) -> Path:
        given = ImageFolder(images, labels, names, canonical_digest([digest, list(names)]))
        watched = Stoppable(self.progress, self.stopping)
        with waiting_lock(self.folder, f"data.{place.name}", self.stopping):
            with watched.task(f"files {place.name}", len(labels), "images") as advance:
                given.write(place, advance, shared=shared, first=first)
        return place

    def _judged(self, names: Sequence[str]) -> JudgedImages:
        """The images that the command is to answer for, as files."""
        command = require_whole_command(self.config.command or "", "recognition.command")
        wanted, place = placeholders_of(command), self.folder / "data"
        unseen, unseen_paths = None, list[Path]()
        if UNSEEN in wanted:
            if self.unseen is None:
                raise ConfigError(
                    "recognition.command names {unseen}, and no unseen classes are named. Add"
                    " --unseen SOURCE, or write a command without {unseen}."
                )
            asked = self.config.pairs, self.config.episodes, self.config.resamples
            unseen = UnseenClasses.of(self.unseen, *asked)
            classes = tuple(self.unseen.classes)
            folders = [class_folder(classes, id_) for id_ in range(len(classes))]
            given = place / UNSEEN, unseen.images, unseen.labels, folders, self.unseen.digest
            unseen_paths = ImageFolder(*given[1:]).paths(self._written(*given))
        held_paths, held_folders = list[Path](), list[str]()
        if HELD_OUT in wanted:
            ids = self.corpus.reference_ids
            known = np.flatnonzero(ids >= 0)
            if not len(known):
                raise ConfigError(
                    "recognition.command names {held_out}, and no labelled images are held out"
                    " (ingest.holdout). Write a command without {held_out}."
                )
            images = np.asarray(self.corpus.reference)[known]
            held = place / "held-out", images, ids[known], names, self.corpus.digest
            held_paths = ImageFolder(*held[1:]).paths(self._written(*held))
            held_folders = [names[id_] for id_ in ids[known].tolist()]
        real = len(self.corpus.classes)
        return JudgedImages(
            unseen, unseen_paths, held_paths, held_folders, names[:real], names[real:]
        )

    def _one(
        self, arm: ComparedCorpus, number: int, gpu: int, data: Path, judged: JudgedImages
    ) -> dict[str, Any] | None:
        """One recogniser: as it was kept, or trained and judged; None: another process does.

        Raises TrainerFailed where the command fails, or leaves what cannot be judged.
        """
        folder = self.folder / "commands" / arm.name / f"seed-{number}"
        identity = self._identity(arm, number)
        with shard_lock(self.folder, f"command.{arm.name}-{number}") as mine:
            if not mine:
                return None
            kept = read_result(folder, identity)
            if kept is not None:
                return kept
            out, place = folder / "out", self.folder / "data"
            given = {UNSEEN: place / UNSEEN, HELD_OUT: place / "held-out"}
            facts: dict[str, object] = {name: shlex.quote(str(p)) for name, p in given.items()}
            call = TrainerCall(
                template=self.config.command or "",
                data=data,
                out=out,
                seed=number,
                gpu=gpu,
                minutes=self.config.minutes,
                facts=facts | {"affine": int(arm.affine)},
                section="recognition",
            )
            remove_tree(out)
            make_folder(out)
            judged.write_lists(out)
            begin = time.monotonic()
            run_trainer(call, folder / _LOG, self.stopping)
            seconds = time.monotonic() - begin
            result = {
                "identity": identity,
                "seed": number,
                "figures": round_floats(judged.measure(out)),
                "seconds": round(seconds, 2),
            }
            write_json(folder / RESULT, result)
            return result

    def _identity(self, arm: ComparedCorpus, number: int) -> str:
        """Names everything that a result depends on."""
        config, unseen = self.config, None if self.unseen is None else self.unseen.digest
        judged = [unseen, config.pairs, config.episodes, config.resamples, self.corpus.digest]
        made_of = [arm.corpus.digest, arm.classes, arm.affine, config.command, number]
        return canonical_digest([_ALGORITHM, *made_of, *judged])
