"""Options and parameter types that several commands share: --device, --set, --quiet, places."""

from pathlib import Path
from typing import Any

import click

from ...manifests.errors import ConfigError
from ...manifests.storage.location import Place, place


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
            raise ConfigError(f"{found} was named where a folder on a disk is needed.")
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
