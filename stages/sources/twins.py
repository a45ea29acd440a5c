"""Labels in files beside images and of the same name: 0001.cls or 0001.json of 0001.png.

An unpacked WebDataset has them, in a folder or zip.
"""

import os
from dataclasses import replace

from ..images.input import Input, Label
from .label_fields import LABEL_FIELDS, MAX_LABEL_BYTES, label_of_fields, lone_labels, read_label

_TWIN = "the label of an image"  # the reason of its row


def label_by_twins(inputs: list[Input], title: str, column: str | None) -> list[Input]:
    """The inputs with the labels that files of the same name give them; [] where none does.

    column: the ending, or the key of the JSON, that has the label.

    Raises:
        ConfigError: a label that cannot be used, or .cls files of no image where images have none.
    """
    images = {_stem(item) for item in inputs if item.claims_image and not item.hidden}
    fields: dict[str, dict[str, Input]] = {}
    lone: list[Input] = []
    wanted = {*LABEL_FIELDS, "json", column or "json"}
    for item in inputs:
        ending = os.path.splitext(item.name)[1][1:].lower()
        if item.hidden or item.claims_image or ending not in wanted:
            continue
        if _stem(item) in images:
            fields.setdefault(_stem(item), {})[ending] = item
        elif ending == "cls":
            lone.append(item)
    labels: dict[str, Label | None] = {
        stem: label_of_fields(found, (), title, column) for stem, found in fields.items()
    }
    labelled = {stem for stem, label in labels.items() if label is not None}
    if lone and labelled != images:
        sizes = [len(read_label(item, title)) for item in lone]
        if max(sizes) <= MAX_LABEL_BYTES:
            raise lone_labels([item.name for item in lone], title)
    if not labelled:
        return []
    twins = {twin.name for stem in labelled for twin in fields[stem].values()}
    return [
        replace(item, label=None, refused=item.refused or _TWIN)
        if item.name in twins
        else replace(item, label=labels.get(_stem(item)))
        for item in inputs
    ]


def _stem(item: Input) -> str:
    return os.path.splitext(item.name)[0]
