"""Finds and downloads sources at URLs, into a folder of the run, once.

A download that broke off goes on where it stopped; a file that changed meanwhile is fetched anew.
"""

import fnmatch
import os
import shutil
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import Any, TypeVar

from ...manifests.errors import ConfigError, InputError, StorageError
from ...manifests.files.atomic import canonical_digest, storage_errors
from ...manifests.files.durable import make_folder, rename, sync_file
from ...manifests.foreign_text import require_whole
from ...manifests.storage.location import URL, place
from ...manifests.storage.remote import RemoteStore, open_remote, version
from ...manifests.storage.retry import RetryPolicy
from ...manifests.storage.web import RequestRefused
from ..common.progress import Advance, Progress
from ..images.input import Input
from .base import MAX_INPUT_BYTES, read_refused, sort_by_name, storable_name
from .braces import expand_braces
from .folders import file_input

_PIECE = 8 << 20  # bytes of one request, and what is fetched again after a cut
_SPARE = 64 << 20  # bytes of the disk that stay free
_PARALLEL = 16  # small objects that are fetched at the same time
_MAX_NAME = 255  # bytes of a file's name
_PROBE_SECONDS = 20.0  # at most, until a store that does not answer is reported
_Item = TypeVar("_Item")


@dataclass(frozen=True)
class FetchOptions:
    """Where downloads go, who is shown their progress, and what stops them."""

    folder: Path
    progress: Progress
    stopping: Callable[[], bool] = lambda: False

    def folder_of(self, files: "RemoteFiles") -> Path:
        """The folder of exactly these files: another version of any has another folder."""
        return self.folder / canonical_digest([str(files.base), files.versions])[:16]

    def with_retries(self, store: RemoteStore) -> RemoteStore:
        """The store, retried for as long as the user's policy says."""
        return RemoteStore(
            store.fs, store.root, store.url, RetryPolicy.from_environment(self.stopping)
        )


@dataclass(frozen=True)
class RemoteFiles:
    """Files below one URL: name -> what the store lists of it (size, version, ...)."""

    base: URL
    store: RemoteStore
    entries: dict[str, dict[str, Any]]
    is_folder: bool  # all there is below the base, else single files of it

    @property
    def versions(self) -> list[list[Any]]:
        """Name and version of every file, by name: equal for equal contents.

        Names are without queries: they may hold secrets, and another signature is the same file.
        """
        return [
            [self.file_name(name), *version(facts)] for name, facts in sorted(self.entries.items())
        ]

    @property
    def total_bytes(self) -> int:
        """Sum of the sizes that the store lists; unknown sizes count 0."""
        return sum(_size(facts) or 0 for facts in self.entries.values())

    def file_name(self, name: str) -> str:
        """The name on disk: without the query of an HTTP URL."""
        return name.partition("?")[0] if self.base.is_web else name

    def select(self, names: Iterable[str]) -> "RemoteFiles":
        """The same, limited to `names`."""
        return replace(self, entries={name: self.entries[name] for name in sorted(names)})

    def with_sibling(self, name: str) -> "RemoteFiles":
        """With another file below the same base, if it is there and not refused.

        The signature of a URL is that of one file.
        """
        try:
            facts = self.store.facts(name)
        except RequestRefused:
            return self
        return self if facts is None else replace(self, entries={**self.entries, name: facts})


def probe(source: str, path: str | None = None) -> RemoteFiles | None:
    """What there is at a URL: files (a pattern may name several) or all below a prefix.

    path: list this folder below the prefix.

    Returns:
        None if nothing is there.

    Raises:
        ConfigError: URLs that cannot be sources, a missing bucket, package or credentials.
        StorageError: the store does not answer.
    """
    require_whole(source)
    urls = [_url(text) for text in expand_braces(source)]
    if path is None:
        # One that is absent decides: there may be many thousands.
        found = takewhile(lambda files: files is not None, map(_probe_files, urls))
        files = [each for each in found if each is not None]
        if len(files) == len(urls):
            bases = {str(found.base) for found in files}
            if len(bases) > 1:
                raise ConfigError(
                    f"{source} names files of several folders. Give each as a source of its own."
                )
            entries = {name: facts for found in files for name, facts in found.entries.items()}
            return replace(files[0], entries=entries)
    if len(urls) > 1 or urls[0].is_web:
        return None
    base = urls[0] / path.strip("/") if path and path.strip("/") else urls[0]
    store = _open_store(base)
    entries = store.listing()
    return RemoteFiles(base, store, entries, is_folder=True) if entries else None


def fingerprint(source: str) -> Any:
    """A value that changes with a source at a URL, without reading it; None if nothing is there."""
    found = probe(source)
    if found is None:
        return None
    if found.is_folder:
        return canonical_digest(found.versions)
    several = len(found.entries) > 1
    if all(name.lower().endswith(".tar") for name in found.entries):
        found = found.with_sibling("index.json")  # from which class names come
    return [[name if several else None, *state] for name, *state in found.versions]


def fetch(files: RemoteFiles, fetching: FetchOptions) -> Path:
    """Downloads all of them; returns the folder in which they lie under their own names.

    Raises:
        ConfigError: a name that no file can have.
        StorageError: no room.
        InputError: a file changed while it was fetched.
    """
    for name in files.entries:
        parts = files.file_name(name).split("/")
        if any(part in ("", ".", "..") or len(os.fsencode(part)) > _MAX_NAME for part in parts):
            raise ConfigError(f"{files.base}/{name} has a name that no file can have. Rename it.")
    folder, store = fetching.folder_of(files), fetching.with_retries(files.store)
    _require_room(files, folder)
    with fetching.progress.task("fetch", files.total_bytes, "bytes") as advance:
        for name, facts in files.entries.items():
            _fetch_file(store, name, facts, folder / files.file_name(name), advance)
    return folder


def inputs(files: RemoteFiles, fetching: FetchOptions) -> list[Input]:
    """Downloads the images of a prefix: every file is an input, by name.

    One above MAX_INPUT_BYTES is not fetched, and its input says so. Raises what `fetch` raises.
    """
    folder, store = fetching.folder_of(files), fetching.with_retries(files.store)
    paths = {name: folder / f"{number:08d}" for number, name in enumerate(sorted(files.entries))}
    large = {n for n, facts in files.entries.items() if (_size(facts) or 0) > MAX_INPUT_BYTES}
    readable = files.select(files.entries.keys() - large)
    _require_room(readable, folder)
    with (
        fetching.progress.task("fetch", len(readable.entries), "files") as advance,
        ThreadPoolExecutor(_PARALLEL) as pool,
    ):
        fetch_one = partial(_fetch_small, store, paths)
        for _ in _map_until_failure(pool, fetch_one, list(readable.entries.items())):
            advance(1)
    refused = f"larger than {MAX_INPUT_BYTES >> 20} MiB"
    return sort_by_name(
        Input(storable_name(name), read_refused, refused)
        if name in large
        else file_input(storable_name(name), str(paths[name]))
        for name in files.entries
    )


def _url(text: str) -> URL:
    found = place(text)
    assert isinstance(found, URL), text
    return found


def _open_store(url: URL) -> RemoteStore:
    policy = RetryPolicy.from_environment()
    return open_remote(url, replace(policy, seconds=min(policy.seconds, _PROBE_SECONDS)))


def _probe_files(url: URL) -> RemoteFiles | None:
    """The file at `url`, or those that a pattern in its last part names."""
    head, mark, query = str(url).partition("?") if url.is_web else (str(url), "", "")
    parent, _, last = head.rpartition("/")
    if parent.endswith("/") or not last:  # a bucket
        return None
    last += mark + query
    base = _url(parent)
    store = _open_store(base)
    if set(last) & set("*?[") and not url.is_web:
        entries = {
            name: facts
            for name, facts in store.listing().items()
            if "/" not in name and fnmatch.fnmatchcase(name, last)
        }
        return RemoteFiles(base, store, entries, is_folder=False) if entries else None
    facts = store.facts(last)
    return None if facts is None else RemoteFiles(base, store, {last: facts}, is_folder=False)


def _size(facts: dict[str, Any]) -> int | None:
    return None if facts.get("size") is None else int(facts["size"])


def _require_room(files: RemoteFiles, folder: Path) -> None:
    """Raises StorageError where the disk of `folder` cannot hold what is still to be fetched."""
    with storage_errors(folder):
        make_folder(folder)
    here = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    needed = files.total_bytes - here
    free = shutil.disk_usage(folder).free
    if needed + _SPARE > free:
        raise StorageError(
            f"{files.base} has {needed >> 20:,} MiB to fetch, and {folder} has {free >> 20:,} MiB"
            " free. Free some space or put the run folder elsewhere, then run the same command."
        )


def _fetch_file(
    store: RemoteStore,
    name: str,
    facts: dict[str, Any],
    path: Path,
    advance: Advance,
) -> None:
    size = _size(facts)
    if path.is_file():
        advance(size or 0, resumed=True)
        return
    part = path.with_name(f".{path.name[:200]}.part")
    before = store.facts(name)  # in some stores not the same values as in the listing
    with storage_errors(part):
        make_folder(part.parent)
        if size is None or (
            store.url.is_web and not facts.get("partial")
        ):  # the server serves no ranges
            room = shutil.disk_usage(part.parent).free - _SPARE
            try:
                store.fetch(name, part, room if size is None else size)
            except InputError:
                part.unlink(missing_ok=True)
                raise
        else:
            with open(part, "ab") as file:
                # A power cut may have taken the last piece, whatever the file's size says.
                file.truncate(max(0, (file.tell() - 1) // _PIECE * _PIECE))
                advance(file.seek(0, os.SEEK_END), resumed=True)
                while file.tell() < size:
                    start = file.tell()
                    file.write(store.read_range(name, start, min(start + _PIECE, size)))
                    file.flush()
                    os.fsync(file.fileno())
                    advance(file.tell() - start)
        _require_unchanged(store, name, before, part)
        sync_file(part)
        rename(part, path)


def _require_unchanged(
    store: RemoteStore, name: str, before: dict[str, Any] | None, part: Path
) -> None:
    now = store.facts(name)
    if now is None or before is None or version(now) != version(before):
        part.unlink(missing_ok=True)
        raise InputError(
            f"{store.where(name)} changed while it was fetched. Run the same command again."
        )


def _fetch_small(
    store: RemoteStore, paths: dict[str, Path], entry: tuple[str, dict[str, Any]]
) -> None:
    name, facts = entry
    path = paths[name]
    if path.is_file() and path.stat().st_size == _size(facts):
        return
    part = path.with_name(f".{path.name}.part")
    data = store.read(name)
    with storage_errors(part):
        part.write_bytes(data)
        sync_file(part)
        rename(part, path)


def _map_until_failure(
    pool: ThreadPoolExecutor, work: Callable[[_Item], None], items: list[_Item]
) -> Iterable[None]:
    """As the pool's map; after a failure or a stop no further item is begun."""
    futures = [pool.submit(work, item) for item in items]
    try:
        for future in futures:
            yield future.result()
    finally:
        for future in futures:
            future.cancel()
