"""The command `export`."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ...manifests.storage.location import Place
from ...manifests.trainers.spec import TARGETS
from ..echo import echo
from .options import (
    LOCAL,
    PLACE,
    QUIET,
    describe_listing,
    layout_options,
    parse_domains,
    print_commands,
)

if TYPE_CHECKING:
    from ...stages.export.export import Exported


@click.command("export")
@click.argument("shards", type=PLACE)
@layout_options(TARGETS)
@click.option("--out", type=LOCAL, required=True, help="Folder, or .zip.")
@click.option(
    "--held-out",
    is_flag=True,
    help="The run's held-out images too, where the trainer has a folder for them: val/, valid/,"
    " testA/ and testB/.",
)
@click.option(
    "--held-out-only",
    is_flag=True,
    help="The run's held-out images alone: for an evaluation that does not reward memorising.",
)
@click.option("--overwrite", is_flag=True, help="Replace an export, or a file, that is in the way.")
@QUIET
def export(shards: Place, out: Path, quiet: bool, domains: str | None, **options: Any) -> None:
    """Write SHARDS in the layout that an existing GAN trainer reads, without changing its code.

    Prints the trainer's own commands at the end; docs/trainers.md says what to switch off.
    """
    from ...stages.export.export import ExportConfig
    from ...stages.export.export import export as write
    from ..ledger import find_local_shards, find_run
    from ..own_places import refuse_output_among
    from ..progress import ProgressReporter, Stoppable
    from ..signals import stop_on_signal

    config = ExportConfig(**options, domains=parse_domains(domains))
    folder, run = find_local_shards(shards), find_run(shards)
    refuse_output_among(out, [run], [folder])
    with stop_on_signal() as stopping:
        progress = Stoppable(ProgressReporter(quiet), stopping)
        done = write(folder, out, config, progress=progress, run=run)
    _print_result(done)


def _print_result(done: "Exported") -> None:
    """Prints the result and the next commands."""
    from ...stages.common.units import format_bytes

    if not done.written:
        echo(f"Nothing to do: {done.out} is this export already.")
    echo(
        f"{done.out}: {describe_listing(done.listing)}; {done.files:,} files,"
        f" {format_bytes(done.bytes)}"
    )
    print_commands(done.commands)
