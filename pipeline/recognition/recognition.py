"""The comparison of a run: its arms are written, recognisers trained, its tables made.

RUN/recognition/arms/NAME/                each corpus: images.npy, labels.npy
RUN/recognition/made/                     shards of those that are made for it
RUN/recognition/recogniser/               by which these select classes, where the run has none
RUN/recognition/recogniser-again/         of arms that select again
RUN/recognition/unseen/                   the unseen classes, as a corpus
RUN/recognition/recognisers/ARM/OPTIONS/seed-K/   each recogniser: state, result.json
RUN/recognition/data/, commands/          files and results of recognition.command
RUN/recognition/recognition.json, table.txt, roc.svg
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...manifests.errors import ConfigError
from ...manifests.files.atomic import write_bytes, write_json
from ...manifests.files.durable import make_folder, remove_file
from ...manifests.run_folder import RunFolder
from ...models.network.device import device_type
from ...stages.common.units import format_duration
from ...stages.corpus.store import Corpus, check_pixels
from ...stages.evaluate.number_format import round_floats
from ...stages.evaluate.sentences import Change
from ...stages.recognise.recognise import LabelledRows
from ...stages.recognition.arms import OWN, RecognitionArm
from ...stages.recognition.comparison import (
    ComparedCorpus,
    ComparisonSpec,
    compare_recognition,
    passes_of,
)
from ...stages.recognition.config import RecognitionConfig
from ...stages.recognition.judge import GRID, UnseenClasses, episode_ways, tar_name
from ...stages.recognition.outcome import (
    RecognitionOutcome,
    differences_tables,
    primary_figure,
    recognition_conclusion,
    recognition_outcomes,
    recognition_table,
)
from ...stages.recognition.over_classes import DRAWS
from ...stages.recognition.template import HELD_OUT, UNSEEN
from ...stages.trial.arm_corpus import ArmCorpus
from ...stages.trial.arms import twins_of
from ...stages.trial.command import placeholders_of
from ..config import Config
from ..finished_run import FinishedRun, require_written
from ..progress import ProgressReporter
from .command import RecognitionByCommand
from .corpora import classes_of, images_digest, labelled_corpus
from .costs import network_seconds, sampling_seconds
from .made import ArmMaker
from .selection import ClassSelector
from .unseen import open_unseen


@dataclass(frozen=True)
class RecognitionReport:
    """What a comparison found, and where its files are."""

    folder: Path
    arms: list[RecognitionOutcome]
    judged_on: str
    sampling: dict[str, float | None]  # by arm: seconds for 10,000 of its made images
    asked: RecognitionConfig
    network: float | None = None  # seconds that the score network took to train
    failed: dict[str, str] = field(default_factory=dict)  # arm -> why it has no figures
    twins: dict[str, str] = field(default_factory=dict)  # arm that was not trained -> its equal

    @property
    def record(self) -> Path:
        """The file of all figures."""
        return self.folder / "recognition.json"

    def as_text(self) -> str:
        """The tables and the conclusion."""
        tables = [recognition_table(self.arms, self.sampling)] if self.arms else []
        tables += differences_tables(self.arms, self.asked.against)
        texts = [self.judged_on, *(table.as_text() for table in tables)]
        if self.network is not None and any(self.sampling.values()):
            took = format_duration(self.network)
            texts.append(f"Training the score network took about {took} beside that.")
        return "\n\n".join([*texts, self.conclusion]) + "\n"

    @property
    def conclusion(self) -> str:
        """In sentences; a line for each arm that failed, and for each that is another's equal."""
        failed = (f"{arm} failed, {why}" for arm, why in self.failed.items())
        sentences = recognition_conclusion(
            self.arms,
            figure=self.asked.figure,
            against=self.asked.against,
            failed=self.failed,
            by_command=self.asked.command is not None,
        )
        equal = (
            f"{arm} is the same corpus as {other}, and was not trained again."
            for arm, other in self.twins.items()
        )
        return "\n".join([sentences, *failed, *equal])


def recognition(
    run: FinishedRun,
    config: Config,
    *,
    device: str,
    processes: int,
    stopping: Callable[[], bool],
    progress: ProgressReporter,
) -> RecognitionReport:
    """Makes what is missing of RUN/recognition and gives its outcome.

    config: with the sections recognise and recognition that were asked for.

    Raises:
        ConfigError: no classes, nothing to judge by, or an arm that this run cannot make.
        Interrupted: a stop was asked for; the same command goes on.
    """
    folder, asked = RunFolder(run.folder).recognition, config.recognition
    check_pixels(run.corpus)
    make_folder(folder)
    unseen = open_unseen(run, asked, folder, stopping, progress)
    _check_judged(run, asked, unseen)
    arms = asked.corpora
    corpora, sampling = _corpora(run, config, folder, device, stopping, progress)
    twins = _twins(arms, corpora)
    arms = [arm for arm in arms if arm.name not in twins]
    against = twins.get(str(asked.against), asked.against)
    asked = asked.model_copy(update={"against": against})
    compared = [_compared(arm, corpora[arm.corpus], run.corpus) for arm in arms]
    spec = _spec(run, config, folder, unseen, device)
    passes: dict[str, float] = {}
    if asked.command is None:
        made = compare_recognition(
            spec, compared, asked.seeds, processes=processes, stopping=stopping, progress=progress
        )
        passes = {arm.name: passes_of(spec, arm) for arm in compared}
    else:
        _note_left_out(asked, progress)
        given = asked, run.corpus, unseen, folder, stopping, progress
        made = RecognitionByCommand(*given).compare(compared, processes)
    found = recognition_outcomes(
        made.results,
        {arm.name: arm.corpus.count for arm in compared},
        {arm.name: arm.classes for arm in compared},
        passes=passes,
        against=asked.against,
        failed=made.failed,
    )
    took = {arm.name: sampling.get(arm.corpus) for arm in arms}
    judged_on = _judged_on(asked, unseen, run.corpus)
    network = network_seconds(run)
    report = RecognitionReport(folder, found, judged_on, took, asked, network, made.failed, twins)
    _write(report, made.results, config, spec)
    return report


def _check_judged(run: FinishedRun, asked: RecognitionConfig, unseen: Corpus | None) -> None:
    """Raises ConfigError where nothing judges, or not by the figure that was asked for."""
    if unseen is None and not (run.corpus.reference_ids >= 0).any():
        raise ConfigError(
            f"Nothing judges the recognisers of {run.folder}: no labelled images are held out, and"
            " no unseen classes are named. Add --unseen SOURCE, images of other classes."
        )
    if figures := _measurable(asked, unseen, run.corpus):
        primary_figure(figures, asked.figure)


def _twins(arms: Sequence[RecognitionArm], corpora: Mapping[str, ArmCorpus]) -> dict[str, str]:
    """Arm -> the first one whose recognisers learn from the same images in the same way.

    As `compose` of a run by compose, beside `own`: twice in the table it would be two comparisons.
    """
    digests = {name: images_digest(corpora[name]) for name in {arm.corpus for arm in arms}}
    return twins_of({arm.name: (digests[arm.corpus], arm.affine, arm.twice) for arm in arms})


def _compared(arm: RecognitionArm, made: ArmCorpus, corpus: Corpus) -> ComparedCorpus:
    return ComparedCorpus(arm.name, made, classes_of(made, corpus), arm.affine, arm.twice)


def _note_left_out(asked: RecognitionConfig, progress: ProgressReporter) -> None:
    if asked.left_out:
        progress.note(
            f"recognition: {', '.join(asked.left_out)} left out: the command does not name"
            " {affine}, which is 1 for these arms and 0 for others"
        )


def _corpora(
    run: FinishedRun,
    config: Config,
    folder: Path,
    device: str,
    stopping: Callable[[], bool],
    progress: ProgressReporter,
) -> tuple[dict[str, ArmCorpus], dict[str, float | None]]:
    """By name: the corpora of all arms, and the seconds that sampling 10,000 images takes."""
    selector = ClassSelector(run, folder, device, stopping, progress)
    maker = ArmMaker(run, folder, device, selector, stopping, progress)
    corpora: dict[str, ArmCorpus] = {}
    sampling: dict[str, float | None] = {}

    def images(arm: RecognitionArm) -> int:
        return (arm.made and arm.made.images_per_class) or config.generate.images_per_class

    # Those with more images of each class first: the others are a part of them.
    for arm in sorted(config.recognition.corpora, key=images, reverse=True):
        if arm.corpus in corpora:
            continue
        if arm.made is not None:
            corpora[arm.corpus], seconds = maker.corpus(arm.made)
            sampling[arm.corpus] = sampling_seconds(run) if seconds is None else seconds
            continue
        if arm.corpus == OWN:
            require_written(run)  # else classes and held-out images may be others
        given = arm.corpus, run.folder, run.corpus, folder, stopping, progress
        corpora[arm.corpus] = labelled_corpus(*given)
        sampling[arm.corpus] = sampling_seconds(run) if arm.corpus == OWN else None
    return corpora, sampling


def _spec(
    run: FinishedRun, config: Config, folder: Path, unseen: Corpus | None, device: str
) -> ComparisonSpec:
    """What the recognisers share."""
    kind = run.ledger.device_type(device_type(device))
    recognise, asked = config.recognise.resolved(kind), config.recognition
    return ComparisonSpec(
        folder=folder,
        corpus=RunFolder(run.folder).corpus,
        corpus_digest=run.corpus.digest,
        unseen=None if unseen is None else unseen.folder,
        unseen_digest=None if unseen is None else unseen.digest,
        config=recognise,
        real=len(LabelledRows.of(run.corpus).rows),
        length=asked.length,
        pairs=asked.pairs,
        episodes=asked.episodes,
        resamples=asked.resamples,
        seed=run.config.seed,
        device=device,
    )


def _measurable(asked: RecognitionConfig, unseen: Corpus | None, corpus: Corpus) -> list[str]:
    """The figures that the recognisers will have, known before one is trained."""
    wanted = {UNSEEN, HELD_OUT} if asked.command is None else placeholders_of(asked.command)
    names: list[str] = []
    if unseen is not None and UNSEEN in wanted:
        if asked.figure.startswith("tar"):
            judged = UnseenClasses.of(unseen, asked.pairs, asked.episodes, asked.resamples)
            names += map(tar_name, judged.fars)
        names += ["eer", "rank_1"]
        names += ["one_shot"] if episode_ways(_known(unseen)) else []
    if HELD_OUT in wanted and (corpus.reference_ids >= 0).any():
        names.append("accuracy")
    return names


def _judged_on(asked: RecognitionConfig, unseen: Corpus | None, corpus: Corpus) -> str:
    """A sentence; a command is judged on what it names."""
    wanted = {UNSEEN, HELD_OUT} if asked.command is None else placeholders_of(asked.command)
    held_out = int((corpus.reference_ids >= 0).sum()) if HELD_OUT in wanted else 0
    parts = []
    if unseen is not None and UNSEEN in wanted:
        count = int((unseen.training_ids >= 0).sum())
        ways = episode_ways(_known(unseen))
        episodes = f" (one-shot: {ways} of them an episode)" if ways else ""
        parts.append(f"{count:,} images of {len(unseen.classes):,} classes never seen{episodes}")
    if held_out:
        parts.append(f"{held_out:,} held-out images of the {len(corpus.classes):,} classes seen")
    return f"Judged on {' and '.join(parts)}."


def _known(unseen: Corpus) -> NDArray[np.int64]:
    """Classes of the unseen images that have one."""
    return unseen.training_ids[unseen.training_ids >= 0]


def _write(
    report: RecognitionReport,
    results: dict[str, list[dict[str, Any]]],
    config: Config,
    spec: ComparisonSpec,
) -> None:
    """table.txt, roc.svg where it can be drawn, and recognition.json last."""
    from ...stages.recognition.picture import draw_roc

    write_bytes(report.folder / "table.txt", report.as_text().encode())
    try:
        write_bytes(report.folder / "roc.svg", draw_roc(results).encode())
    except ConfigError:  # nothing to draw, or nothing to draw with is installed
        remove_file(report.folder / "roc.svg")
    figures = {
        "recognise": spec.config.model_dump(mode="json", exclude={"affine"}),
        "recognition": config.recognition.model_dump(mode="json"),
        "passes_over_real_images": {arm.name: arm.passes for arm in report.arms},
        "judged_on": report.judged_on,
        "conclusion": report.conclusion,
        "failed": report.failed,
        "sampling_seconds_per_10000": report.sampling,
        "network_seconds": report.network,
        "roc_far": list(GRID),
        "arms": [arm.name for arm in report.arms],
        "images": {arm.name: arm.images for arm in report.arms},
        "classes": {arm.name: arm.classes for arm in report.arms},
        "less_real": _as_json({arm.name: arm.less_real for arm in report.arms}),
        "less_real_affine": _as_json({arm.name: arm.less_real_affine for arm in report.arms}),
        "less_against": _as_json({arm.name: arm.less_against for arm in report.arms}),
        "over_classes": {arm.name: dict(arm.over_classes) for arm in report.arms},
        "results": {
            arm: [_without_draws(each) for each in found] for arm, found in results.items()
        },
    }
    write_json(report.record, round_floats(figures))


def _without_draws(result: dict[str, Any]) -> dict[str, Any]:
    """A recogniser's result without the figures of every draw, which its own file keeps."""
    figures = {name: value for name, value in result["figures"].items() if name != DRAWS}
    return result | {"figures": figures}


def _as_json(changes: dict[str, Mapping[str, Change]]) -> dict[str, Any]:
    """Arm -> figure -> difference and interval; without arms that are compared with nothing."""
    return {
        arm: {
            name: {"difference": change.difference, "interval_95": list(change.interval)}
            for name, change in less.items()
        }
        for arm, less in changes.items()
        if less
    }
