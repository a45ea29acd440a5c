"""The command `trial`: the same GAN on several corpora, to see whether the augmented one pays."""

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ...manifests.errors import ConfigError, ScoreMixError
from ...manifests.files.lock import run_lock
from ...manifests.run_folder import RunFolder
from ..echo import echo
from ..ledger import require_run
from ..signals import stop_on_signal
from .options import (
    DEVICE,
    LOCAL,
    QUIET,
    SET,
    default_processes,
    refuse_other_options,
    resolve_device,
    with_overrides,
)

if TYPE_CHECKING:
    from ..config import Config
    from ..finished_run import FinishedRun
    from ..progress import ProgressReporter


@click.command()
@click.argument("folder", metavar="RUN", type=LOCAL)
@click.option(
    "--arms",
    metavar="A,B:RATIO",
    help="Corpora to compare: real, own (the run's method), or a method; a ratio after a colon."
    " Default: trial.arms.",
)
@click.option(
    "--ratios",
    metavar="0,1,3,...",
    help="Every arm that names no ratio at each of these; 0 is real. Default: trial.ratios.",
)
@click.option(
    "--sizes",
    metavar="100,300,...",
    help="The same trial on so many of the training images, too: a network each. Default:"
    " trial.sizes.",
)
@click.option("--seeds", type=click.IntRange(1, 100), help="GANs an arm. Default: trial.seeds.")
@click.option("--images", type=click.IntRange(1), help="Shown to a GAN. Default: trial.images.")
@click.option(
    "--processes",
    type=click.IntRange(1),
    help="GANs trained at once. Default: on a CPU its cores; with your own trainer the GPUs, or 1.",
)
@click.option(
    "--vote",
    type=click.IntRange(1),
    metavar="N",
    help="Only write a page on which people compare N anonymous pairs of the trial's arms, or of"
    " --arms.",
)
@click.option(
    "--count",
    "answers",
    multiple=True,
    metavar="FILE",
    type=LOCAL,
    help="Only count the answers that the page of a vote saved; for several files, several times.",
)
@click.option("--dry-run", is_flag=True, help="Only say what would be trained, and how long.")
@SET
@DEVICE
@QUIET
def trial(
    folder: Path,
    arms: str | None,
    ratios: str | None,
    sizes: str | None,
    seeds: int | None,
    images: int | None,
    processes: int | None,
    vote: int | None,
    answers: tuple[Path, ...],
    dry_run: bool,
    overrides: tuple[str, ...],
    device: str,
    quiet: bool,
) -> None:
    """Train the same GAN on the real images of RUN alone, and with what was made of them.

    Says whether the augmented corpus pays: "Worth it", "No difference seen" or "Harmful".
    Results are kept: the same command goes on, and more seeds or arms add to them.
    """
    from ..config import load_config
    from ..progress import ProgressReporter
    from ..trial_check import check_arms
    from ..trial_trainer import choose_trainer

    folder = require_run(folder)
    lists = {"arms": arms, "ratios": ratios, "sizes": sizes}
    texts = {name: None if text is None else f"[{text}]" for name, text in lists.items()}
    numbers = {"seeds": seeds, "images": images}
    texts |= {name: None if value is None else str(value) for name, value in numbers.items()}
    options = {f"--{name}": (f"trial.{name}", text) for name, text in texts.items()}
    changes = with_overrides(overrides, options)
    refuse_other_options(
        overrides,
        ("trial.", "evaluate."),
        "a trial, which takes the run as it is; options of trial and evaluate can be set",
    )
    config = load_config(RunFolder(folder).config, changes)
    if vote or answers:
        unused: dict[str, object] = {**lists, **numbers, "processes": processes}
        unused["dry-run"] = dry_run or None
        _refuse_unused(unused | ({"arms": None} if vote else {}), "--vote" if vote else "--count")
        chosen_arms = [arm.name for arm in config.trial.corpora] if arms else []
        _vote(folder, chosen_arms, vote, answers, config.seed)
        return
    choose_trainer(config.trial)  # which refuses one that is not there
    check_arms(config.trial)
    chosen = resolve_device(device)
    if dry_run:
        from ..trial.cost import estimate_trial

        places = processes or default_processes(chosen, builtin=config.trial.is_builtin)
        opened = _open(folder, config)
        echo(estimate_trial(opened, config.trial, device=chosen, processes=places))
        return
    conduct(folder, config, chosen, processes, ProgressReporter(quiet))


def _refuse_unused(options: dict[str, object], of: str) -> None:
    """Raises ConfigError for options that --vote or --count would ignore."""
    given = [f"--{name}" for name, value in options.items() if value is not None]
    if given:
        raise ConfigError(
            f"{', '.join(given)}: no effect beside {of}, which takes the finished trial as it is."
            " Leave it out."
        )


def conduct(
    folder: Path,
    config: "Config",
    device: str,
    processes: int | None,
    progress: "ProgressReporter",
) -> None:
    """Runs the trial of a run folder, prints its table, and draws the run's report anew.

    processes: None for as many as the device has places for.
    """
    from ...manifests.storage.store import store_of
    from ...stages.report.page import write_report
    from ..ledger import Ledger
    from ..trial.sizes import trial_sizes
    from ..trial.trial import trial as run_trial
    from ..trial_check import notes_on

    for note in notes_on(config.trial):
        progress.note(f"trial: {note}")
    if processes is None:
        processes = default_processes(device, builtin=config.trial.is_builtin)
    with run_lock(folder.absolute(), shared=True), stop_on_signal() as stopping:
        report = (trial_sizes if config.trial.sizes else run_trial)(
            _open(folder, config),
            config.trial,
            device=device,
            processes=processes,
            stopping=stopping,
            progress=progress,
        )
    echo(report.as_text())
    if report.is_written:
        echo(f"figures: {os.path.relpath(report.record)}")
    else:
        echo(
            f"Nothing was compared, so that {os.path.relpath(report.record)}, its table and its"
            " curves stay those of the trial before, which compared something."
        )
    if report.is_empty:
        raise ScoreMixError("Every arm of the trial failed, each for the reason above.")
    if RunFolder(folder.absolute()).report_page.exists():
        page = write_report(folder.absolute(), store_of(Ledger(folder.absolute()).place()))
        echo(f"report:  {os.path.relpath(page)}")


def _vote(
    folder: Path, arms: list[str], count: int | None, answers: tuple[Path, ...], seed: int
) -> None:
    """Writes the page of a vote, or counts answers."""
    from ..earlier_trial import EARLIER
    from ..trial.vote import count_answers, make_vote

    if count:
        page, earlier = make_vote(folder, arms, count, seed)
        echo(f"vote: {os.path.relpath(page)}: open it in a browser, save the answers, and")
        echo(f"      count them with scoremix-pipeline trial {folder} --count FILE")
        if earlier:
            echo(f"      The vote is on the trial that there is: {EARLIER}.")
    if answers:
        echo(count_answers(folder, answers))


def _open(folder: Path, config: "Config") -> "FinishedRun":
    """The run with the features that were asked for. The caller holds its lock."""
    from ..finished_run import load_finished_run, refuse_pending

    refuse_pending(folder.absolute())
    run = load_finished_run(folder.absolute(), finished=False)
    judged_by = run.config.model_copy(update={"evaluate": config.evaluate})
    return replace(run, config=judged_by)
