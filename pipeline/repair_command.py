"""The command `repair`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..manifests.errors import ConfigError, VerifyError
from .ledger import Ledger

if TYPE_CHECKING:
    from .repairing import Repaired


@click.command()
@click.argument("shards", type=click.Path(path_type=Path))
@click.option(
    "--run",
    "folder",
    type=click.Path(path_type=Path),
    help="The run that made SHARDS; needed only where they do not lie in it or beside it.",
)
@click.option(
    "--accept-new",
    is_flag=True,
    help="Where the old bytes cannot be met, or no witness of them is left: record the new ones.",
)
@click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    help="Where to compute; auto takes a GPU if there is one.",
)
@click.option("--quiet", is_flag=True, help="No progress.")
def repair(shards: Path, folder: Path | None, accept_new: bool, device: str, quiet: bool) -> None:
    """Make the damaged or missing files of SHARDS again, from the run that made them.

    What is made is compared with its old digest before it replaces anything; what is sound is not
    touched. Exit code 3 where something could not be made again; it is named.
    """
    from ..manifests.lock import run_lock
    from .progress import Shown
    from .reopen import reopen
    from .repairing import repair as mend
    from .run_commands import device_of

    if ":/" in str(shards):  # a Path has lost one of the slashes
        raise ConfigError(
            f"repair mends shards on a disk, and {shards} is a URL. Remove the objects that verify"
            " names, and SHA256SUMS, and run the same command as before: what is missing is made"
            " again, in the same bytes."
        )
    run = _run_of(shards, folder)
    if (shards / "stages.lock.json").exists():
        shards = run / (Ledger(run).shards or "shards")
    with run_lock(run):
        report = mend(
            reopen(run),
            shards.absolute(),
            device=device_of(device),
            accept_new=accept_new,
            progress=Shown(quiet),
        )
    _tell(shards, report)


def _run_of(shards: Path, folder: Path | None) -> Path:
    """The run that made the shards: named, or the one that they lie in or beside."""
    if folder is not None:
        return folder.absolute()
    place = shards.absolute()
    if (place / "stages.lock.json").exists():
        return place
    for run in (place.parent, place.with_name(f"{place.name}.run")):
        if (run / "stages.lock.json").exists():
            if (run / (Ledger(run).shards or "shards")).resolve() == place.resolve():
                return run
    raise ConfigError(
        f"No run was found that made {shards}: looked in {place.parent} and {place.name}.run beside"
        " it. Images are made again from a run's corpus and network: name its folder with --run."
    )


def _tell(shards: Path, report: "Repaired") -> None:
    for name, what in report.done.items():
        click.echo(f"{name}: {what}")
    for name, why in report.refused.items():
        click.echo(f"{name}: NOT repaired: {why}")
    if report.left or report.refused:
        for problem in report.left:
            click.echo(str(problem))
        raise VerifyError(
            f"{shards} is not whole yet: {len(report.left)} problem(s), listed above. Files that"
            " the run does not make are left as they are: restore or remove them yourself."
        )
    if not report.done:
        click.echo(f"Nothing to repair: {shards} is whole.")
    else:
        click.echo(f"{shards} is whole again: {len(report.done)} repaired, the rest untouched.")
