"""dataset.json: the labels of a StyleGAN folder or zip.

{"labels": [["00000/img00000000.png", 3], ...]} with a class number for every image, or null.
"""

import json
from dataclasses import replace
from typing import Any

from ...manifests.errors import ConfigError
from ..images.decode import Unusable, explain
from ..images.input import Input

LABELS = "dataset.json"
_NAMED = 5  # images that an error lists
_REMEDY = "Mend dataset.json, or set ingest.classes: none to ignore the labels."


def labelled(inputs: list[Input], data: bytes, what: str) -> list[Input]:
    """The inputs with the labels that `data`, the bytes of dataset.json, gives them.

    Raises:
        ConfigError: it is no such file, a label is no class number, an image has no label.
    """
    labels = _parse(data, what)
    marked = [
        replace(item, refused="the labels of the images") if item.name == LABELS else item
        for item in inputs
    ]
    if not labels:
        return marked
    missing = [
        item.name
        for item in marked
        if item.claims_image and not item.hidden and item.name not in labels
    ]
    if missing:
        more = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
        raise ConfigError(
            f"{LABELS} of {what} has no label for {', '.join(missing[:_NAMED])}{more}. {_REMEDY}"
        )
    return [replace(item, label=labels.get(item.name)) for item in marked]


def read_table(inputs: list[Input], what: str) -> bytes:
    """The bytes of dataset.json, empty where there is none. Raises ConfigError if unreadable."""
    for item in inputs:
        if item.name == LABELS:
            try:
                if item.refused:
                    raise Unusable(item.refused)
                return item.read()
            except Exception as error:  # archives raise what they like
                raise ConfigError(
                    f"{LABELS} of {what} could not be read ({explain(error)}). {_REMEDY}"
                ) from error
    return b""


def has_labels(data: bytes) -> bool:
    """Whether a file of this name is StyleGAN's; other tools write a dataset.json too."""
    try:
        return "labels" in json.loads(data)
    except (ValueError, TypeError, RecursionError):
        return data.lstrip()[:1] == b"{"  # a broken one is told of, and not passed over


def _parse(data: bytes, what: str) -> dict[str, int]:
    try:
        pairs: Any = json.loads(data)["labels"]
        labels = {str(name): label for name, label in pairs or ()}
        twice = [str(name) for name, label in pairs or () if labels[str(name)] != label]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ConfigError(
            f'{LABELS} of {what} cannot be read as {{"labels": [[name, class], ...]}}'
            f" ({type(error).__name__}: {error}). {_REMEDY}"
        ) from error
    if twice:
        raise ConfigError(f"{LABELS} of {what} gives {twice[0]} two different labels. {_REMEDY}")
    for name, label in labels.items():
        if not isinstance(label, int) or isinstance(label, bool) or label < 0:
            kind = "a list of weights (a soft label)" if isinstance(label, list) else repr(label)
            raise ConfigError(
                f"{LABELS} of {what} gives {name} the label {kind}; a class is a whole number from"
                f" 0. {_REMEDY}"
            )
    return labels
