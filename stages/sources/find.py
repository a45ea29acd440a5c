"""Finds what a source's name stands for on a disk, before anything is opened."""

import difflib
import os
from pathlib import Path

from ...manifests.errors import ConfigError, InputError
from ...manifests.storage.location import is_url
from . import folders
from .patterns import describe_unmatched, expand_pattern, fixed_part, is_pattern
from .spec import BUNDLED, SourceSpec


def check_source(spec: SourceSpec, key: str) -> None:
    """Refuses a source on a disk in which, by names alone, there is nothing to read.

    Raises:
        ConfigError: nothing there, or no such `path` in a folder.
        InputError: an empty folder.
    """
    paths = find_source(spec.source, key)
    if len(paths) == 1 and os.path.isdir(paths[0]):
        root = folders.find_folder(Path(paths[0]).resolve(), spec.path)
        entries = folders.walk(root, follow_links=spec.follow_links)
        if all(entry.kind == "folder" for entry in entries):
            raise InputError(f"{key} is {root}, an empty folder. Name one that holds images.")


def find_source(source: str, key: str) -> list[str]:
    """The files or the folder of a source on a disk; [] for a URL or a bundled set.

    Raises ConfigError where one is not there, or a pattern names folders beside other things.
    """
    if source in BUNDLED or is_url(source):
        return []
    paths = expand_pattern(source)
    missing = [path for path in paths if not os.path.exists(path)]
    if missing and is_pattern(missing[0]) and os.path.isdir(fixed_part(missing[0])):
        raise ConfigError(f"{key} is {source}. {describe_unmatched(missing[0])}")
    if missing:
        among = f"{source}, but {missing[0]}" if len(paths) > 1 else f"{source}, which"
        near = difflib.get_close_matches(os.path.basename(source), BUNDLED, 1)  # --data is absolute
        meant = f" Did you mean the bundled set {near[0]!r}?" if near else ""
        raise ConfigError(
            f"{key} is {among} does not exist; the nearest folder that does is"
            f" {_existing_parent(Path(missing[0]))}.{meant} Correct the path, or use one of the"
            f" bundled sets ({', '.join(BUNDLED)})."
        )
    inner = [path for path in paths if os.path.isdir(path)] if len(paths) > 1 else []
    if inner:
        raise ConfigError(
            f"{key} is {source}, a pattern that matches {len(inner)} folders, such as {inner[0]};"
            f" it is to match files. Name the folder above them, {os.path.dirname(inner[0])}, or"
            f" the files, as in {source.rstrip('/')}/*.png."
        )
    return paths


def _existing_parent(path: Path) -> Path:
    return next((parent for parent in path.absolute().parents if parent.is_dir()), Path("/"))
