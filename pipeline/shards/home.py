"""Where a run is at home: tells a run folder that was moved from one that was copied."""

import os
import platform
from enum import Enum
from pathlib import Path
from typing import Any

from ...manifests.errors import ScoreMixError
from ...manifests.run_folder import RunFolder
from ..ledger import Ledger

_HOMES = 8  # folders that are remembered, at most


class Standing(Enum):
    """A run folder, compared with the one that its id was last used in."""

    HOME = "home"  # the same folder, or one that it was moved to on its file system
    COPY = "copy"  # that folder is still there, perhaps renamed, and has the id too
    # Of another machine or file system, or its original is out of sight: moved or copied, which
    # cannot be known here.
    ELSEWHERE = "elsewhere"


def seal_of(
    run: Path, run_id: str, shards: Path | None, before: dict[str, Any] | None = None
) -> dict[str, Any]:
    """The ledger's record of the id, of the folder that it is at home in, and of all folders in
    which it has written shards.

    Inode numbers stay when a folder is moved on one file system or mounted elsewhere, and differ
    between a folder and its copy.

    before: the last record in this ledger, also of the run that this one is a copy of.
    """
    homes = [home for home in (before or {}).get("homes", []) if home != str(run.resolve())]
    written = set(before["shards"]) if before is not None and before["id"] == run_id else set()
    if shards is not None:
        written.add(shards.stat().st_ino)
    return {
        "id": run_id,
        "host": platform.node(),
        "folder": str(run.resolve()),
        "homes": [*homes, str(run.resolve())][-_HOMES:],  # where it has been
        "inodes": _inodes(run),
        "shards": sorted(written),
    }


def standing_of(run: Path, seal: dict[str, Any] | None) -> Standing:
    """seal: as `seal_of` gave it when the id was last used; None for a run without an id."""
    if seal is None:
        return Standing.HOME
    original = original_of(seal)
    if original is not None and original.resolve() != run.resolve():
        return Standing.COPY
    # A link at the old place leads to the folder that was moved.
    stayed = seal["host"] == platform.node() and Path(seal["folder"]).resolve() == run.resolve()
    return Standing.HOME if stayed or seal["inodes"] == _inodes(run) else Standing.ELSEWHERE


def came_from(seal: dict[str, Any] | None) -> str:
    """Where the id was last used, for a message on a run that is ELSEWHERE."""
    if seal is None or seal["host"] != platform.node():
        return "another machine"
    return f"{seal['folder']}, which is not there any more"


def original_of(seal: dict[str, Any] | None) -> Path | None:
    """The folder in which the id was last used, or what it is called now in the same place, if a
    run with this id is there.
    """
    if seal is None:
        return None
    folder = Path(seal["folder"])
    if not RunFolder(folder).ledger.exists():
        renamed = _renamed(folder, seal["inodes"])
        if renamed is None:
            return None
        folder = renamed
    try:
        found = Ledger(folder).run_id
    except (ScoreMixError, OSError):
        return folder  # damaged or not readable: it may be the original
    return folder if found == seal["id"] else None


def _renamed(folder: Path, inodes: list[int]) -> Path | None:
    """The run folder that `folder` was renamed to, by its inode numbers; None if none is there."""
    try:
        with os.scandir(folder.parent) as entries:
            same = [entry.path for entry in entries if entry.inode() == inodes[0]]
        return next((Path(path) for path in same if _inodes(Path(path)) == inodes), None)
    except OSError:
        return None


def _inodes(run: Path) -> list[int]:
    internal = RunFolder(run).internal
    return [os.stat(path).st_ino if path.exists() else 0 for path in (run, internal)]
