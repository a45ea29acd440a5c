"""Finds labels in files that belong to no image: in another folder or tar than the images."""

import contextlib
import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from ...manifests.errors import ConfigError
from ...manifests.foreign_text import first_names
from ..images.input import Input
from .label_fields import (
    MAX_LABEL_BYTES,
    WHOLE_LABELS,
    label_of_fields,
    owner_and_field,
    read_label,
)

_READ = 20  # files whose content is looked at
_SHOWN = 4  # names in an error


def refuse_lone_labels(
    files: Iterable[Input], images: Iterable[str], title: str, column: str | None
) -> None:
    """Raises ConfigError where files that belong to no image have labels.

    files: all that belong to none. images: the names of all images. A .cls has one, unless they
    are as large as LaTeX's; any other where it is named as an image is, in another folder or tar.
    """
    others = [item for item in files if not item.hidden]
    classes = [item for item in others if item.name.lower().endswith(".cls")]
    if classes and max(len(read_label(item, title)) for item in classes) <= MAX_LABEL_BYTES:
        raise _lone_labels([item.name for item in classes], title)
    found = list(_named_as_images(others, images, title, column))
    if found:
        raise _lone_labels(found, title)


def _named_as_images(
    files: Iterable[Input], images: Iterable[str], title: str, column: str | None
) -> Iterator[str]:
    """The names of files of labels that have the name of an image; only the first are read."""
    ends = [name.rpartition("/")[2] for name in images]
    owners = {*ends, *(os.path.splitext(name)[0] for name in ends)}
    wanted = {*WHOLE_LABELS, "json", column or "json"}
    named = (
        (owned[1], item)
        for item in files
        if (owned := owner_and_field(item.name.rpartition("/")[2], owners)) and owned[1] in wanted
    )
    for field, item in islice(named, _READ):
        with contextlib.suppress(ConfigError):  # it is none, or of something else
            if label_of_fields({field: item}, (), title, column) is not None:
                yield item.name


def _lone_labels(names: Sequence[str], title: str) -> ConfigError:
    return ConfigError(
        f"{title} has labels that belong to no image: {first_names(names, _SHOWN)}. The files"
        " of a sample have the same name up to the first dot and lie in one tar, or in one folder."
        " Move or rename them, or set ingest.classes: none."
    )
