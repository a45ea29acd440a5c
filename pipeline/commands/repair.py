"""The command `repair`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ...manifests.errors import ConfigError, VerifyError
from ...manifests.storage.location import Place
from ..echo import echo
from ..ledger import find_run, find_shards, require_run
from .options import DEVICE, LOCAL, PLACE, QUIET, resolve_device

if TYPE_CHECKING:
    from ..maintenance.repair import Repaired


@click.command()
@click.argument("shards", type=PLACE)
@click.option(
    "--run",
    "folder",
    type=LOCAL,
    help="The run that made SHARDS; needed only where they do not lie in it or beside it.",
)
@click.option(
    "--accept-new",
    is_flag=True,
    help="Where the old bytes cannot be met, or no record of them is left: record the new ones.",
)
@DEVICE
@QUIET
def repair(shards: Place, folder: Path | None, accept_new: bool, device: str, quiet: bool) -> None:
    """Make the damaged or missing files of SHARDS again, from the run that made them.

    What is made is compared with its old digest before it replaces anything; what is sound is not
    touched. Exit code 3 where something could not be made again; it is named.
    """
    from ...manifests.files.lock import run_lock
    from ..progress import ProgressReporter

    run = _run_of(shards, folder)
    from ..finished_run import load_finished_run
    from ..maintenance.repair import repair as mend

    shards = find_shards(shards)
    with run_lock(run):
        report = mend(
            load_finished_run(run),
            shards.absolute() if isinstance(shards, Path) else shards,
            device=resolve_device(device),
            accept_new=accept_new,
            progress=ProgressReporter(quiet),
        )
    _print_repaired(shards, report)


def _run_of(shards: Place, folder: Path | None) -> Path:
    """The run that made the shards: named, or the one that they lie in or beside."""
    if folder is not None:
        return require_run(folder).absolute()
    run = find_run(shards)
    if run is not None:
        return run
    looked = f"{shards.name}.run in this folder"
    if isinstance(shards, Path):
        place = shards.absolute()
        looked = f"{place.parent} and {place.name}.run beside it"
    raise ConfigError(
        f"No run was found that made {shards}: looked for {looked}. Images are made again from a"
        " run's corpus and network: name its folder with --run."
    )


def _print_repaired(shards: Place, report: "Repaired") -> None:
    for name, what in report.done.items():
        echo(f"{name}: {what}")
    for name, why in report.refused.items():
        echo(f"{name}: NOT repaired: {why}")
    if report.left or report.refused:
        for problem in report.left:
            echo(str(problem))
        raise VerifyError(
            f"{shards} is not whole yet: {len(report.left)} problem(s), listed above. Files that"
            " the run does not make are left as they are: restore or remove them yourself."
        )
    if not report.done:
        echo(f"Nothing to repair: {shards} is whole.")
    else:
        echo(f"{shards} is whole again: {len(report.done)} repaired, the rest untouched.")
