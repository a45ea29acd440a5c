"""Which files of a source folder or zip changed since it was read: the ledger has one digest.

Names, sizes and times, of a zip's members checksums, lie in RUN/.scoremix, which `forget` empties.
"""

import zipfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa

from ..manifests.files.atomic import read_parquet, sha256_file, write_json
from ..manifests.files.json_reader import parse_json
from ..manifests.run_folder import RunFolder
from ..manifests.storage.location import is_url
from ..stages.sources.base import storable_name
from ..stages.sources.zips import open_archive
from .config import Config
from .fingerprints import list_files
from .ledger import Explanations

_MOST = 200_000  # files; of larger sources it is only said that something changed
_NAMED = 3  # files of each kind
COMPARED = 200  # files whose content is compared, at most
COMPARED_BYTES = 1 << 28  # of all of them
KEPT = 0.05  # of a source's files; where fewer are left, it holds other data

_Files = dict[str, list[int]]  # name -> size and time; of a zip's members size and CRC-32


def record_listing(config: Config, files: RunFolder) -> None:
    """Writes the names, sizes and times of the files in the source folders and zips."""
    write_json(files.source_listing, _listing(config))


def source_changes(config: Config, files: RunFolder) -> Explanations:
    """What to say where the input `source` of ingest changed; looked up when it did."""
    return {"source": lambda: _describe(_recorded(files), _listing(config))}


def exchanged_sources(config: Config, files: RunFolder) -> Iterator[tuple[str, int, int]]:
    """Source folders and zips that hold other data than when they were read.

    Yields:
        The source, how many files it had, and how many of them are there as they were: with the
        name and the size, those of a zip with the checksum, too. Times alone do not count, a copy
        has others: where they differ, some files of a folder are compared by content.
    """
    old, new = _recorded(files), _listing(config)
    numbers = {asked.source: number for number, asked in enumerate(config.ingest.sources)}
    for source in sorted(old.keys() & new.keys()):
        before, now = old[source], new[source]
        facts = 1 if Path(source).is_dir() else 2
        same = [
            name for name, known in before.items() if now.get(name, [])[:facts] == known[:facts]
        ]
        kept = len(same)
        if facts == 1:
            retimed = sorted(name for name in same if now[name] != before[name])
            kept -= round(len(retimed) * _share_of_others(files, numbers[source], source, retimed))
        if kept < KEPT * len(before):
            yield source, len(before), kept


def _share_of_others(files: RunFolder, number: int, folder: str, names: list[str]) -> float:
    """The share of files, of some in even steps, whose content is not what the corpus records of
    the name. Of files that it does not record, as the tars in a folder, nothing is said."""
    recorded = recorded_digests(files, number) if names else {}
    known = [name for name in names if name in recorded]
    read = others = size = 0
    for name in known[:: max(1, -(-len(known) // COMPARED))]:
        try:
            size += Path(folder, name).stat().st_size
            if read and size > COMPARED_BYTES:
                break
            others += sha256_file(Path(folder, name)) not in recorded[name]
            read += 1
        except OSError:  # ingest says so
            continue
    return others / read if read else 0.0


def recorded_digests(files: RunFolder, number: int) -> dict[str, set[str]]:
    """Name -> sha256 of the files that the corpus has of a source, by its place in the list."""
    try:
        rows = read_parquet(files.corpus / "sources.parquet").select(["source", "name", "sha256"])
    except (OSError, KeyError, ValueError, pa.ArrowException):
        return {}
    found: dict[str, set[str]] = {}
    for row in rows.to_pylist():
        if row["source"] == number and row["name"] and row["sha256"]:
            found.setdefault(row["name"], set()).add(row["sha256"])
    return found


def _listing(config: Config) -> dict[str, _Files]:
    """Source folder or zip -> its files; without those that have too many."""
    found = {}
    for asked in config.ingest.sources:
        every = _every_file(asked.source, follow_links=config.ingest.follow_links)
        first = {storable_name(name): state for name, *state in islice(every, _MOST + 1)}
        if len(first) <= _MOST:
            found[asked.source] = first
    return {source: files for source, files in found.items() if files}


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
