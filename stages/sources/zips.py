"""Members of a zip, streamed in memory, never extracted."""

import stat
import threading
import zipfile
from functools import lru_cache, partial
from pathlib import Path

from ...manifests.errors import InputError
from ..images.input import Input
from .base import (
    MAX_INPUT_BYTES,
    Source,
    as_text,
    by_folder,
    capped,
    no_such_path,
    relative,
    sort,
)
from .labels import has_labels, labelled, read_table


def open_zip(source: str, path: str | None, classes: bool) -> Source:
    """The members below the folder `path` of the zip.

    Raises:
        ConfigError: no such folder in it; a dataset.json that labels do not come from.
        InputError: a damaged zip.
    """
    identity = _identity(source)
    archive, _ = _opened(*identity)
    inside = relative(path)
    prefix = f"{inside}/" if inside else ""
    everything = archive.infolist()
    members = [info for info in everything if info.filename.startswith(prefix)]
    what = f"the zip {source}"
    if not members and prefix:
        tops = (info.filename.split("/")[0] for info in everything if "/" in info.filename)
        raise no_such_path(str(path), what, map(as_text, tops))
    what = f"{what}, folder {inside}" if inside else what
    inputs = sort(
        _member(identity, info, place, info.filename[len(prefix) :])
        for place, info in enumerate(everything)
        if info.filename.startswith(prefix) and not info.is_dir()
    )
    table = read_table(inputs, what) if classes else b""
    if classes and has_labels(table):
        inputs = labelled(inputs, table, what)
    elif classes:
        inputs = by_folder(inputs)
    return Source(what, inputs)


def _identity(source: str) -> tuple[str, int, int]:
    """Path, size and time: another file under the same path is another zip."""
    state = Path(source).stat()
    return source, state.st_size, state.st_mtime_ns


@lru_cache(maxsize=4)
def _opened(source: str, size: int, mtime_ns: int) -> tuple[zipfile.ZipFile, threading.Lock]:
    """The zip, open, once in every process, and the lock that reading it needs."""
    try:
        return open_archive(Path(source)), threading.Lock()
    except (zipfile.BadZipFile, OSError) as error:
        raise InputError(
            f"The zip {source} could not be opened ({error}). Test it with `unzip -t` and fetch or"
            " make it again."
        ) from error


def _member(identity: tuple[str, int, int], info: zipfile.ZipInfo, place: int, name: str) -> Input:
    refused = None
    if info.filename.startswith("/") or ".." in info.filename.split("/"):
        refused = "name that leaves the archive"
    elif stat.S_ISLNK(info.external_attr >> 16):
        refused = "symbolic link in an archive"
    else:
        refused = refusal(info)
    return Input(as_text(name), partial(_read_member, identity, place), refused)


def _read_member(identity: tuple[str, int, int], place: int) -> bytes:
    archive, reading = _opened(*identity)
    return read_member(archive, archive.infolist()[place], reading)


def open_archive(path: Path) -> zipfile.ZipFile:
    """The zip, open.

    Raises:
        OSError: it cannot be read.
        zipfile.BadZipFile: it is damaged, in whatever way zipfile notices that.
    """
    try:
        return zipfile.ZipFile(path)
    except OSError:
        raise
    except Exception as error:  # beside BadZipFile: NotImplementedError, struct.error, ...
        raise zipfile.BadZipFile(str(error)) from error


def refusal(info: zipfile.ZipInfo) -> str | None:
    """Why a member's bytes must not be read, by what its header says; None where they may."""
    if info.flag_bits & 1:
        return "encrypted member of an archive"
    if info.file_size > MAX_INPUT_BYTES:
        return f"larger than {MAX_INPUT_BYTES >> 20} MiB"
    return None


def read_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, reading: threading.Lock) -> bytes:
    """A member's bytes.

    reading: held meanwhile; ZipFile counts its open members without a lock of its own. The size is
    checked on what comes out as well: the header may lie.

    Raises:
        TooLarge: more than MAX_INPUT_BYTES come out.
        Exception: whatever zipfile raises for a damaged member.
    """
    with reading, archive.open(info) as file:
        return capped(file.read(min(info.file_size, MAX_INPUT_BYTES) + 1))
