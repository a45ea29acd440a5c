"""The command `export`."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..manifests.errors import ConfigError

if TYPE_CHECKING:
    from ..stages.export import Exported

_TARGETS = ("stylegan", "imagefolder", "unpaired", "hdf5", "lmdb")


@click.command("export")
@click.argument("shards", type=click.Path(path_type=Path))
@click.option("--to", type=click.Choice(_TARGETS), help="The layout; --trainer implies it.")
@click.option("--trainer", metavar="NAME", help="What will read it; a wrong name lists them all.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder, or .zip.")
@click.option("--ratio", type=click.IntRange(0), help="Rounds 0 to this one. Default: all.")
@click.option("--real-only", is_flag=True, help="The real images alone: for evaluation.")
@click.option("--rgb", is_flag=True, help="Gray images as RGB; a trainer that needs it implies it.")
@click.option(
    "--hard-labels",
    type=click.Choice(["argmax"]),
    help="Soft labels become the class of the largest weight.",
)
@click.option("--domains", metavar="A,B", help="unpaired: the classes of trainA and trainB.")
@click.option("--overwrite", is_flag=True, help="Replace an export, or a file, that is in the way.")
@click.option("--quiet", is_flag=True, help="No progress.")
def export(shards: Path, out: Path, quiet: bool, domains: str | None, **options: Any) -> None:
    """Write SHARDS in the layout that an existing GAN trainer reads, without a changed line there.

    Prints the trainer's own commands at the end; docs/trainers.md says what to switch off.
    """
    from ..stages.export import ExportConfig
    from ..stages.export import export as write
    from .ledger import shards_of
    from .progress import Shown, Stoppable
    from .signals import stop_on_signal

    config = ExportConfig(**options, domains=_pair(domains))
    shards = shards_of(shards)
    with stop_on_signal() as stopping:
        done = write(shards, out, config, progress=Stoppable(Shown(quiet), stopping))
    _tell(done)


def _pair(domains: str | None) -> tuple[str, str] | None:
    if domains is None:
        return None
    names = domains.split(",")
    if len(names) != 2:
        raise ConfigError(f"--domains {domains!r} was given; name two classes, as in cats,dogs.")
    return names[0], names[1]


def _tell(done: "Exported") -> None:
    """What is there now, and what to do with it."""
    from .progress import size

    listing = done.listing
    labels = {"none": "no labels", "hard": "class labels", "soft": "soft labels"}[listing.labels]
    if not done.made:
        click.echo(f"Nothing to do: {done.out} is this export already.")
    click.echo(
        f"{done.out}: {listing.count:,} images of {listing.resolution} px, "
        f"{'RGB' if listing.channels == 3 else 'gray'}, {labels}; "
        f"{done.files:,} files, {size(done.bytes)}"
    )
    commands = {
        "train": done.commands.train,
        "the real images alone, for the evaluation": done.commands.real,
        "evaluate": done.commands.evaluate,
    }
    for title, line in commands.items():
        if line:
            click.echo(f"{title}:\n  {line}")
    for note in done.commands.notes:
        click.echo(f"note: {note}")
