"""Names what may be the label of WebDataset samples and is not read as one."""

import re
from collections import Counter
from collections.abc import Iterator

from ..images.input import names_image
from .label_fields import LABEL_KEYS, MAX_LABEL_BYTES, json_object
from .tar_member import TarMember

_OBJECTS = 20  # JSONs in which keys like labels are looked for
_DEEPEST = 3  # objects in each other
_LIKE_LABEL = re.compile("label|class|categor|target")  # in the name of a key
_NO_LABELS = ("json", "txt", "text", "caption")  # fields
_SHOWN = 4  # names in a note


def unread_fields(members: list[TarMember], title: str) -> Iterator[str]:
    """A note on small fields of samples without labels, and on keys of their JSON, by name."""
    from webdataset.tariterators import base_plus_ext

    counts: Counter[str] = Counter()
    keys: dict[str, None] = {}
    objects = 0
    for member in members:
        key, name = base_plus_ext(member.name)
        if key is None or names_image(member.name) or member.refused:
            continue
        if name.lower() == "json" and objects < _OBJECTS:
            objects += 1
            keys |= dict.fromkeys(_like_labels(member))
        elif name.lower() not in _NO_LABELS and member.size <= MAX_LABEL_BYTES:
            counts[name.lower()] += 1
    found = [*keys, *(name for name, count in counts.most_common() if count > 1)][:_SHOWN]
    if found:
        yield (
            f"{title}: no field of its samples is taken for the class, and {', '.join(found)} may"
            " be it. To use one: source: [{source: ..., label_column: NAME}]."
        )


def _like_labels(member: TarMember) -> Iterator[str]:
    """Keys of a JSON that may be labels, as a.b where they lie in an object a."""
    pending = [("", json_object(member.input(), member.full_name))]
    while pending:
        prefix, values = pending.pop()
        for key, value in values.items():
            if isinstance(value, dict) and prefix.count(".") < _DEEPEST:
                pending.append((f"{prefix}{key}.", value))
            elif not prefix and key in LABEL_KEYS:
                continue  # known, and no label: null, -1, an empty text
            elif isinstance(value, str | int) and _LIKE_LABEL.search(key.lower()):
                yield f"{prefix}{key}"
