"""Names what may be the label of images and is not read as one: fields, and keys of JSON."""

import contextlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from ...manifests.errors import ConfigError
from ..images.input import Input
from .label_fields import LABEL_KEYS, MAX_LABEL_BYTES, json_value, read_label

_READ = 20  # files of one field that are looked at
_MOST_FIELDS = 100  # whatever dots the names have
_DEEPEST = 3  # objects in each other
_LIKE_LABEL = re.compile("label|class|categor|target")  # in the name of a key
_NO_LABELS = ("txt", "text", "caption")  # fields
_SHOWN = 4  # names in a note


def unread_fields(files: Iterable[tuple[str, Input]], title: str, where: str) -> Iterator[str]:
    """A note on small fields of images without labels, and on keys of their JSON, by name.

    files: the field of each, and the file that holds it. where: what has no class, for the note.
    """
    looked: Counter[str] = Counter()
    small: Counter[str] = Counter()
    keys: dict[str, None] = {}
    for field, item in files:
        name = field.lower()
        if looked[name] == _READ or len(looked) > _MOST_FIELDS or name in _NO_LABELS:
            continue
        looked[name] += 1
        with contextlib.suppress(ConfigError):  # what cannot be read may be anything
            if name == "json":
                keys |= dict.fromkeys(_like_labels(json_value(item, title)))
            elif len(read_label(item, title)) <= MAX_LABEL_BYTES:
                small[name] += 1
    found = [*keys, *(name for name, count in small.most_common() if count > 1)][:_SHOWN]
    if found:
        yield (
            f"{title}: {where} is taken for the class, and {', '.join(found)} may be it. To use"
            " one: source: [{source: ..., label_column: NAME}]."
        )


def _like_labels(document: Any) -> Iterator[str]:
    """Keys of a JSON that may be labels, as a.b where they lie in an object a; 0 is the first."""
    pending = [("", document)]
    while pending:
        prefix, values = pending.pop()
        is_list = isinstance(values, list)
        if is_list:
            values = {"0": values[0]} if values else {}
        if not isinstance(values, dict):
            continue
        for key, value in values.items():
            if isinstance(value, dict) and prefix.count(".") < _DEEPEST:
                pending.append((f"{prefix}{key}.", value))
            elif not prefix and key in LABEL_KEYS:
                continue  # known, and no label: null, -1, an empty text
            elif isinstance(value, str | int) and (is_list or _LIKE_LABEL.search(key.lower())):
                yield f"{prefix}{key}"
