"""Whether there is anything to read at all: no table of readers for an empty folder."""

import os
import zipfile
from pathlib import Path

from ...manifests.errors import ConfigError
from ...manifests.published.names import is_litter


def refuse_empty(path: Path) -> None:
    """Raises ConfigError for a folder or zip in which no file lies, but for litter."""
    if path.is_dir() and not _holds_files(path):
        raise ConfigError(f"{path} is an empty folder: there is nothing to read. Name a corpus.")
    if path.is_file() and zipfile.is_zipfile(path) and not _holds_members(path):
        raise ConfigError(f"{path} is an empty zip: there is nothing to read. Name a corpus.")


def _holds_files(folder: Path) -> bool:
    """Whether a file, a link to a folder, or a folder that cannot be read lies below a folder."""
    unreadable: list[OSError] = []
    for root, folders, files in os.walk(folder, onerror=unreadable.append):
        links = (each for each in folders if os.path.islink(os.path.join(root, each)))
        if any(links) or not all(map(is_litter, files)):
            return True
    return bool(unreadable)


def _holds_members(path: Path) -> bool:
    """Whether a zip has a file in it; a damaged one counts as full."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (OSError, zipfile.BadZipFile):
        return True
    return not all(name.endswith("/") or is_litter(name) for name in names)
