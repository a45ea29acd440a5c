"""Lists and reads the members of a zip, in memory: nothing is extracted to disk."""

import contextlib
import stat
import threading
import zipfile
from functools import lru_cache, partial
from pathlib import Path

from ...manifests.errors import InputError
from ..images.input import REPLACED, Input
from .base import (
    MAX_INPUT_BYTES,
    Source,
    SourceFile,
    check_size,
    clean_path,
    no_such_folder,
    slashed_names,
    sort_by_name,
    storable_name,
)
from .labels import is_above, labels_above, source_of_files
from .limits import check_bytes, check_rows
from .spec import SourceSpec
from .unused_options import refuse_unused

_UTF8_FLAG = 0x800  # of a member's name


def open_zip(file: SourceFile, spec: SourceSpec) -> Source:
    """The members below the folder `path` of the zip.

    Raises:
        ConfigError: no such folder in it; labels that cannot be used; an option that does not
            apply.
        InputError: a damaged zip, or one that claims more than a file of its size can hold.
    """
    archive, _ = _cached_archive(file)
    inside = clean_path(spec.path)
    prefix = f"{inside}/" if inside else ""
    members = archive.infolist()
    names = member_names(members)
    title = f"the zip {file.shown}"
    refuse_unused(spec, title, "image_column")
    check_rows(file.shown, len(members), file.size)
    check_bytes(file.shown, sum(i.file_size for i in members if refusal(i) is None), file.size)
    if prefix and not any(name.startswith(prefix) for name in names):
        tops = (name.split("/")[0] for name in names if "/" in name)
        raise no_such_folder(str(spec.path), title, map(storable_name, tops))
    last = {name: number for number, name in enumerate(names)}  # as unzip and zipfile read it
    inputs = sort_by_name(
        _member_input(file, info, number, name, len(prefix), replaced=last[name] != number)
        for number, (info, name) in enumerate(zip(members, names, strict=True))
        if name.startswith(prefix) and not name.endswith("/")
    )
    named = f"{title}, folder {inside}" if inside else title
    found = source_of_files(named, inputs, spec.classes, column=spec.label_column)
    above = (storable_name(name) for name in names if is_above(name, inside))
    return labels_above(above, found) if spec.classes else found


def member_names(members: list[zipfile.ZipInfo]) -> list[str]:
    """Their names with "/" between the parts.

    Some Windows programs separate them by "\\", which the format forbids (APPNOTE 4.4.17.1): it
    counts as a separator where no image has a "/". macOS and others write UTF-8 without the flag
    that says so (appendix D): what is valid UTF-8 is taken for that.
    """
    return slashed_names([_in_utf8(info) for info in members], in_all=False)


def _in_utf8(info: zipfile.ZipInfo) -> str:
    """The name, which zipfile has decoded as code page 437 unless the flag is set."""
    if not info.flag_bits & _UTF8_FLAG:
        with contextlib.suppress(UnicodeError):
            return info.filename.encode("cp437").decode("utf-8")
    return info.filename


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


def _member_input(
    file: SourceFile, info: zipfile.ZipInfo, number: int, name: str, prefix: int, *, replaced: bool
) -> Input:
    """name: in the zip, with "/" between its parts; its first `prefix` characters are dropped.

    replaced: a later member has the name.
    """
    refused = None
    if replaced:
        refused = REPLACED
    elif name.startswith("/") or ".." in name.split("/"):
        refused = "name that leaves the archive"
    elif stat.S_ISLNK(info.external_attr >> 16):
        refused = "symbolic link in an archive"
    else:
        refused = refusal(info)
    return Input(storable_name(name[prefix:]), partial(_read_numbered, file, number), refused)


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
