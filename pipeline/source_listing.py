"""Which files of a source folder or zip changed since it was read: the ledger has one digest.

Names, sizes and times, of a zip's members checksums, lie in RUN/.scoremix, which `forget` empties.
"""

import zipfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from ..manifests.files.atomic import write_json
from ..manifests.files.json_reader import parse_json
from ..manifests.run_folder import RunFolder
from ..manifests.storage.location import is_url
from ..stages.sources.base import storable_name
from ..stages.sources.spec import SourceSpec
from ..stages.sources.zips import open_archive
from .config import Config
from .fingerprints import list_files
from .ledger import Explanations

_MOST = 200_000  # files; of larger sources it is only said that something changed
_NAMED = 3  # files of each kind

_Files = dict[str, list[int]]  # name -> size and time; of a zip's members size and CRC-32


class Kept(NamedTuple):
    """How much of a source is there as it was read."""

    total: int  # of its images or files then
    kept: float  # of those, what is there


def record_listing(config: Config, files: RunFolder) -> None:
    """Writes the names, sizes and times of the files in the source folders and zips."""
    write_json(files.source_listing, _listing(config))


def source_changes(config: Config, files: RunFolder) -> Explanations:
    """What to say where the input `source` of ingest changed; looked up when it did."""
    return {"source": lambda: _describe(_recorded(files), _listing(config))}


def files_kept(files: RunFolder, listed_as: str, spec: SourceSpec) -> Kept | None:
    """How many files of a folder or zip are there with the names and sizes that were listed, those
    of a zip with the checksums, too; None where none were listed.

    listed_as: the source's name then. spec: where it is now.
    """
    before = _recorded(files).get(listed_as)
    if not before:
        return None
    now = _files_of(spec.source, follow_links=spec.follow_links) or {}
    facts = 1 if Path(spec.source).is_dir() else 2
    same = [name for name, known in before.items() if now.get(name, [])[:facts] == known[:facts]]
    return Kept(len(before), len(same))


def _listing(config: Config) -> dict[str, _Files]:
    """Source folder or zip -> its files; without those that have too many."""
    found = {}
    for asked in config.ingest.sources:
        if files := _files_of(asked.source, follow_links=config.ingest.follow_links):
            found[asked.source] = files
    return found


def _files_of(source: str, *, follow_links: bool) -> _Files | None:
    """The files in a folder or zip, none of other sources; None where there are too many."""
    every = _every_file(source, follow_links=follow_links)
    first = {storable_name(name): state for name, *state in islice(every, _MOST + 1)}
    return first if len(first) <= _MOST else None


def _every_file(source: str, *, follow_links: bool) -> Iterator[tuple[str, int, int]]:
    """Name and two facts of each file in a folder or zip; none of other sources."""
    if is_url(source):
        return
    if Path(source).is_dir():
        yield from list_files(Path(source), follow_links=follow_links)
    elif zipfile.is_zipfile(source):
        try:
            with open_archive(Path(source)) as archive:
                for info in archive.infolist():
                    yield info.filename, info.file_size, info.CRC
        except (OSError, zipfile.BadZipFile):  # ingest says so
            return


def _recorded(files: RunFolder) -> dict[str, Any]:
    try:
        return dict(parse_json(files.source_listing.read_bytes()))
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
