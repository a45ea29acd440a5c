"""Gives inputs their classes: from StyleGAN's dataset.json, or from the folders they lie in.

{"labels": [["00000/img00000000.png", 3], ...]} with a class number for every image, or null.
"""

import json
from dataclasses import replace
from typing import Any

from ...manifests.errors import ConfigError
from ..images.input import Input
from ..images.unusable import Unusable, explain
from .base import Source, folder_labels, with_labels

LABELS_FILE = "dataset.json"
_NAMED = 5  # images that an error lists
_REMEDY = "Mend dataset.json, or set ingest.classes: none to ignore the labels."


def source_of_files(
    title: str, inputs: list[Input], classes: bool, names: list[str] | None = None
) -> Source:
    """A source of files in folders; with `classes`, labelled by dataset.json, else by folders.

    names: below the root, where an input's own name has another prefix.

    Raises:
        ConfigError: a dataset.json that cannot be read, or that does not label every image.
    """
    if classes:
        data = _read_labels_file(inputs, title)
        if _has_labels(data):
            inputs = _with_file_labels(inputs, data, title)
        else:
            names = [item.name for item in inputs] if names is None else names
            inputs = with_labels(inputs, folder_labels(inputs, names))
    return Source(title, inputs)


def _with_file_labels(inputs: list[Input], data: bytes, title: str) -> list[Input]:
    """The inputs with the labels that `data`, the bytes of dataset.json, gives them."""
    labels = _parse_labels(data, title)
    marked = [
        replace(item, refused="the labels of the images") if item.name == LABELS_FILE else item
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
        named = ", ".join(missing[:_NAMED]) + more
        raise ConfigError(f"{LABELS_FILE} of {title} has no label for {named}. {_REMEDY}")
    return [replace(item, label=labels.get(item.name)) for item in marked]


def _read_labels_file(inputs: list[Input], title: str) -> bytes:
    """The bytes of dataset.json, empty where there is none. Raises ConfigError if unreadable."""
    for item in inputs:
        if item.name == LABELS_FILE:
            try:
                if item.refused:
                    raise Unusable(item.refused)
                return item.read()
            except Exception as error:  # archives raise what they like
                raise ConfigError(
                    f"{LABELS_FILE} of {title} could not be read ({explain(error)}). {_REMEDY}"
                ) from error
    return b""


def _has_labels(data: bytes) -> bool:
    """Whether a file of this name is StyleGAN's; other tools write a dataset.json too."""
    try:
        return "labels" in json.loads(data)
    except (ValueError, TypeError, RecursionError):
        return data.lstrip()[:1] == b"{"  # a damaged one must be reported, and not ignored


def read_pairs(data: bytes) -> list[tuple[str, Any]] | None:
    """The pairs (name, label) of dataset.json; None where its labels are null.

    The form is that of StyleGAN's reader: {"labels": [[name, label], ...]}, or an object of labels
    by name, or null. The labels themselves are not checked.

    Raises:
        ValueError: it has another form; the message says which.
    """
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from error
    if not isinstance(document, dict) or "labels" not in document:
        kind = f"keys {sorted(document)[:5]}" if isinstance(document, dict) else "no object"
        raise ValueError(f"{kind}; there is no key 'labels'")
    pairs = document["labels"]
    if pairs is None:
        return None
    if isinstance(pairs, dict):  # StyleGAN's dict(labels) takes that too
        pairs = list(pairs.items())
    if not isinstance(pairs, list):
        raise ValueError(f"labels is a {type(pairs).__name__}")
    for number, pair in enumerate(pairs):
        if not (isinstance(pair, list | tuple) and len(pair) == 2 and isinstance(pair[0], str)):
            raise ValueError(f"entry {number} is {str(pair)[:60]}")
    return [(name, label) for name, label in pairs]


def _parse_labels(data: bytes, title: str) -> dict[str, int]:
    try:
        pairs = read_pairs(data) or []
    except ValueError as error:
        raise ConfigError(
            f'{LABELS_FILE} of {title} cannot be read as {{"labels": [[name, class], ...]}}'
            f" ({error}). {_REMEDY}"
        ) from error
    labels = dict(pairs)
    conflicts = [name for name, label in pairs if labels[name] != label]
    if conflicts:
        raise ConfigError(
            f"{LABELS_FILE} of {title} gives {conflicts[0]} two different labels. {_REMEDY}"
        )
    for name, label in labels.items():
        if not isinstance(label, int) or isinstance(label, bool) or label < 0:
            kind = "a list of weights (a soft label)" if isinstance(label, list) else repr(label)
            raise ConfigError(
                f"{LABELS_FILE} of {title} gives {name} the label {kind}; a class is a whole number"
                f" from 0. {_REMEDY}"
            )
    return labels
