"""Labels in files beside images and of the same name: 0001.cls or 0001.json of 0001.png.

An unpacked WebDataset has them, in a folder or zip.
"""

import os
from collections.abc import Iterator
from dataclasses import replace

from ..images.input import SECOND_IMAGE, Input, Label
from .label_fields import WHOLE_LABELS, label_of_fields, owner_and_field
from .lone_labels import refuse_lone_labels
from .unread_fields import unread_fields

_TWIN = "the label of an image"  # the reason of its row


def label_by_twins(inputs: list[Input], title: str, column: str | None) -> list[Input]:
    """The inputs with the labels that files of the same name give them; [] where none does.

    column: the ending, or the key of the JSON, that has the label.

    Raises:
        ConfigError: a label that cannot be used, or labels of no image where images have none.
    """
    images = _images(inputs)
    owners = _names_and_stems(images)
    fields: dict[str, dict[str, Input]] = {}
    apart: list[Input] = []
    wanted = {*WHOLE_LABELS, "json", column or "json"}
    for item in inputs:
        if item.hidden or item.claims_image:
            continue
        owner, field = owner_and_field(item.name, owners) or (None, None)
        if owner is None:
            apart.append(item)
        elif field in wanted:
            fields.setdefault(owner, {})[field] = item
    labels: dict[str, Label | None] = {
        owner: label_of_fields(found, (), title, column) for owner, found in fields.items()
    }
    labelled = {owner for owner, label in labels.items() if label is not None}
    if not all({item.name, _stem(item)} & labelled for item in images):
        refuse_lone_labels(apart, [item.name for item in images], title, column)
    if not labelled:
        return []
    twins = {twin.name for owner in labelled for twin in fields[owner].values()}
    return [
        replace(item, label=None, refused=item.refused or _TWIN)
        if item.name in twins
        else replace(item, label=labels.get(_stem(item), labels.get(item.name)))
        for item in inputs
    ]


def unread_twins(inputs: list[Input], title: str) -> Iterator[str]:
    """A note on what may be the label in files of the images' names, by ending or key."""
    owners = _names_and_stems(_images(inputs))
    owned = (
        (found[1], item)
        for item in inputs
        if not (item.hidden or item.claims_image or item.refused)
        and (found := owner_and_field(item.name, owners))
    )
    return unread_fields(owned, title, "no file beside its images")


def _images(inputs: list[Input]) -> list[Input]:
    images = (item for item in inputs if item.claims_image and not item.hidden)
    return [item for item in images if item.refused != SECOND_IMAGE]


def _names_and_stems(images: list[Input]) -> set[str]:
    return {name for item in images for name in (item.name, _stem(item))}


def _stem(item: Input) -> str:
    return os.path.splitext(item.name)[0]
