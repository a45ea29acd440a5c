"""sources: what inputs there are in a folder, a zip or a bundled set, in name order.

A source is a list of named inputs that can be read. Nothing is extracted, nothing outside the
source is opened, and everything that is a file has a place in the list: what must not be opened
(a link that leaves the folder, a pipe) says so in `refused`.
"""

import contextlib
import importlib
import os
import stat
import threading
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..manifests.errors import ConfigError, InputError
from .decode import EXTENSIONS, Unusable

BUNDLED = ("digits", "faces")
MAX_INPUT_BYTES = 256 << 20  # of one input, uncompressed: what a worker holds in memory
_NAMED = 10  # how many names an error lists
_DIGITS_LICENSE = "CC-BY-4.0"  # UCI, Optical Recognition of Handwritten Digits


@dataclass(frozen=True)
class Input:
    """One file of a source."""

    name: str  # below the source's root, "/" between its parts; valid Unicode
    read: Callable[[], bytes]  # the whole file; raises OSError, Unusable and what zipfile raises
    refused: str | None = None  # why it must not be read
    label: str | None = None  # class, where the source itself knows it
    license: str | None = None

    @property
    def hidden(self) -> bool:
        """Droppings of tools, such as .DS_Store and __MACOSX/._cat.jpg."""
        return any(part.startswith(".") or part == "__MACOSX" for part in self.name.split("/"))

    @property
    def claims_image(self) -> bool:
        return PurePosixPath(self.name).suffix.lower() in EXTENSIONS

    @property
    def folder(self) -> str | None:
        """First folder below the root, None for a file that lies directly in it."""
        first, slash, _ = self.name.partition("/")
        return first if slash else None


@dataclass(frozen=True)
class Source:
    """An open source: inputs sorted by the code points of their names."""

    what: str  # for messages: "the zip /data/cats.zip"
    inputs: list[Input]
    folder: Path | None = None  # its real path, if it is one
    resolution: int | None = None  # side in pixels, where the source suggests one


@contextlib.contextmanager
def open_source(source: str, path: str | None, key: str) -> Iterator[Source]:
    """Opens `source`: a folder, a zip, or "digits" | "faces".

    path: a folder inside it that becomes the root.
    key: its name in stages.yaml, for messages.

    Raises:
        ConfigError: nothing there, not a folder or zip, no such `path` in it, a bundled set whose
            package is not installed.
        InputError: a damaged zip.
    """
    if source in BUNDLED:
        if path is not None:
            raise ConfigError(
                f"ingest.path is {path!r}, but the bundled {source!r} has no folders. Leave it out."
            )
        yield _digits() if source == "digits" else _faces()
    elif os.path.isdir(source):
        yield _open_folder(Path(source).resolve(), path)
    elif os.path.isfile(source) and (source.endswith(".zip") or zipfile.is_zipfile(source)):
        with _open_zip(source) as archive:
            yield _zip_source(archive, source, path)
    elif os.path.exists(source):
        raise ConfigError(
            f"{key} is {source}, which is neither a folder nor a zip. Give a folder of images, a"
            f" zip of them, or one of the bundled sets ({', '.join(BUNDLED)})."
        )
    else:
        raise ConfigError(
            f"{key} is {source}, which does not exist; the nearest folder that does is"
            f" {_existing_parent(Path(source))}. Correct the path, or use one of the bundled sets"
            f" ({', '.join(BUNDLED)})."
        )


def _existing_parent(path: Path) -> Path:
    return next((parent for parent in path.absolute().parents if parent.is_dir()), Path("/"))


def _sorted(inputs: Iterable[Input]) -> list[Input]:
    return sorted(inputs, key=lambda item: item.name)


def _unicode(name: str) -> str:
    """A file name that was not valid Unicode, as text that can be stored: \\udcff spelled out."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


def _nothing() -> bytes:
    raise Unusable("must not be read")


def _no_such_path(path: str, what: str, folders: Iterable[str]) -> ConfigError:
    there = sorted(set(folders))
    more = f" and {len(there) - _NAMED} more" if len(there) > _NAMED else ""
    found = ", ".join(there[:_NAMED]) + more if there else "no folders at all"
    return ConfigError(
        f"ingest.path is {path!r}, and {what} has no such folder. At its top there are: {found}."
    )


def _relative(path: str | None) -> str:
    """ "/a//b/" -> "a/b"; empty for the root itself."""
    return "/".join(part for part in (path or "").split("/") if part not in ("", "."))


# --- folders


def _open_folder(top: Path, path: str | None) -> Source:
    inside = _relative(path)
    root = top / inside
    if ".." in inside.split("/") or not root.is_dir():
        names = [_unicode(entry.name) for entry in os.scandir(top) if entry.is_dir()]
        raise _no_such_path(str(path), f"the folder {top}", names)
    return Source(f"the folder {root}", _sorted(_walk(root, str(top))), folder=root)


def _walk(root: Path, fence: str) -> Iterator[Input]:
    """Every file below `root`; links count only if they stay inside `fence`."""
    pending = [("", str(root))]
    while pending:
        prefix, folder = pending.pop()
        try:
            with os.scandir(folder) as entries:
                found = list(entries)
        except OSError as error:
            name = _unicode(prefix.rstrip("/")) or "."
            yield Input(name, _nothing, refused=f"folder not readable: {error.strerror}")
            continue
        for entry in found:
            name = prefix + entry.name
            if entry.is_symlink():
                yield _link(_unicode(name), entry.path, fence)
            elif entry.is_dir(follow_symlinks=False):
                pending.append((name + "/", entry.path))
            elif entry.is_file(follow_symlinks=False):
                yield Input(_unicode(name), partial(_read_file, entry.path))
            else:
                yield Input(_unicode(name), _nothing, refused="not a regular file")


def _link(name: str, path: str, fence: str) -> Input:
    target = os.path.realpath(path)
    if not Path(target).is_relative_to(fence):
        return Input(name, _nothing, refused="symbolic link that leaves the source's folder")
    if os.path.isdir(target):
        return Input(name, _nothing, refused="symbolic link to a folder")
    if not os.path.isfile(target):
        return Input(name, _nothing, refused="symbolic link to no regular file")
    return Input(name, partial(_read_file, target))


def _read_file(path: str) -> bytes:
    # The file may have become a pipe since it was listed: not blocking, it cannot hang the run.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with open(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise Unusable("not a regular file")
        return _capped(file.read(MAX_INPUT_BYTES + 1))


def _capped(data: bytes) -> bytes:
    if len(data) > MAX_INPUT_BYTES:
        raise Unusable(f"larger than {MAX_INPUT_BYTES >> 20} MiB")
    return data


# --- zips


def _open_zip(source: str) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(source)
    except (zipfile.BadZipFile, OSError) as error:
        raise InputError(
            f"The zip {source} could not be opened ({error}). Test it with `unzip -t` and fetch or"
            " make it again."
        ) from error


def _zip_source(archive: zipfile.ZipFile, source: str, path: str | None) -> Source:
    inside = _relative(path)
    prefix = f"{inside}/" if inside else ""
    everything = archive.infolist()
    members = [info for info in everything if info.filename.startswith(prefix)]
    what = f"the zip {source}"
    if not members and prefix:
        tops = (info.filename.split("/")[0] for info in everything if "/" in info.filename)
        raise _no_such_path(str(path), what, map(_unicode, tops))
    reading = threading.Lock()
    inputs = [
        _member(archive, info, info.filename[len(prefix) :], reading)
        for info in members
        if not info.is_dir()
    ]
    return Source(f"{what}, folder {inside}" if inside else what, _sorted(inputs))


def _member(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: str, reading: threading.Lock
) -> Input:
    refused = None
    if info.filename.startswith("/") or ".." in info.filename.split("/"):
        refused = "name that leaves the archive"
    elif stat.S_ISLNK(info.external_attr >> 16):
        refused = "symbolic link in an archive"
    elif info.file_size > MAX_INPUT_BYTES:
        refused = f"larger than {MAX_INPUT_BYTES >> 20} MiB"
    return Input(_unicode(name), partial(_read_member, archive, info, reading), refused)


def _read_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, reading: threading.Lock) -> bytes:
    # ZipFile counts its open members without a lock of its own. The size is checked on what
    # comes out as well: the header may lie.
    with reading, archive.open(info) as file:
        return _capped(file.read(MAX_INPUT_BYTES + 1))


# --- bundled sets


def _digits() -> Source:
    """1,797 scans of handwritten digits, 8x8 gray 0..16, ten classes, in scikit-learn's order."""
    data = _import("sklearn.datasets", "scikit-learn", "digits").load_digits()
    inputs = [
        Input(f"{place:04d}.pgm", partial(_pgm, scan / 16), None, str(label), _DIGITS_LICENSE)
        for place, (scan, label) in enumerate(zip(data.images, data.target, strict=True))
    ]
    return Source("the bundled 'digits'", inputs, resolution=8)


def _faces() -> Source:
    """The first 100 of 200 crops, 25x25 gray 0..1: the faces; the others show none."""
    crops = _import("skimage.data", "scikit-image", "faces").lfw_subset()[:100]
    inputs = [Input(f"{place:03d}.pgm", partial(_pgm, crop)) for place, crop in enumerate(crops)]
    return Source("the bundled 'faces'", inputs, resolution=24)


def _pgm(values: NDArray[np.floating[Any]]) -> bytes:
    """[0, 1] (H, W) -> a binary PGM, whose bytes no version of any library can change."""
    height, width = values.shape
    pixels: NDArray[np.uint8] = np.rint(values * 255).astype(np.uint8)
    return f"P5\n{width} {height}\n255\n".encode() + pixels.tobytes()


def _import(module: str, package: str, source: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ConfigError(
            f"ingest.source is {source!r}, which comes with {package}, and that could not be"
            f' imported ({error}). Install it: pip install "scoremix-pipeline[demo]"'
        ) from error
