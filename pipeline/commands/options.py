"""Options and parameter types that several commands share: places, --device, --set, layouts.

Also the text with which `export` and `mount` end.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ...manifests.errors import ConfigError
from ...manifests.foreign_text import redact_url
from ...manifests.storage.location import Place, place
from ..echo import echo

if TYPE_CHECKING:
    from ...manifests.trainers.commands import Commands
    from ...manifests.trainers.layout import ExportListing

Command = Callable[..., Any]


class PlaceType(click.ParamType[Place]):
    """A path, or the URL of an object store."""

    name = "path"

    def convert(
        self, value: Any, param: click.Parameter | None, context: click.Context | None
    ) -> Place:
        return place(value) if isinstance(value, str) else value  # a default is one already


class LocalType(PlaceType):
    """A path alone: a URL is refused with ConfigError."""

    def convert(
        self, value: Any, param: click.Parameter | None, context: click.Context | None
    ) -> Place:
        found = super().convert(value, param, context)
        if not isinstance(found, Path):
            raise ConfigError(
                f"{redact_url(str(found))} was named where a file or folder on a disk is needed."
                " Fetch it first, and name its path."
            )
        return found


PLACE, LOCAL = PlaceType(), LocalType()

DEVICE = click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    help="Where to compute; auto takes a GPU if there is one.",
)
SET = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Override a value, as in generate.ratio=5; may be repeated.",
)
QUIET = click.option("--quiet", is_flag=True, help="No progress.")
JSON = click.option("--json", "as_json", is_flag=True, help="The result as JSON, for programs.")


def layout_options(targets: Sequence[str]) -> Callable[[Command], Command]:
    """The options of LayoutOptions; `domains` arrives as one text, for parse_domains."""
    options = (
        click.option("--to", type=click.Choice(targets), help="The layout; --trainer implies it."),
        click.option("--trainer", metavar="NAME", help="Trainer name (docs/trainers.md)."),
        click.option(
            "--ratio",
            type=click.IntRange(0),
            help="The real images, and rounds 1 to this one. Default: all.",
        ),
        click.option("--real-only", is_flag=True, help="The real images alone: for evaluation."),
        click.option(
            "--real-classes-only", is_flag=True, help="Without the images of new classes."
        ),
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
        click.option(
            "--images-shown",
            type=click.IntRange(1),
            help="Length of the training in the printed command, in images shown. Default: the"
            " trainer's, its epochs being of the real images, so that arms are trained equally.",
        ),
    )

    def with_options(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return with_options


def print_json(result: Any) -> None:
    """Prints the result of --json: nothing else goes to standard output then."""
    echo(json.dumps(result, indent=2, ensure_ascii=False))


def parse_domains(domains: str | None) -> tuple[str, str] | None:
    """ "cats,dogs" -> ("cats", "dogs"); raises ConfigError for another number of names."""
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
    """Prints the trainer's own commands, to copy, and its notes."""
    lines = {
        "train": commands.train,
        "sample": commands.sample,
        "evaluate the samples": commands.generated,
        "the real images alone, for the trainer's own evaluation": commands.real,
        "the trainer's own evaluation": commands.evaluate,
    }
    for title, line in lines.items():
        if line:
            echo(f"{title}:\n  {line}")
    for note in commands.notes:
        echo(f"note: {note}")


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


def default_processes(device: str, *, builtin: bool) -> int:
    """Cores for networks of our own, of one thread each; GPUs for commands; else one."""
    import torch

    from ...stages.common.processors import usable_cores

    if builtin:
        return usable_cores() if device == "cpu" else 1
    return max(1, torch.cuda.device_count())


def refuse_other_options(overrides: tuple[str, ...], known: tuple[str, ...], reason: str) -> None:
    """Raises ConfigError for a --set that does not begin with one of `known`.

    reason: what it does not hold for, why, and what can be set; it ends the sentence.
    """
    other = [one for one in overrides if not one.startswith(known)]
    if other:
        raise ConfigError(f"--set {other[0]} does not hold for {reason}.")


def _same(one: Any, other: Any) -> bool:
    """Whether two values are the same; a path may end in a slash."""
    if isinstance(one, str) and isinstance(other, str):
        return one.rstrip("/") == other.rstrip("/")
    return bool(one == other)


def with_overrides(
    overrides: Sequence[str], options: Mapping[str, tuple[str, str | None]]
) -> list[str]:
    """The overrides of --set with those that a command's own options stand for.

    options: of the command, as "--seeds" -> ("trial.seeds", "3"), the value as --set takes it; None
    where it was not given.

    Raises ConfigError where --set gives the same option another value.
    """
    from ..config import value_set

    given = {option: one for option, one in options.items() if one[1] is not None}
    for option, (name, text) in given.items():
        asked, another = value_set([f"{name}={text}"], name), value_set(overrides, name)
        if another is not None and not _same(asked, another):
            written = [one for one in overrides if one.partition("=")[0] == name]
            other = written[-1] if written else f"{name}={another}"
            raise ConfigError(
                f"{option} {text} and --set {other} name two values of {name}. Give one of them."
            )
    return [*overrides, *(f"{name}={text}" for name, text in given.values())]
