"""What `export` and `mount` share: the options of a layout, and what is said at the end."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from ...manifests.errors import ConfigError

if TYPE_CHECKING:
    from ...manifests.trainers.commands import Commands
    from ...manifests.trainers.layout import ExportListing


Command = Callable[..., Any]


def layout_options(targets: Sequence[str]) -> Callable[[Command], Command]:
    """The options of LayoutChoice; `domains` arrives as one text, for `pair`."""
    options = (
        click.option("--to", type=click.Choice(targets), help="The layout; --trainer implies it."),
        click.option(
            "--trainer", metavar="NAME", help="What will read it; a wrong name lists them all."
        ),
        click.option("--ratio", type=click.IntRange(0), help="Rounds 0 to this one. Default: all."),
        click.option("--real-only", is_flag=True, help="The real images alone: for evaluation."),
        click.option(
            "--rgb",
            is_flag=True,
            help="Gray images as RGB; a trainer that needs it implies it.",
        ),
        click.option(
            "--hard-labels",
            type=click.Choice(["argmax"]),
            help="Soft labels become the class of the largest weight.",
        ),
        click.option(
            "--domains", metavar="A,B", help="unpaired: the classes of trainA and trainB."
        ),
    )

    def with_options(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return with_options


def parse_domains(domains: str | None) -> tuple[str, str] | None:
    if domains is None:
        return None
    names = domains.split(",")
    if len(names) != 2:
        raise ConfigError(f"--domains {domains!r} was given; name two classes, as in cats,dogs.")
    return names[0], names[1]


def describe_listing(listing: "ExportListing") -> str:
    """ "11,000 images of 64 px, RGB, class labels"."""
    labels = {"none": "no labels", "hard": "class labels", "soft": "soft labels"}[listing.labels]
    colours = "RGB" if listing.channels == 3 else "gray"
    return f"{listing.count:,} images of {listing.resolution} px, {colours}, {labels}"


def print_commands(commands: "Commands") -> None:
    """The trainer's own, to copy; then what to know."""
    lines = {
        "train": commands.train,
        "the real images alone, for the evaluation": commands.real,
        "evaluate": commands.evaluate,
    }
    for title, line in lines.items():
        if line:
            click.echo(f"{title}:\n  {line}")
    for note in commands.notes:
        click.echo(f"note: {note}")
