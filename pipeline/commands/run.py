"""The commands `run` and `augment`, and what every command that runs stages shares."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ...manifests.errors import ConfigError
from ...manifests.storage.location import Place, place
from ..ledger import Ledger
from ..signals import stop_on_signal
from .options import DEVICE, LOCAL, PLACE, QUIET, SET

if TYPE_CHECKING:
    from ..config import Config
    from ..run import Outcome

UNTIL = ("ingest", "train", "plan", "write", "evaluate")

_UNTIL = click.option(
    "--until", type=click.Choice(UNTIL), default=UNTIL[-1], help="Stop after this stage."
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


@dataclass(frozen=True)
class RunOptions:
    """What the commands that work have in common."""

    device: str
    quiet: bool
    until: str = UNTIL[-1]
    only: str | None = None
    dry_run: bool = False
    worker: str | None = None
    accept_environment: bool = False


@click.command()
@click.argument("stages", type=click.Path(path_type=Path))
@_UNTIL
@SET
@DEVICE
@_WORKER
@_ACCEPT
@_DRY
@QUIET
def run(stages: Path, until: str, overrides: tuple[str, ...], **how: Any) -> None:
    """Run every stage of STAGES (a stages.yaml) that is missing or stale.

    A run that was stopped goes on with the same command.
    """
    from ..config import load_config

    config = load_config(stages, list(overrides))
    folder = Path(config.run)
    start_run(config, folder, Ledger(folder).place(), RunOptions(until=until, **how))


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
@_DRY
@QUIET
def augment(
    out: Place,
    ratio: int | None,
    data: str | None,
    folder: Path | None,
    until: str,
    overrides: tuple[str, ...],
    **how: Any,
) -> None:
    """The whole pipeline in one command: images in, shards in OUT.

    Options of stages.yaml are set with --set, as in --set ingest.limit=1000.
    """
    from ..config import compose, load_config

    wanted = list(overrides) + ([f"generate.ratio={ratio}"] if ratio else [])
    if isinstance(out, Path):
        out = out.absolute()
        beside = out.with_name(out.name + ".run")
    else:
        beside = Path.cwd() / f"{out.name}.run"
    if data is None:
        if not Path("stages.yaml").exists():
            raise ConfigError(
                "Neither --data was given nor is there a stages.yaml in this folder. Name your"
                " images, as in --data photos/, or write a file with `scoremix-pipeline init`."
            )
        config = load_config(Path("stages.yaml"), wanted)
        folder = folder or Path(config.run)
    else:
        sections: dict[str, Any] = {"ingest": {"source": data}, "run": str(folder or beside)}
        if data not in ("digits", "faces"):
            images = place(data)
            if isinstance(images, Path):
                images = images.expanduser().absolute()
            sections["ingest"]["source"] = str(images)
        config = compose(sections, wanted, "The command line")
        folder = folder or beside
    start_run(config, folder.absolute(), out, RunOptions(until=until, **how))


def start_run(config: "Config", folder: Path, shards: Place, how: RunOptions) -> None:
    """Runs what is missing or stale, and says where everything is."""
    from ...stages.common.units import format_duration
    from ..progress import ProgressReporter
    from ..run import Job
    from ..run import run as bring
    from ..shards.worker import parse_worker

    progress = ProgressReporter(how.quiet)
    with stop_on_signal() as stopping:
        job = Job(
            config,
            folder.absolute(),
            shards.absolute() if isinstance(shards, Path) else shards,
            resolve_device(how.device),
            progress,
            stopping,
            how.until,
            how.only,
            parse_worker(how.worker) if how.worker else None,
            how.accept_environment,
        )
        if how.dry_run and how.worker:
            raise ConfigError("A dry run is of the whole run. Leave out --worker.")
        if how.dry_run:
            from ..dry_run import estimate
            from ..preflight import check_job as check_places

            check_places(job)
            click.echo(estimate(config, job.folder, job.shards, job.device, progress))
            return
        outcome = bring(job)
    folder, shards = job.folder, job.shards
    if not outcome.worked:
        click.echo(f"Nothing to do: every stage of {folder} is up to date.")
    _show(folder, shards, outcome)
    progress.note(f"finished in {format_duration(progress.elapsed())}")


def _show(folder: Path, shards: Place, outcome: "Outcome") -> None:
    """Where everything is, and the verdict."""
    places: dict[str, Place] = {
        "shards": shards,
        "report": folder / "report" / "index.html",
        "contact sheet": folder / "report" / "contact-sheet.png",
        "metrics": folder / "report" / "metrics.json",
    }
    for name, path in places.items():
        if not isinstance(path, Path):
            click.echo(f"{name + ':':<15}{path}")
        elif path.exists():
            click.echo(f"{name + ':':<15}{_near(path)}")
    if outcome.verdict is not None:
        click.echo(f"verdict:       {outcome.verdict['text']}")


def _near(path: Path) -> str:
    """A path as short as the working folder allows."""
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)


def resolve_device(name: str) -> str:
    """cpu or cuda; raises ConfigError for a GPU that is not there."""
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError(
            "--device cuda was asked for, but this torch sees no GPU. Use --device cpu, or install"
            " a CUDA build of torch."
        )
    return name
