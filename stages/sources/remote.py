"""Sources at URLs: what lies there is fetched once, into a folder of the run, and read from there.

A file that was cut off is continued where it broke off; what changed meanwhile is fetched anew.
"""

import fnmatch
import os
import shutil
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from ...manifests.errors import ConfigError, InputError, StorageError
from ...manifests.files.atomic import canonical_digest, storage_errors
from ...manifests.storage.location import URL, place
from ...manifests.storage.remote import RemoteStore, open_remote, version
from ...manifests.storage.retry import RetryPolicy
from ..common.progress import Progress
from ..images.input import Input
from .base import MAX_INPUT_BYTES, as_text, nothing, sort
from .folders import file_input

_PIECE = 8 << 20  # bytes of one request, and what is fetched again after a cut
_SPARE = 64 << 20  # bytes that are left free
_AT_ONCE = 16  # small objects
_LONGEST = 255  # bytes of a file's name
_LOOK = 20.0  # seconds: whether anything is there is told soon
_Item = TypeVar("_Item")


@dataclass(frozen=True)
class FetchOptions:
    """Where things are fetched to, and who is told."""

    folder: Path
    progress: Progress
    stopping: Callable[[], bool] = lambda: False

    def place(self, objects: "RemoteFiles") -> Path:
        """Of these very objects: another version of any is another place."""
        return self.folder / canonical_digest([str(objects.base), objects.versions])[:16]

    def patient(self, store: RemoteStore) -> RemoteStore:
        """What is known to be there is waited for."""
        return RemoteStore(
            store.fs, store.root, store.url, RetryPolicy.from_environment(self.stopping)
        )


@dataclass(frozen=True)
class RemoteFiles:
    """Objects below one URL: name -> what the store says of it."""

    base: URL
    store: RemoteStore
    facts: dict[str, dict[str, Any]]
    folder: bool  # all there is below the base, else single files of it

    @property
    def versions(self) -> list[list[Any]]:
        return [[name, *version(facts)] for name, facts in sorted(self.facts.items())]

    def file_of(self, name: str) -> str:
        """The name as a file's: what HTTP asks for behind a question mark is not part of it."""
        return name.partition("?")[0] if self.base.is_web else name

    def within(self, names: Iterable[str]) -> "RemoteFiles":
        return replace(self, facts={name: self.facts[name] for name in sorted(names)})

    def beside(self, name: str) -> "RemoteFiles":
        """With another file of the same place, if it is there."""
        found = self.store.facts(name)
        return self if found is None else replace(self, facts={**self.facts, name: found})


def spelled(source: str) -> list[str]:
    """The URLs that a pattern with braces stands for."""
    if "{" not in source:
        return [source]
    from webdataset.shardlists import braceexpand

    return [str(text) for text in braceexpand.braceexpand(source)]


def probe(source: str, path: str | None = None) -> RemoteFiles | None:
    """What there is at a URL: files (a pattern may name several) or all below a prefix.

    path: the folder below the prefix that is looked into.

    Returns None if nothing is there. Raises ConfigError for URLs of no use, a missing bucket or
    package, missing credentials, and StorageError if the store does not answer.
    """
    urls = [_url(text) for text in spelled(source)]
    if path is None:
        files = [found for url in urls if (found := _files(url)) is not None]
        if files and len(files) == len(urls):
            bases = {str(found.base) for found in files}
            if len(bases) > 1:
                raise ConfigError(
                    f"{source} names files of several folders. Give each as a source of its own."
                )
            facts = {name: fact for found in files for name, fact in found.facts.items()}
            return replace(files[0], facts=facts)
    if len(urls) > 1 or urls[0].is_web:
        return None
    base = urls[0] / path.strip("/") if path and path.strip("/") else urls[0]
    store = _store(base)
    listing = store.listing()
    return RemoteFiles(base, store, listing, folder=True) if listing else None


def fingerprint(source: str) -> Any:
    """Tells whether a source at a URL changed, without reading it; None if nothing is there."""
    found = probe(source)
    if found is None:
        return None
    if found.folder:
        return canonical_digest(found.versions)
    several = len(found.facts) > 1
    return [[name if several else None, *state] for name, *state in found.versions]


def fetch(objects: RemoteFiles, fetching: FetchOptions) -> Path:
    """Fetches all of them; returns the folder in which they lie under their own names.

    Raises StorageError where there is no room, InputError for what changed while it was fetched.
    """
    for name in objects.facts:
        parts = objects.file_of(name).split("/")
        if any(part in ("", ".", "..") or len(os.fsencode(part)) > _LONGEST for part in parts):
            raise ConfigError(f"{objects.base}/{name} has a name that no file can have. Rename it.")
    folder, store = fetching.place(objects), fetching.patient(objects.store)
    _room(objects, folder)
    total = sum(_size(facts) or 0 for facts in objects.facts.values())
    with fetching.progress.task("fetch", total, "bytes") as advance:
        for name, facts in objects.facts.items():
            _fetch(store, name, facts, folder / objects.file_of(name), advance)
    return folder


def inputs(objects: RemoteFiles, fetching: FetchOptions) -> list[Input]:
    """Every object as an input, by name; those too large to be read are not fetched."""
    folder, store = fetching.place(objects), fetching.patient(objects.store)
    places = {name: folder / f"{number:08d}" for number, name in enumerate(sorted(objects.facts))}
    large = {name for name, facts in objects.facts.items() if (_size(facts) or 0) > MAX_INPUT_BYTES}
    wanted = objects.within(objects.facts.keys() - large)
    _room(wanted, folder)
    with (
        fetching.progress.task("fetch", len(wanted.facts), "files") as advance,
        ThreadPoolExecutor(_AT_ONCE) as pool,
    ):
        done = partial(_small, store, places)
        for _ in _each(pool, done, list(wanted.facts.items())):
            advance(1)
    refused = f"larger than {MAX_INPUT_BYTES >> 20} MiB"
    return sort(
        Input(as_text(name), nothing, refused)
        if name in large
        else file_input(as_text(name), str(places[name]))
        for name in objects.facts
    )


def _url(text: str) -> URL:
    found = place(text)
    assert isinstance(found, URL), text
    return found


def _store(url: URL) -> RemoteStore:
    asked = RetryPolicy.from_environment()
    return open_remote(url, replace(asked, seconds=min(asked.seconds, _LOOK)))


def _files(url: URL) -> RemoteFiles | None:
    """The file at `url`, or those that a pattern in its last part names."""
    head, mark, query = str(url).partition("?") if url.is_web else (str(url), "", "")
    parent, _, last = head.rpartition("/")
    if parent.endswith("/") or not last:  # a bucket
        return None
    last += mark + query
    base = _url(parent)
    store = _store(base)
    if set(last) & set("*?[") and not url.is_web:
        known = store.listing()
        names = [name for name in known if "/" not in name and fnmatch.fnmatchcase(name, last)]
        return RemoteFiles(base, store, {n: known[n] for n in names}, False) if names else None
    facts = store.facts(last)
    return None if facts is None else RemoteFiles(base, store, {last: facts}, folder=False)


def _size(facts: dict[str, Any]) -> int | None:
    return None if facts.get("size") is None else int(facts["size"])


def _room(objects: RemoteFiles, folder: Path) -> None:
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    here = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    needed = sum(_size(facts) or 0 for facts in objects.facts.values()) - here
    free = shutil.disk_usage(folder).free
    if needed + _SPARE > free:
        raise StorageError(
            f"{objects.base} has {needed >> 20:,} MiB to fetch, and {folder} has {free >> 20:,} MiB"
            " free. Free some space or put the run folder elsewhere, then run the same command."
        )


def _fetch(
    store: RemoteStore,
    name: str,
    facts: dict[str, Any],
    path: Path,
    advance: Callable[[int], None],
) -> None:
    size = _size(facts)
    if path.is_file():
        advance(size or 0)
        return
    part = path.with_name(f".{path.name[:200]}.part")
    before = store.facts(name)  # not as listed: some stores word it otherwise there
    with storage_errors(part):
        part.parent.mkdir(parents=True, exist_ok=True)
        if size is None or (store.url.is_web and not facts.get("partial")):  # no pieces to be had
            store.fetch(name, part)
        else:
            with open(part, "ab") as file:
                advance(file.tell())
                while file.tell() < size:
                    start = file.tell()
                    file.write(store.read_range(name, start, min(start + _PIECE, size)))
                    advance(file.tell() - start)
        _unchanged(store, name, before, part)
        os.replace(part, path)


def _unchanged(store: RemoteStore, name: str, before: dict[str, Any] | None, part: Path) -> None:
    now = store.facts(name)
    if now is None or before is None or version(now) != version(before):
        part.unlink(missing_ok=True)
        raise InputError(
            f"{store.where(name)} changed while it was fetched. Run the same command again."
        )


def _small(store: RemoteStore, places: dict[str, Path], item: tuple[str, dict[str, Any]]) -> None:
    name, facts = item
    path = places[name]
    if path.is_file() and path.stat().st_size == _size(facts):
        return
    part = path.with_name(f".{path.name}.part")
    data = store.read(name)
    with storage_errors(part):
        part.write_bytes(data)
        os.replace(part, path)


def _each(
    pool: ThreadPoolExecutor, work: Callable[[_Item], None], items: list[_Item]
) -> Iterable[None]:
    """As the pool's map; a failure or a stop leaves what has not begun undone."""
    futures = [pool.submit(work, item) for item in items]
    try:
        for future in futures:
            yield future.result()
    finally:
        for future in futures:
            future.cancel()
