"""Which classes the new ones of an arm mix: as the run chose them, or as the arm asks for."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ...manifests.errors import VerifyError
from ...manifests.files.atomic import canonical_digest
from ...manifests.plan.methods import Selection
from ...manifests.plan.new_classes import NewClass, class_count
from ...manifests.run_folder import RunFolder
from ...models.network.device import device_type, one_thread, set_deterministic
from ...stages.recognise import recognise as recognising
from ...stages.recognise.centres import class_centres
from ...stages.recognise.config import ALGORITHM, ClassRequest
from ...stages.recognise.recognise import LabelledRows, start_run
from ...stages.recognise.run import RecogniserOptions
from ...stages.recognise.select import select_classes
from ...stages.recognition.arms import MadeFor
from ...stages.trial.arm_corpus import ArmCorpus
from ...stages.trial.locks import waiting_lock
from ...stages.trial.one import options_folder
from ..finished_run import FinishedRun
from ..progress import ProgressReporter
from .corpora import classes_of


@dataclass(frozen=True)
class ClassSelector:
    """Selects by the run's recogniser; where it has none, by one that is trained in `folder`."""

    run: FinishedRun
    folder: Path  # of the comparison
    device: str
    stopping: Callable[[], bool]
    progress: ProgressReporter

    def select(self, made: MadeFor, better: ArmCorpus | None = None) -> tuple[NewClass, ...]:
        """The new classes of an arm. Raises ConfigError where there are not as many.

        better: of an arm that selects again, the one that its recogniser is trained on.
        """
        generate = self.run.config.generate
        centres = self.centres if better is None else self._centres_by(better)
        how: Selection = self.run.config.recognise.selection
        if made.selection is not None:
            how = "distant" if made.selection == "again" else made.selection
        members, usable = len(generate.weights), int(np.isfinite(centres).all(axis=1).sum())
        asked = made.new_classes or generate.new_classes
        of_arm = f"The number of new classes of the arm {made.name}"
        named = of_arm if made.new_classes else "generate.new_classes"
        count = class_count(asked, usable, members, named)
        given = centres, self.run.corpus.classes, count, how, generate.weights
        return tuple(select_classes(*given, self.run.config.seed))

    def _centres_by(self, arm: ArmCorpus) -> NDArray[np.float32]:
        """(K, E) of the real classes, by a recogniser that is trained on an arm's images."""
        corpus, seed, device = self.run.corpus, self.run.config.seed, torch.device(self.device)
        kind = self.run.ledger.device_type(device_type(self.device))
        config, real = self.run.config.recognise.resolved(kind), LabelledRows.of(corpus)
        images, labels = arm.open()
        options = RecogniserOptions.over(config, len(images))
        identity = canonical_digest([ALGORITHM, config.training_inputs(), arm.digest, seed])
        place = self.folder / options_folder("recogniser-again", [identity])
        set_deterministic(device)
        with waiting_lock(self.folder, "recogniser-again", self.stopping), one_thread():
            classes = classes_of(arm, corpus)
            run = start_run(images, labels, classes, options, seed, device)
            with self.progress.task(
                f"recogniser of {arm.name}", options.updates * config.batch, "images"
            ) as advance:
                run.train(place, identity, self.stopping, advance)
            embeddings = run.embed(np.asarray(corpus.images)[real.rows])
        return class_centres(embeddings, real.labels, len(corpus.classes))

    @cached_property
    def centres(self) -> NDArray[np.float32]:
        """(K, E) of the corpus's classes, NaN for one without training images.

        Raises:
            Interrupted: a stop was asked for; the same command goes on.
            ScoreMixError: the loss is not finite, or a state is damaged.
            VerifyError: the run's centres are gone, or do not give the classes that it chose.
        """
        chosen = self.run.planned.new_classes
        if not chosen:
            return self._trained()
        files = RunFolder(self.run.folder)
        path = files.recogniser / recognising.CENTRES
        try:
            found: NDArray[np.float32] = np.load(path, allow_pickle=False)
            given = found, self.run.corpus.classes, len(chosen), chosen[0].selection
            again = select_classes(*given, self.run.config.generate.weights, self.run.config.seed)
        except (OSError, ValueError, IndexError) as error:
            raise VerifyError(
                f"{path} cannot be used ({error}). Restore it; or delete {files.new_classes}, and"
                f" run `scoremix-pipeline run {files.config}`, which writes both again."
            ) from error
        if tuple(again) != chosen:
            raise VerifyError(
                f"{path} gives other new classes than the run has: it was changed. Restore it; or"
                f" delete {files.new_classes}, and run `scoremix-pipeline run {files.config}`,"
                " which writes both again."
            )
        return found

    def _trained(self) -> NDArray[np.float32]:
        """Those of a recogniser of the comparison's own, by the run's section `recognise`: other
        options of the recognisers that are compared leave the classes, and what was made of them.
        """
        kind = self.run.ledger.device_type(device_type(self.device))
        config, place = self.run.config.recognise.resolved(kind), self.folder / "recogniser"
        with waiting_lock(self.folder, "recogniser", self.stopping):
            if not recognising.is_trained(config, self.run.corpus, place, self.run.config.seed):
                recognising.recognise(
                    config,
                    self.run.corpus,
                    place,
                    ClassRequest(None, self.run.config.generate.weights),
                    seed=self.run.config.seed,
                    device=self.device,
                    progress=self.progress,
                    stopping=self.stopping,
                )
            found: NDArray[np.float32] = np.load(place / recognising.CENTRES, allow_pickle=False)
            return found
