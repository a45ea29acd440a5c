"""Lists and reads the members of a zip, in memory: nothing is extracted to disk."""

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
    SourceFile,
    check_size,
    clean_path,
    no_such_folder,
    sort_by_name,
    storable_name,
)
from .labels import source_of_files


def open_zip(file: SourceFile, path: str | None, classes: bool) -> Source:
    """The members below the folder `path` of the zip.

    Raises:
        ConfigError: no such folder in it; a dataset.json that labels do not come from.
        InputError: a damaged zip.
    """
    archive, _ = _cached_archive(file)
    inside = clean_path(path)
    prefix = f"{inside}/" if inside else ""
    members = archive.infolist()
    title = f"the zip {file.shown}"
    if prefix and not any(info.filename.startswith(prefix) for info in members):
        tops = (info.filename.split("/")[0] for info in members if "/" in info.filename)
        raise no_such_folder(str(path), title, map(storable_name, tops))
    inputs = sort_by_name(
        _member_input(file, info, number, info.filename[len(prefix) :])
        for number, info in enumerate(members)
        if info.filename.startswith(prefix) and not info.is_dir()
    )
    return source_of_files(f"{title}, folder {inside}" if inside else title, inputs, classes)


@lru_cache(maxsize=4)
def _cached_archive(file: SourceFile) -> tuple[zipfile.ZipFile, threading.Lock]:
    """The zip, open, once in every process, and the lock that reading it needs."""
    try:
        return open_archive(Path(file.path)), threading.Lock()
    except (zipfile.BadZipFile, OSError) as error:
        raise InputError(
            f"The zip {file.shown} could not be opened ({error}). Test it with `unzip -t` and fetch"
            " or make it again."
        ) from error


def _member_input(file: SourceFile, info: zipfile.ZipInfo, number: int, name: str) -> Input:
    refused = None
    if info.filename.startswith("/") or ".." in info.filename.split("/"):
        refused = "name that leaves the archive"
    elif stat.S_ISLNK(info.external_attr >> 16):
        refused = "symbolic link in an archive"
    else:
        refused = refusal(info)
    return Input(storable_name(name), partial(_read_numbered, file, number), refused)


def _read_numbered(file: SourceFile, number: int) -> bytes:
    """The bytes of one of the zip's members, by its number in the list of members."""
    archive, lock = _cached_archive(file)
    return read_member(archive, archive.infolist()[number], lock)


def open_archive(path: Path) -> zipfile.ZipFile:
    """Opens a zip.

    Raises:
        OSError: it cannot be read.
        zipfile.BadZipFile: it is damaged, in whatever way zipfile notices that.
    """
    try:
        return zipfile.ZipFile(path)
    except OSError:
        raise
    except Exception as error:  # besides BadZipFile: NotImplementedError, struct.error, ...
        raise zipfile.BadZipFile(str(error)) from error


def refusal(info: zipfile.ZipInfo) -> str | None:
    """Why a member must not be read, by its header; None where it may."""
    if info.flag_bits & 1:
        return "encrypted member of an archive"
    if info.file_size > MAX_INPUT_BYTES:
        return f"larger than {MAX_INPUT_BYTES >> 20} MiB"
    return None


def read_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, lock: threading.Lock) -> bytes:
    """A member's bytes.

    lock: of the archive: ZipFile counts its open members without a lock of its own.

    Raises:
        TooLarge: more than MAX_INPUT_BYTES come out, whatever the header says.
        Exception: whatever zipfile raises for a damaged member.
    """
    with lock, archive.open(info) as member:
        return check_size(member.read(min(info.file_size, MAX_INPUT_BYTES) + 1))
