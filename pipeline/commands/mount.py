"""The command `mount`."""

import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ...manifests.storage.location import Place
from ..echo import echo
from .options import LOCAL, PLACE, describe_listing, layout_options, parse_domains, print_commands

if TYPE_CHECKING:
    from ...stages.mount.mount import Mounted


@click.command("mount")
@click.argument("shards", type=PLACE)
@click.argument("mountpoint", metavar="DIR", type=LOCAL)
@layout_options(("stylegan", "imagefolder", "unpaired"))
def mount(shards: Place, mountpoint: Path, domains: str | None, **options: Any) -> None:
    """Show SHARDS at DIR as the files that `export` would write, without a copy (Linux, FUSE).

    DIR is an empty folder, or none yet. Serves until control-C, SIGTERM or an unmount from
    elsewhere, and ends with exit code 0. Needs the extra `mount` and the right to mount; in a
    container, use `export`.
    """
    from ...stages.mount.mount import MountConfig
    from ...stages.mount.mount import mount as serve
    from ..ledger import find_local_shards, find_run
    from ..signals import stop_on_signal

    config = MountConfig(**options, domains=parse_domains(domains))
    folder = find_local_shards(shards)
    with stop_on_signal(signal.SIGHUP, patient=True) as stopping:
        serve(
            folder,
            mountpoint,
            config,
            ready=_print_result,
            stopping=stopping,
            run=find_run(shards),
        )
    echo(f"{mountpoint} is unmounted.", err=True)


def _print_result(done: "Mounted") -> None:
    """Prints the result and the next commands."""
    echo(f"{done.mountpoint}: {describe_listing(done.listing)}; {done.files:,} files, read-only")
    print_commands(done.commands)
    echo(f"Serving. To unmount: control-C here, or from elsewhere\n  {done.unmount}")
