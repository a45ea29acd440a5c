"""The trial of a run: its arms are made, its GANs trained, its table written.

RUN/trial/arms/NAME/         each arm's images
RUN/trial/gans/OPTIONS/NAME/seed-K/  each GAN: state.safetensors, snapshots/; result-*.json and
    samples-*.npy of each length and each judge
RUN/trial/trial.json, table.txt, curves.svg, ratios.svg
"""

import contextlib
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ...manifests.errors import ConfigError
from ...manifests.files.atomic import write_bytes, write_json
from ...manifests.files.durable import remove_file
from ...manifests.plan.made import made_identity
from ...manifests.run_folder import RunFolder
from ...models.network.device import device_type
from ...stages.common.progress import Progress
from ...stages.corpus.store import check_pixels
from ...stages.evaluate.number_format import round_floats
from ...stages.evaluate.tables import Table
from ...stages.trial.arms import twins_of
from ...stages.trial.config import TrialConfig
from ...stages.trial.judge import check_held_out, open_features
from ...stages.trial.notes import notes_of, unequal_samples
from ...stages.trial.one import gan_folder, samples_name
from ...stages.trial.outcome import ArmOutcome, conclusion, outcomes, trial_table
from ...stages.trial.pairs_table import pair_outcomes, pairs_table
from ...stages.trial.trial import Trained, TrialSpec, run_trial
from ..earlier_trial import is_of_earlier, read_trial
from ..finished_run import FinishedRun
from ..trial_gan import gan_options, gan_shape
from ..trial_trainer import choose_trainer, is_one_shot, unequal_lengths
from .arms import array_corpora
from .command import trial_by_command


@dataclass(frozen=True)
class TrialReport:
    """What a trial found, and where its files are."""

    folder: Path
    arms: list[ArmOutcome]
    text: str  # the conclusion, in sentences
    is_written: bool = True  # False: the files are those of a trial that compared something

    @property
    def record(self) -> Path:
        """The file of all figures."""
        return self.folder / "trial.json"

    @property
    def is_empty(self) -> bool:
        """Whether every arm failed."""
        return not self.arms

    @property
    def compares(self) -> bool:
        """Whether an arm is compared with the real images alone, over seeds."""
        return any(arm.against_real is not None for arm in self.arms)

    def as_text(self) -> str:
        """The table, that of pairs where it is a translation, and the conclusion."""
        pairs = pairs_table(self.arms)
        tables = [trial_table(self.arms), *([pairs] if pairs else [])]
        return "\n\n".join([*(table.as_text() for table in tables), self.text]) + "\n"


def trial(
    run: FinishedRun,
    config: TrialConfig,
    *,
    device: str,
    processes: int,
    stopping: Callable[[], bool],
    progress: Progress,
) -> TrialReport:
    """Makes what is missing of RUN/trial and gives its outcome.

    Raises:
        ConfigError: an arm that this run cannot make, a side no GAN is built for, too few held-out
            images.
        Interrupted: a stop was asked for; the same command goes on.
    """
    folder = RunFolder(run.folder).trial
    arms = config.corpora
    trainer = choose_trainer(config)
    if not is_one_shot(trainer):
        check_held_out(len(run.corpus.reference))
    check_pixels(run.corpus)
    if trainer is not None:
        made, counts = trial_by_command(
            trainer,
            run,
            arms,
            config,
            folder,
            device=device,
            processes=processes,
            stopping=stopping,
            progress=progress,
        )
    else:
        spec = spec_of(run, config, folder, device)
        corpora = array_corpora(run, arms, folder, device, stopping, progress)
        twins = twins_of({arm.name: (arm.digest, arm.rises) for arm in corpora})
        corpora = [arm for arm in corpora if arm.name not in twins]
        made = run_trial(
            spec, corpora, config.seeds, processes=processes, stopping=stopping, progress=progress
        )
        made = replace(made, twins=twins)
        counts = {arm.name: arm.count for arm in corpora}
    found = outcomes(made.results, counts)
    sentences = [conclusion(found, made.failed)]
    sentences += [f"{arm} failed, {why}" for arm, why in made.failed.items()]
    sentences += [
        f"{arm} is the same corpus as {other}, and was not trained again."
        for arm, other in made.twins.items()
    ]
    sizes = [arm.corpus for arm in found]
    note = None if trainer is None else unequal_lengths(trainer, sizes, config.images)
    sentences += [each for each in (note, unequal_samples(found)) if each]
    sentences += notes_of(made.results)
    report = TrialReport(folder, found, "\n".join(sentences))
    if not report.compares and _has_compared(run):
        return replace(report, is_written=False)
    _write(report, made, run, config)
    return report


def _has_compared(run: FinishedRun) -> bool:
    """Whether a trial of what the run makes now has compared arms with the real images alone."""
    record = read_trial(run.folder)
    if record is None or is_of_earlier(record, run.planned.recipe.as_json(), run.planned.rows):
        return False
    return any(arm["against_real"] for arm in record["arms"])


def spec_of(run: FinishedRun, config: TrialConfig, folder: Path, device: str) -> TrialSpec:
    """What the GANs of a trial share. Raises ConfigError for a side that none is built for."""
    corpus, evaluate = run.corpus, run.config.evaluate
    side, channels = corpus.images.shape[2:]
    shape = gan_shape(
        run.config,
        config,
        side=side,
        channels=channels,
        classes=len(corpus.classes),
        sources=corpus.planned_sources,
    )
    kind = run.ledger.device_type(device_type(device))  # of the machine of the run's first ingest
    return TrialSpec(
        folder=folder,
        corpus=RunFolder(run.folder).corpus,
        corpus_digest=corpus.digest,
        options=gan_options(run.config, config, kind),
        shape=shape,
        samples=config.samples,
        evaluate=evaluate,
        features=dict(open_features(evaluate, corpus).describe()),
        seed=run.config.seed,
        device=device,
    )


def _write(report: TrialReport, made: Trained, run: FinishedRun, config: TrialConfig) -> None:
    """table.txt, the pictures that can be drawn, and trial.json last."""
    from ...stages.trial.picture import draw_curves, draw_ratios

    write_bytes(report.folder / "table.txt", report.as_text().encode())
    pictures: dict[str, str | None] = {"curves.svg": None, "ratios.svg": None}
    with contextlib.suppress(ConfigError):  # nothing to draw with is installed
        pictures["curves.svg"] = draw_curves(made.results) if made.results else None
        pictures["ratios.svg"] = draw_ratios(report.arms, config.corpora)
    for name, picture in pictures.items():
        if picture is None:
            remove_file(report.folder / name)
        else:
            write_bytes(report.folder / name, picture.encode())
    table, pairs = trial_table(report.arms), pairs_table(report.arms)
    figures = {
        "of": made_identity(run.planned.recipe.as_json(), run.planned.rows),
        "options": config.model_dump(mode="json"),
        "conclusion": report.text,
        "arms": [asdict(arm) for arm in report.arms],
        "table": _plain(table),
        "gans": made.gans,
        "targets": list(made.targets),
        "results": made.results,
        "samples": {
            arm: f"{gan_folder(Path(), made.gans, arm, 0)}/{samples_name(found[0]['identity'])}"
            for arm, found in made.results.items()
        },
    }
    if pairs is not None:
        by_pair = [each.as_json() for each in pair_outcomes(report.arms)]
        figures |= {"pairs": by_pair, "table_of_pairs": _plain(pairs)}
    write_json(report.record, round_floats(figures))


def _plain(table: Table) -> dict[str, Any]:
    return {"heads": list(table.heads), "rows": [list(row) for row in table.rows]}
