"""Reads the class of an image from files that share its name: KEY.cls, KEY.json.

As fields of a WebDataset sample in a tar, or unpacked, in a folder or zip.
"""

from collections.abc import Container, Mapping, Sequence
from typing import Any

from ...manifests.errors import ConfigError
from ..images.input import Input, Label
from ..images.unusable import explain
from .base import FOLLOW_REMEDY, UNFOLLOWED
from .class_values import class_of, class_of_text
from .json_text import load_json
from .limits import check_json, check_label_file
from .metadata_file import LABEL_NAMES

# Fields of a sample, and keys of its JSON: the first of them that is there has the class.
LABEL_FIELDS = ("cls", *(name for name in LABEL_NAMES if name != "cls"))
LABEL_KEYS = ("label", "cls", "class", "class_id", "labels", "category", "target")
MAX_LABEL_BYTES = 200  # of a file that may be the label, where that is not certain
_SOFT = "soft_label"  # of a corpus made here: a weight for every class
_TEXTS = ("txt", "text")  # KEY.label.txt
WHOLE_LABELS = (*LABEL_FIELDS, *(f"{name}.{text}" for name in LABEL_FIELDS for text in _TEXTS))


def owner_and_field(name: str, owners: Container[str]) -> tuple[str, str] | None:
    """What a file is named after, and the rest of its name: ("0", "label.txt") of 0.label.txt.

    owners: names of images, whole (0.png) or without their endings; the longest that fits counts.
    """
    at = name.rfind(".")
    while at > name.rfind("/") + 1:
        if name[:at] in owners:
            return name[:at], name[at + 1 :].lower()
        at = name.rfind(".", 0, at)
    return None


def label_file(fields: Mapping[str, Input]) -> Input | None:
    """The file whose whole content is the label."""
    return next((fields[name] for name in WHOLE_LABELS if name in fields), None)


def label_of_fields(
    fields: Mapping[str, Input], names: Sequence[str], title: str, column: str | None
) -> Label | None:
    """The class of an image: its .cls or another field of a label's name, else its JSON's.

    A JSON without keys is the class itself: 3, "cat", [3]; other lists have none.

    fields: the files of its key, by what follows that in their names. names: of the class numbers,
    or empty. column: the field, or the key of the JSON (as a.b, of an object in it; 0.b, of the
    first of a list), that is asked for; None where it is absent.

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
        return class_of(_value_at(json_value(item, title, column), column), names, where)
    return _json_label(item, names, title)


def _json_label(item: Input, names: Sequence[str], title: str) -> Label | None:
    values = json_value(item, title)
    if not isinstance(values, dict):
        return class_of(_whole_label(values), names, f"{item.name} of {title}")
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


def _whole_label(values: Any) -> Any:
    """What a JSON that is no object says of the class: a value, or the one whole number of a list.

    None for other lists, as of captions or boxes.
    """
    if not isinstance(values, list):
        return values
    return values[0] if len(values) == 1 and isinstance(values[0], int) else None


def says_label(values: Any) -> bool:
    """Whether a JSON says something of the class, whether that can be used or not."""
    if not isinstance(values, dict):
        return _whole_label(values) is not None
    return any(values.get(key) is not None for key in (*LABEL_KEYS, _SOFT))


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
    """The value of a key; a.b is that of the key b of the object a, unless there is a key a.b.

    A number is the place in a list, from 0.
    """
    first, dot, rest = column.partition(".")
    if isinstance(values, list):
        values = {str(number): value for number, value in enumerate(values)}
    if not isinstance(values, dict):
        return None
    if column in values:
        return values[column]
    return _value_at(values.get(first), rest) if dot else None


def read_label(item: Input, title: str) -> bytes:
    """The bytes of a file that has a label. Raises ConfigError where it cannot be read."""
    try:
        if item.refused:
            raise ValueError(item.refused)
        data = item.read()
        check_label_file("the file", data, images=1)
        if item.name.lower().endswith(".json"):
            check_json("the file", data, images=1)
        return data
    except Exception as error:  # whatever keeps it from being read is the reason
        reason = item.refused or explain(error)
        raise ConfigError(
            f"The label {item.name} of {title} could not be read ({reason})."
            f" {remedy_for(item, 'Mend it')}"
        ) from error


def remedy_for(item: Input, otherwise: str) -> str:
    """What to do about a file of labels that cannot be read: follow it, where it is a link."""
    if item.refused in UNFOLLOWED:
        return FOLLOW_REMEDY
    return f"{otherwise}, or set ingest.classes: none to ignore the labels."


def stored_label(item: Input, title: str) -> Any:
    """What a file says of the label, whether that is a class or not."""
    if not item.name.lower().endswith(".json"):
        return read_label(item, title)
    values = json_value(item, title)
    if not isinstance(values, dict):
        return values
    return {key: values[key] for key in (*LABEL_KEYS, _SOFT) if key in values}


def json_value(item: Input, title: str, column: str | None = None) -> Any:
    """The value that a JSON file holds.

    Raises ConfigError for what is no JSON, as a label may be in it, and for two labels.
    """
    keys = {*LABEL_KEYS, _SOFT, column or "", *(column or "").split(".")}
    try:
        return load_json(read_label(item, title), f"{item.name} of {title}", keys)
    except ValueError as error:
        raise ConfigError(
            f"{item.name} of {title} is no JSON ({explain(error)}), so that its label, if it"
            " has one, cannot be read. Mend it, or set ingest.classes: none."
        ) from error
