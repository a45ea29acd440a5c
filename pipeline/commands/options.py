"""A place on the command line: a path, or a URL of an object store."""

from pathlib import Path
from typing import Any

import click

from ...manifests.errors import ConfigError
from ...manifests.storage.location import Place, place


class PlaceType(click.ParamType[Place]):
    name = "path"

    def convert(
        self, value: Any, param: click.Parameter | None, context: click.Context | None
    ) -> Place:
        return place(value) if isinstance(value, str) else value  # a default is one already


class LocalType(PlaceType):
    def convert(
        self, value: Any, param: click.Parameter | None, context: click.Context | None
    ) -> Place:
        found = super().convert(value, param, context)
        if not isinstance(found, Path):
            raise ConfigError(f"{found} was named where a folder on a disk is needed.")
        return found


PLACE, LOCAL = PlaceType(), LocalType()
