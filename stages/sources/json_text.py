"""Reads JSON in which no label is given twice: of equal keys Python takes the last in silence."""

from collections.abc import Collection
from typing import Any

from ...manifests.errors import ConfigError
from ...manifests.files.json_reader import parse_json


def load_json(data: bytes | str, where: str, keys: Collection[str]) -> Any:
    """The value that a JSON text holds.

    where: names the text, for messages. keys: of labels.

    Raises:
        ConfigError: an object has one of the keys twice, with different values.
        ValueError: no JSON.
    """

    def unequivocal(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        values = dict(pairs)
        for key, value in pairs:
            if key in keys and value is not values[key] and value != values[key]:
                raise ConfigError(
                    f"{where} has the key {key} twice, with {str(value)[:60]} and"
                    f" {str(values[key])[:60]}. Remove one of them, or set ingest.classes: none."
                )
        return values

    return parse_json(data, unequivocal)
