"""The commands `run` and `augment`, and what every command that runs stages shares."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ...manifests.errors import ConfigError, Interrupted
from ...manifests.run_folder import STAGES
from ...manifests.storage.location import Place, place
from ...stages.sources.spec import BUNDLED
from ..echo import echo
from ..ledger import Ledger
from ..signals import interrupt_at_once, stop_on_signal
from .options import DEVICE, LOCAL, PLACE, QUIET, SET, resolve_device, with_overrides

if TYPE_CHECKING:
    from ..config import Config
    from ..job import Job, Outcome

_UNTIL = click.option(
    "--until", type=click.Choice(STAGES), default=STAGES[-1], help="Stop after this stage."
)
_REPLACE = click.option(
    "--replace",
    is_flag=True,
    help="Give up what was made from other data, or shards of which nothing proves that they are"
    " this run's. Another run's shards are never replaced.",
)
_DRY = click.option(
    "--dry-run",
    is_flag=True,
    help="Only say how many images and bytes there will be, and how long it will take here.",
)
_WORKER = click.option(
    "--worker",
    metavar="I/N",
    help="Make worker I's share of N (from 0), then help the others; auto: as Slurm, Kubernetes or"
    " torchrun say. The network must be there: run --until plan first.",
)
_ACCEPT = click.option(
    "--accept-environment",
    is_flag=True,
    help="Make shards although torch, another library or the device differ from the plan's.",
)
_YES = click.option(
    "--yes",
    is_flag=True,
    help="Do not ask before a run of more than an hour. Only on a terminal is it asked at all.",
)


@dataclass(frozen=True)
class RunOptions:
    """The options that commands which run stages share."""

    device: str
    quiet: bool
    until: str = STAGES[-1]
    only: str | None = None
    dry_run: bool = False
    worker: str | None = None
    accept_environment: bool = False
    replace: bool = False
    stages: Path | None = None  # the stages.yaml that is run
    # Of a run of more than an hour (Job.confirm); only `run` and `augment` say how long theirs is.
    confirm: Callable[[str], None] | None = None


@click.command()
@click.argument("stages", type=LOCAL)
@_UNTIL
@SET
@DEVICE
@_WORKER
@_ACCEPT
@_REPLACE
@_DRY
@_YES
@QUIET
def run(stages: Path, until: str, overrides: tuple[str, ...], yes: bool, **options: Any) -> None:
    """Run every stage of STAGES (a stages.yaml) that is missing or stale.

    A run that was stopped goes on with the same command. One of more than an hour says how long it
    takes before it trains, and on a terminal asks.
    """
    from ..config import load_stages

    config = load_stages(stages, list(overrides))
    folder = Path(config.run)
    confirm = _confirmation(yes, options["quiet"])
    asked = RunOptions(until=until, stages=stages, confirm=confirm, **options)
    with open_job(config, folder, Ledger(folder).place(), asked) as job:
        _do(job, dry_run=options["dry_run"])


@click.command()
@click.option(
    "--out", type=PLACE, required=True, help="Folder of the shards, or a URL as s3://bucket/prefix."
)
@click.option("--ratio", type=click.IntRange(1, 999), help="mu: augmented images per real one.")
@click.option(
    "--data",
    help="Folder or zip of images, a URL of one, or a bundled set: digits, faces. Default: the"
    " stages.yaml here.",
)
@click.option(
    "--run",
    "folder",
    type=LOCAL,
    help="Run folder. Default: OUT.run (for a URL, its last part.run in this folder), or the"
    " stages.yaml's own where that is used.",
)
@_UNTIL
@SET
@DEVICE
@_WORKER
@_ACCEPT
@_REPLACE
@_DRY
@_YES
@QUIET
def augment(
    out: Place,
    ratio: int | None,
    data: str | None,
    folder: Path | None,
    until: str,
    overrides: tuple[str, ...],
    yes: bool,
    **options: Any,
) -> None:
    """The whole pipeline in one command: images in, shards in OUT.

    Options of stages.yaml are set with --set, as in --set ingest.limit=1000. A run of more than an
    hour says how long it takes before it trains, and on a terminal asks.
    """
    from ..config import compose, expand_user, load_stages

    places = {
        "--data": ("ingest.source", None if data is None else json.dumps(data)),
        "--run": ("run", None if folder is None else json.dumps(str(folder))),
    }
    with_overrides(overrides, places)  # which are used below as they were given
    counted = {"--ratio": ("generate.ratio", None if ratio is None else str(ratio))}
    changes = with_overrides(overrides, counted)
    if isinstance(out, Path):
        out = out.absolute()
        beside = out.with_name(out.name + ".run")
    else:
        beside = Path.cwd() / f"{out.name}.run"
    stages = Path("stages.yaml") if data is None else None
    if stages is not None:
        if not stages.exists():
            raise ConfigError(
                "Neither --data was given nor is there a stages.yaml in this folder. Name your"
                " images, as in --data photos/, or write a file with `scoremix-pipeline init`."
            )
        config = load_stages(stages, changes)
        folder = folder or Path(config.run)
    else:
        assert data is not None
        sections: dict[str, Any] = {"ingest": {"source": data}, "run": str(folder or beside)}
        if data not in BUNDLED:
            images = place(data)
            if isinstance(images, Path):
                images = expand_user(images).absolute()
            sections["ingest"]["source"] = str(images)
        config = compose(sections, changes, "The command line")
        folder = folder or Path(config.run)  # --set run=... has the last word
    confirm = _confirmation(yes, options["quiet"])
    asked = RunOptions(until=until, stages=stages, confirm=confirm, **options)
    with open_job(config, folder, out, asked) as job:
        _do(job, dry_run=options["dry_run"])


def _confirmation(yes: bool, quiet: bool) -> Callable[[str], None]:
    """Prints how long a run takes; on a terminal, asks unless `yes`.

    Without a terminal nobody could answer: a batch job gets the text and goes on.
    """

    def confirm(text: str) -> None:
        asks = not yes and sys.stdin.isatty() and sys.stderr.isatty()
        if asks or not quiet:
            echo(text, err=True)
        if not asks:
            return
        with interrupt_at_once():
            if not click.confirm("Go on?", default=True, err=True):
                raise Interrupted(
                    "The run was not begun; its images are prepared. The same command asks again,"
                    " --yes does not ask."
                )

    return confirm


def _do(job: "Job", *, dry_run: bool) -> None:
    if dry_run and job.worker is not None:
        raise ConfigError("A dry run is of the whole run. Leave out --worker.")
    if dry_run:
        print_estimate(job)
    else:
        run_job(job)


def run_job(job: "Job") -> None:
    """Runs the stages and prints the outcome; torch is loaded here and not before."""
    from ..run import run as run_stages

    print_outcome(job, run_stages(job))


@contextmanager
def open_job(config: "Config", folder: Path, shards: Place, options: RunOptions) -> Iterator["Job"]:
    """The job of a command: checked, device and worker resolved, signals turned into requests to
    stop. What cannot be done as asked is refused before torch is loaded, which takes seconds."""
    from ..job import Job
    from ..launch import parse_worker, rank
    from ..preflight import check_request
    from ..progress import ProgressReporter

    with stop_on_signal() as stopping:
        job = Job(
            config,
            folder.absolute(),
            shards.absolute() if isinstance(shards, Path) else shards,
            options.device,
            ProgressReporter(options.quiet),
            stopping,
            options.until,
            options.only,
            parse_worker(options.worker) if options.worker else None,
            options.accept_environment,
            options.replace,
            options.stages,
            options.confirm,
        )
        if job.worker is None and rank() == 0:
            check_request(job)
        yield replace(job, device=resolve_device(options.device))


def print_estimate(job: "Job") -> None:
    """Prints what --dry-run promises, after the checks that a run begins with."""
    from ..dry_run import estimate
    from ..preflight import check_device

    check_device(job)
    echo(estimate(job))


def print_outcome(job: "Job", outcome: "Outcome") -> None:
    """Prints where everything is, and the verdict."""
    from ...stages.common.units import format_duration
    from ..launch import rank

    if not outcome.worked:
        echo(f"Nothing to do: every stage of {job.folder} is up to date.")
    places: dict[str, Place] = {
        "shards": job.shards,
        "report": job.files.report_page,
        "contact sheet": job.files.contact_sheet,
        "metrics": job.files.metrics,
    }
    for name, path in places.items():
        if not isinstance(path, Path):
            echo(f"{name + ':':<15}{path}")
        elif path.exists():
            is_earlier = name != "shards" and "evaluate" not in outcome.stages
            earlier = " (of an earlier evaluation)" if is_earlier else ""
            echo(f"{name + ':':<15}{_shorten(path)}{earlier}")
    if outcome.verdict is not None:
        if outcome.verdict["advice"]:
            echo(f"advice:        {outcome.verdict['advice']}")
        echo(f"verdict:       {outcome.verdict['text']}")
    if job.ends_with_trial and not rank():
        from .trial import conduct

        if job.stopping():
            raise Interrupted("Stopped before the trial; the same command goes on.")
        conduct(job.folder, job.config, job.device, None, job.progress)
    job.progress.note(f"finished in {format_duration(job.progress.elapsed())}")


def _shorten(path: Path) -> str:
    """The path relative to the working folder, where it lies in it."""
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)
