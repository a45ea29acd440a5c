"""Reads the class of an image from files that share its name: KEY.cls, KEY.json.

As fields of a WebDataset sample in a tar, or unpacked, in a folder or zip.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ...manifests.errors import ConfigError
from ...manifests.foreign_text import first_names
from ..images.input import Input, Label
from ..images.unusable import explain
from .class_values import class_of, class_of_text
from .limits import check_label_file
from .metadata_file import LABEL_NAMES

# Fields of a sample, and keys of its JSON: the first of them that is there has the class.
LABEL_FIELDS = ("cls", *(name for name in LABEL_NAMES if name != "cls"))
LABEL_KEYS = ("label", "cls", "class", "class_id", "labels", "category", "target")
MAX_LABEL_BYTES = 200  # of a .cls beside no image; LaTeX has files of that name, and larger ones
_SOFT = "soft_label"  # of a corpus made here: a weight for every class
_TEXTS = ("txt", "text")  # KEY.label.txt
_SHOWN = 4  # names in an error


def label_file(fields: Mapping[str, Input]) -> Input | None:
    """The file whose whole content is the label."""
    names = (*LABEL_FIELDS, *(f"{name}.{text}" for name in LABEL_FIELDS for text in _TEXTS))
    return next((fields[name] for name in names if name in fields), None)


def label_of_fields(
    fields: Mapping[str, Input], names: Sequence[str], title: str, column: str | None
) -> Label | None:
    """The class of an image: its .cls or another field of a label's name, else its JSON's.

    fields: the files of its key, by what follows that in their names. names: of the class numbers,
    or empty. column: the field, or the key of the JSON (as a.b, of an object in it), that is asked
    for; None where it is absent.

    Raises:
        ConfigError: there is a label, and it is none that can be used.
    """
    item = label_file(fields) if column is None else fields.get(column)
    if item is not None:
        return class_of_text(read_label(item, title), names, f"{item.name} of {title}")
    if "json" not in fields:
        return None
    item = fields["json"]
    if column is not None:
        where = f"{item.name} of {title} ({column})"
        return class_of(_value_at(json_object(item, title), column), names, where)
    return _json_label(item, names, title)


def _json_label(item: Input, names: Sequence[str], title: str) -> Label | None:
    values = json_object(item, title)
    found = {key: values[key] for key in LABEL_KEYS if values.get(key) is not None}
    for key, value in found.items():
        is_last = key == list(found)[-1]
        try:
            label = class_of(value, names, f"{item.name} of {title} ({key})")
        except ConfigError:
            if is_last:
                raise
            continue
        if label is not None:
            return label
        break  # null or -1: it says that there is none
    return _soft_class(values.get(_SOFT), names, f"{item.name} of {title}")


def _soft_class(weights: Any, names: Sequence[str], where: str) -> Label | None:
    """The class of weights that are 1 for it and 0 for the others; None for no list."""
    if not isinstance(weights, list):
        return None
    chosen = [number for number, weight in enumerate(weights) if weight != 0]
    if len(chosen) != 1 or weights[chosen[0]] != 1:
        raise ConfigError(
            f"The label of {where} is soft: it has weights of several classes, and an image here"
            " has one. Of a corpus made here name the real images, as in source:"
            " shards/real-*.tar, or set ingest.classes: none."
        )
    return class_of(chosen[0], names, f"{where} ({_SOFT})")


def _value_at(values: Any, column: str) -> Any:
    """The value of a key; a.b is that of the key b of the object a, unless there is a key a.b."""
    if not isinstance(values, dict):
        return None
    if column in values:
        return values[column]
    first, dot, rest = column.partition(".")
    return _value_at(values.get(first), rest) if dot else None


def read_label(item: Input, title: str) -> bytes:
    """The bytes of a file that has a label. Raises ConfigError where it cannot be read."""
    try:
        if item.refused:
            raise ValueError(item.refused)
        data = item.read()
        check_label_file("the file", data, images=1)
        return data
    except Exception as error:  # whatever keeps it from being read is the reason
        reason = item.refused or explain(error)
        raise ConfigError(
            f"The label {item.name} of {title} could not be read ({reason}). Mend it, or set"
            " ingest.classes: none."
        ) from error


def stored_label(item: Input, title: str) -> Any:
    """What a file says of the label, whether that is a class or not."""
    if not item.name.lower().endswith(".json"):
        return read_label(item, title)
    values = json_object(item, title)
    return {key: values[key] for key in (*LABEL_KEYS, _SOFT) if key in values}


def json_object(item: Input, title: str) -> dict[str, Any]:
    """A JSON object; empty for a list or a text, which has no label.

    Raises ConfigError for what is no JSON: a label may be in it.
    """
    try:
        values = json.loads(read_label(item, title))
    except (ValueError, RecursionError) as error:
        raise ConfigError(
            f"{item.name} of {title} is no JSON ({explain(error)}), so that its label, if it"
            " has one, cannot be read. Mend it, or set ingest.classes: none."
        ) from error
    return values if isinstance(values, dict) else {}


def lone_labels(names: Sequence[str], title: str) -> ConfigError:
    """The error for files of labels that belong to no image."""
    return ConfigError(
        f"{title} has labels that belong to no image: {first_names(names, _SHOWN)}. The files"
        " of a sample have the same name up to the first dot and lie in one tar, or in one folder."
        " Rename them, or set ingest.classes: none."
    )
