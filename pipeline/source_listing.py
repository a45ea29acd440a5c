"""Which files of a source folder changed since it was read: the ledger has a digest of them alone.

Their names, sizes and times lie in RUN/.scoremix, which `forget` empties.
"""

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from ..manifests.files.atomic import write_json
from ..manifests.run_folder import RunFolder
from ..manifests.storage.location import is_url
from ..stages.sources.base import storable_name
from .config import Config
from .fingerprints import list_files
from .ledger import Explanations

_MOST = 200_000  # files; of larger sources it is only said that something changed
_NAMED = 3  # files of each kind
_KEPT = 0.05  # of a folder's files; where fewer are left, it holds other data

_Files = dict[str, list[int]]  # name -> size and time


def record_listing(config: Config, files: RunFolder) -> None:
    """Writes the names, sizes and times of the files in the source folders."""
    write_json(files.source_listing, _listing(config))


def source_changes(config: Config, files: RunFolder) -> Explanations:
    """What to say where the input `source` of ingest changed; looked up when it did."""
    return {"source": lambda: _describe(_recorded(files), _listing(config))}


def exchanged_sources(config: Config, files: RunFolder) -> Iterator[tuple[str, int, int]]:
    """Source folders that hold other data than when they were read.

    Yields:
        The folder, how many files it had, and how many of them are there with the name and the
        size that they had. Times do not count: a copy has others.
    """
    old, new = _recorded(files), _listing(config)
    for folder in sorted(old.keys() & new.keys()):
        before, now = old[folder], new[folder]
        kept = sum(name in now and size == now[name][0] for name, (size, _) in before.items())
        if kept < _KEPT * len(before):
            yield folder, len(before), kept


def _folders(config: Config) -> Iterator[str]:
    for asked in config.ingest.sources:
        if not is_url(asked.source) and Path(asked.source).is_dir():
            yield asked.source


def _listing(config: Config) -> dict[str, _Files]:
    """Source folder -> its files; without those that have too many."""
    found = {}
    for folder in _folders(config):
        every = list_files(Path(folder), follow_links=config.ingest.follow_links)
        first = {storable_name(name): state for name, *state in islice(every, _MOST + 1)}
        if len(first) <= _MOST:
            found[folder] = first
    return found


def _recorded(files: RunFolder) -> dict[str, Any]:
    try:
        return dict(json.loads(files.source_listing.read_bytes()))
    except (OSError, ValueError, TypeError):
        return {}


def _describe(old: dict[str, _Files], new: dict[str, _Files]) -> str:
    """ "1 file removed: a.png; 2 added: b.png, c.png"."""
    changes: dict[str, list[str]] = {"added": [], "removed": [], "changed": []}
    for folder in old.keys() & new.keys():
        before, now = old[folder], new[folder]
        changes["added"] += sorted(now.keys() - before.keys())
        changes["removed"] += sorted(before.keys() - now.keys())
        same = before.keys() & now.keys()
        changes["changed"] += sorted(name for name in same if before[name] != now[name])
    sentences = [
        f"{len(names):,} file{'s' if len(names) > 1 else ''} {what}:"
        f" {', '.join(map(_shown, names[:_NAMED]))}{', ...' if len(names) > _NAMED else ''}"
        for what, names in changes.items()
        if names
    ]
    return ", ".join(sentences) or "other files, or the same with other sizes or times"


def _shown(name: str) -> str:
    return name if name.isprintable() else ascii(name)
