"""The command `recognition`: recognisers on several corpora, to see whether made images pay."""

import json
import os
from dataclasses import replace
from pathlib import Path

import click

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


@click.command()
@click.argument("folder", metavar="RUN", type=LOCAL)
@click.option(
    "--arms",
    metavar="A,B",
    help="Corpora to compare: real, own (with the images of the run's shards), compose,"
    " condition-mix, mixup-classes, reproduce (with images made for the comparison), each with"
    " +affine too; compose@random, compose:10, compose:10x50 and so on. Default:"
    " recognition.arms.",
)
@click.option("--seeds", type=click.IntRange(1, 100), help="Recognisers an arm.")
@click.option(
    "--unseen",
    metavar="SOURCE",
    help="Images of classes that no recogniser is trained on: a folder, zip or another source, with"
    " classes. Default: recognition.unseen.",
)
@click.option("--path", "inside", metavar="FOLDER", help="The folder in --unseen to read.")
@click.option(
    "--processes",
    type=click.IntRange(1),
    help="Recognisers trained at once. Default: on a CPU its cores, else 1; by a command of your"
    " own as many as there are GPUs.",
)
@SET
@DEVICE
@QUIET
def recognition(
    folder: Path,
    arms: str | None,
    seeds: int | None,
    unseen: str | None,
    inside: str | None,
    processes: int | None,
    overrides: tuple[str, ...],
    device: str,
    quiet: bool,
) -> None:
    """Train recognisers on the real images of RUN alone, and with what was made of them.

    Compares them on classes never seen (verification, identification, one-shot recognition) and on
    held-out images. Results are kept: the same command goes on, and more seeds or arms add to them.
    """
    from ..config import load_config
    from ..preflight import check_unseen

    folder = require_run(folder)
    if inside is not None and unseen is None:
        raise click.UsageError("--path names a folder in --unseen SOURCE, which is not given.")
    refuse_other_options(
        overrides,
        ("recognition.", "recognise."),
        "a comparison, which takes the run as it is; options of recognise and recognition can be"
        " set",
    )
    source = {"source": unseen, "path": inside} if inside is not None else unseen
    options = {
        "--arms": ("recognition.arms", None if arms is None else f"[{arms}]"),
        "--seeds": ("recognition.seeds", None if seeds is None else str(seeds)),
        "--unseen": ("recognition.unseen", None if unseen is None else json.dumps(source)),
    }
    config = load_config(RunFolder(folder).config, with_overrides(overrides, options))
    check_unseen(config)
    from ..finished_run import load_finished_run, refuse_pending
    from ..progress import ProgressReporter
    from ..recognition.recognition import recognition as compare

    chosen, folder = resolve_device(device), folder.absolute()
    if processes is None:
        processes = default_processes(chosen, builtin=config.recognition.command is None)
    with run_lock(folder, shared=True), stop_on_signal() as stopping:
        refuse_pending(folder)
        run = load_finished_run(folder, finished=False)
        asked = {"recognise": config.recognise, "recognition": config.recognition}
        run = replace(run, config=run.config.model_copy(update=asked))
        report = compare(
            run,
            run.config,
            device=chosen,
            processes=processes,
            stopping=stopping,
            progress=ProgressReporter(quiet),
        )
    echo(report.as_text())
    echo(f"figures: {os.path.relpath(report.record)}")
