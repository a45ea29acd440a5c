"""What lies in a source beside what is read: archives among images, images among archives.

Which of the two is meant the user says; what is left out has a note.
"""

import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from ...manifests.errors import ConfigError
from ...manifests.foreign_text import first_names, printable
from ...manifests.storage.location import is_url
from ..images.input import is_hidden, names_image
from . import arrays, tables, tars
from .base import Source, SourceFile
from .folders import walk
from .labels import LABEL_FILES

_NAMED = 5  # files that a note lists
_HOLDERS = (*tars.SUFFIXES, *tables.SUFFIXES, *arrays.HDF5_SUFFIXES, ".zip", ".7z", ".rar")
_TABLES = (".csv", ".tsv", ".xlsx", ".mat")
_LIKE_LABELS = re.compile(
    r".*(label|class|categor|target|annotation|metadata).*\.(jsonl?|txt|csv|tsv|xlsx|mat)"
)
# Hidden folders in which tools leave copies of images.
_LEFTOVERS = frozenset(
    ".@__thumb .AppleDouble .ipynb_checkpoints .picasaoriginals .thumbnails".split()
)
_DATABASE = "data.mdb"
_WRITE_LABELS = (
    "If it has the labels, write them to metadata.csv, with the columns file_name and label"
)
_METADATA = "metadata.parquet"  # of the images of a folder: it has a note of its own


def image_below(root: Path, *, follow_links: bool) -> str | None:
    """The name of an image in a folder below `root`; None where there is none."""
    names = (e.name for e in walk(root, follow_links=follow_links) if e.kind == "file")
    return first_image(names)


def first_image(names: Iterable[str]) -> str | None:
    """The first name of an image that is not hidden."""
    return next((name for name in names if names_image(name) and not is_hidden(name)), None)


def is_metadata(name: str) -> bool:
    """Whether a table of this name describes images that lie beside it."""
    return name == _METADATA


def refuse_both(shown: str, holder: str, image: str) -> None:
    """Raises ConfigError for a folder with an archive at its top and images in its folders.

    shown: the folder, for messages. holder, image: names below it.
    """
    choices = [] if holder == _DATABASE else [f"source: {shown}/{holder}"]
    if not is_url(shown):
        choices.append(f"source: '{shown}/**/*{os.path.splitext(image)[1]}'")
    named = f"name the one to read ({' or '.join(choices)}), or " if choices else ""
    raise ConfigError(
        f"{shown} holds {printable(holder, line=True)}, and images in folders as well"
        f" ({printable(image, line=True)}): which of the two is meant is not certain. Please"
        f" {named}move the other out of the folder."
    )


def noting_images(source: Source, image: str | None) -> Source:
    """With a note on images beside the tables of a repository; None where there are none."""
    if image is None:
        return source
    note = (
        f"{source.title}: images beside the tables are not read, such as"
        f" {printable(image, line=True)}. If they are meant, name their folder (ingest.path)."
    )
    return replace(source, notes=(*source.notes, note))


def noting_archives(source: Source) -> Source:
    """With a note on archives, tables and databases among the files of a source of images."""
    names = [item.name for item in source.inputs if not item.hidden and _holds_others(item.name)]
    return _noting(
        source,
        names,
        "among its files, not read. If there are images in them, unpack them, or name them as"
        " sources of their own.",
    )


def noting_label_tables(source: Source) -> Source:
    """With a note on tables that may have the labels of images that have none."""
    if any(item.label is not None for item in source.inputs):
        return source
    names = [i.name for i in source.inputs if not i.hidden and _may_have_labels(i.name)]
    return _noting(source, names, f"not read, and no image has a class. {_WRITE_LABELS}.")


def noting_tables_beside(archives: Sequence[SourceFile], source: Source) -> Source:
    """With a note on tables beside archives whose images have no class.

    Archives lie beside anything: a table counts that is named after labels or after the archive.
    """
    if any(item.label is not None for item in source.inputs):
        return source
    folder, first = os.path.split(archives[0].path)
    stem = first.partition(".")[0].lower() if len(archives) == 1 else None
    names = [name for name in _visible(folder) if _belongs_to(name.lower(), stem)]
    return _noting(
        source,
        names,
        f"beside it is not read, and no image has a class. {_WRITE_LABELS}, and put that into the"
        " archive.",
    )


def _noting(source: Source, names: Sequence[str], what: str) -> Source:
    """With a note of what holds of the files of these names; None where there are none."""
    if not names:
        return source
    note = f"{source.title}: {first_names(names, _NAMED)} {what}"
    return replace(source, notes=(*source.notes, note))


def _visible(folder: str) -> list[str]:
    try:
        return sorted(name for name in os.listdir(folder or ".") if not name.startswith("."))
    except OSError:  # a folder whose files may be read, and not its names
        return []


def _belongs_to(name: str, stem: str | None) -> bool:
    """stem: of the archive; both in small letters."""
    of_archive = stem and name.startswith(stem) and name.endswith(_TABLES)
    return bool(of_archive or _LIKE_LABELS.fullmatch(name))


def noting_hidden(source: Source) -> Source:
    """With a note on hidden folders in which images lie, as those of a class called .net."""
    parents = [i.name.split("/")[:-1] for i in source.inputs if i.hidden and names_image(i.name)]
    counts = Counter(
        "/".join(parts)
        for parts in parents
        if parts and parts[-1].startswith(".") and parts[-1] not in _LEFTOVERS
    )
    if not counts:
        return source
    note = (
        f"{source.title}: {counts.total()} images in hidden folders are left out"
        f" ({first_names(sorted(counts), _NAMED)}). If they are meant, rename the folders without"
        " the dot."
    )
    return replace(source, notes=(*source.notes, note))


def _may_have_labels(name: str) -> bool:
    last = name.rpartition("/")[2].lower()
    if last in LABEL_FILES:  # has a note of its own
        return False
    return last.endswith(_TABLES) or bool(_LIKE_LABELS.fullmatch(last))


def _holds_others(name: str) -> bool:
    last = name.rpartition("/")[2]
    return last != _METADATA and (last == _DATABASE or last.lower().endswith(_HOLDERS))
