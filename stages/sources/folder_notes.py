"""Notes on folders that became classes, where they look like something else."""

import os
import re
from collections.abc import Iterator

from ...manifests.foreign_text import printable
from ..images.input import Input, is_hidden, names_image
from .base import has_backslash
from .parts import are_parts, training_parts

_NAMED = 5  # folders that a note lists
_PART = re.compile(r"\d{4,}")  # a folder of so many images each, and seldom a class
_TWINS = (".json", ".txt")


def notes_on_numbers(inputs: list[Input], names: list[str], title: str) -> Iterator[str]:
    """What the folders that became classes look like, where they look like something else.

    names: of all files, below the root.
    """
    images = [item for item in inputs if item.claims_image and not item.hidden]
    folders = sorted({str(item.label) for item in images if item.label is not None})
    if not folders or not all(folder.isdecimal() for folder in folders):
        return
    shown = ", ".join(folders[:_NAMED]) + (", ..." if len(folders) > _NAMED else "")
    remedy = f"If {shown} are no classes, set ingest.classes: none."
    stems = {os.path.splitext(name)[0] for name in names if name.lower().endswith(_TWINS)}
    if all(os.path.splitext(name)[0] in stems for name in names if names_image(name)):
        yield (
            f"{title}: numbered folders with a .json or .txt beside every image, as img2dataset"
            f" writes them in parts of 10,000; the folders are taken for classes. {remedy}"
        )
    elif all(_PART.fullmatch(folder) for folder in folders):
        yield (
            f"{title}: numbered folders, as StyleGAN's dataset_tool.py and FFHQ have them in parts"
            f" of 1,000, without a dataset.json with labels; they are taken for classes. {remedy}"
        )


def notes_on_parts(inputs: list[Input], names: list[str], title: str) -> Iterator[str]:
    """A note where each class has its splits inside it: cat/train, cat/test."""
    inner = set()
    for item, name in zip(inputs, names, strict=True):
        if item.claims_image and not item.hidden and item.label is not None:
            folder, slash, _ = f"/{name}".partition(f"/{item.label}/")[2].partition("/")
            inner |= {folder} if slash else set()
    if are_parts(inner):
        shown = ", ".join(printable(name, line=True) for name in sorted(inner)[:_NAMED])
        (first, *_) = training_parts(inner) or [min(inner)]
        yield (
            f"{title}: the class folders have the folders {shown} in them, parts of a dataset, and"
            f" all of them are taken. For one of them name a pattern, as in source:"
            f" FOLDER/*/{first}/*.png."
        )


def notes_on_backslashes(names: list[str], title: str) -> Iterator[str]:
    """A note where some names have parts that a program of Windows may have meant for folders."""
    found = [
        name for name in names if has_backslash(name) and names_image(name) and not is_hidden(name)
    ]
    if found:
        yield (
            f"{title}: {len(found)} names have a \\ in them, such as"
            f" {printable(found[0], line=True)}, which is taken for no separator of folders, as"
            " names of other images have a / or neither. If it is one, unpack or pack them again"
            " with a program that writes /."
        )
