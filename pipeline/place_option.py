"""A place on the command line: a path, or a URL of an object store."""

from typing import Any

import click

from ..manifests.urls import Place, place


class PlaceType(click.ParamType[Place]):
    name = "path"

    def convert(
        self, value: Any, param: click.Parameter | None, context: click.Context | None
    ) -> Place:
        return place(value) if isinstance(value, str) else value  # a default is one already


PLACE = PlaceType()
