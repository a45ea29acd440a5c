"""Source, a list of inputs in order, and what every kind of source needs to make one.

Every file has a place in the list: one that must not be opened (a link that leaves the folder, a
pipe) is an input whose `refused` says why.
"""

import os
import re
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...manifests.errors import ConfigError
from ...manifests.foreign_text import first_names
from ..images.input import Input, Label, is_hidden, names_image
from ..images.unusable import Unusable

MAX_INPUT_BYTES = 256 << 20  # of one input, uncompressed: what a worker holds in memory
_NAMED = 10  # how many names an error lists
_BACKSLASH = re.compile(r"\\(?!udc[89a-f][0-9a-f])")  # none of storable_name
LEAVES, TO_FOLDER = "symbolic link that leaves the source's folder", "symbolic link to a folder"
UNFOLLOWED = (LEAVES, TO_FOLDER)
FOLLOW_REMEDY = "To read what links lead to, set ingest.follow_links: true."


@dataclass(frozen=True)
class Source:
    """An open source; inputs are in the order of their names, or of their rows."""

    title: str  # for messages: "the zip /data/cats.zip"
    inputs: list[Input]
    folder: Path | None = None  # its real path, if it is one
    resolution: int | None = None  # side in pixels, where the source suggests one
    classes: tuple[str, ...] = ()  # names in the order of the source's own labels, if it has them
    notes: tuple[str, ...] = ()  # what a user should know about how it is read


class SourceFile(NamedTuple):
    """A file of a source. A hashable key for caches of open files.

    Size and time belong to it: another file at the same path is another key.
    """

    path: str
    size: int  # bytes
    mtime_ns: int
    shown: str  # for messages: the path, or the URL that the file was fetched from


def source_file(path: str, shown: str | None = None) -> SourceFile:
    """The file as it is now.

    Raises:
        OSError: there is none.
        ConfigError: a pipe, a socket or a device, whose opening may wait for ever.
    """
    state = os.stat(path)
    if not (stat.S_ISREG(state.st_mode) or stat.S_ISDIR(state.st_mode)):
        raise ConfigError(
            f"{shown or path} is not a regular file but a pipe, a socket or a device. Write what"
            " it gives to a file, or move it out of the folder."
        )
    return SourceFile(path, state.st_size, state.st_mtime_ns, shown or path)


def with_labels(inputs: Sequence[Input], labels: Sequence[Label | None]) -> list[Input]:
    """The inputs, each with its label."""
    return [replace(item, label=label) for item, label in zip(inputs, labels, strict=True)]


def folder_labels(inputs: list[Input], names: list[str]) -> list[str | None]:
    """The first folder of every name; None for a file that lies directly in the root.

    A folder that holds all images, in folders of its own, is taken for the root: archives are often
    made of one folder. A few images beside several such folders do not change that.
    """
    folders = [name.split("/")[:-1] for name in _names_of_images(inputs, names)]
    depth = 0
    while folders and len({tuple(parts[depth : depth + 1]) for parts in folders}) == 1:
        below = {tuple(parts[depth + 1 : depth + 2]) for parts in folders}
        if () in below and len(below) < 3:
            break
        depth += 1
    return [(name.split("/")[:-1] + [None] * (depth + 1))[depth] for name in names]


def common_folder(inputs: list[Input]) -> tuple[str, ...]:
    """The parts of the folder that all images lie in, at whatever depth."""
    names = _names_of_images(inputs, [item.name for item in inputs])
    folders = [name.split("/")[:-1] for name in names]
    low, high = min(folders, default=[]), max(folders, default=[])
    same = takewhile(lambda pair: pair[0] == pair[1], zip(low, high, strict=False))
    return tuple(part for part, _ in same)


def _names_of_images(inputs: list[Input], names: list[str]) -> list[str]:
    """Picks the names of images; where no file claims to be one, those without an ending."""
    seen = [(item, name) for item, name in zip(inputs, names, strict=True) if not item.hidden]
    claimed = [name for item, name in seen if item.claims_image]
    return claimed or [name for _, name in seen if not os.path.splitext(name)[1]]


def slashed_names(names: Sequence[str], *, in_all: bool) -> list[str]:
    """The names with "/" between the parts, where no image's name has one.

    Some Windows programs separate them by "\\" in archives, and other programs unpack these so.

    in_all: only where all images have a "\\"; elsewhere than in zips a name may just have one.
    """
    images = [name for name in names if names_image(name) and not is_hidden(name)] or names
    if any("/" in name for name in images):
        return list(names)
    if in_all and not all(has_backslash(name) for name in images):
        return list(names)
    return [_BACKSLASH.sub("/", name) for name in names]


def has_backslash(name: str) -> bool:
    """Whether a name has a "\\" that storable_name did not write."""
    return bool(_BACKSLASH.search(name))


def sort_by_name(inputs: Iterable[Input]) -> list[Input]:
    """In the order of the names' code points."""
    return sorted(inputs, key=lambda item: item.name)


def storable_name(name: str) -> str:
    """A file name as valid Unicode: bytes that are none are written out, as \\udcff."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


class TooLarge(Unusable):
    """An input above MAX_INPUT_BYTES: it is not held in memory."""


def check_size(data: bytes) -> bytes:
    """Returns `data`, of which at most one byte more than MAX_INPUT_BYTES was read.

    Raises:
        TooLarge: it is above MAX_INPUT_BYTES.
    """
    if len(data) > MAX_INPUT_BYTES:
        raise TooLarge(f"larger than {MAX_INPUT_BYTES >> 20} MiB")
    return data


def read_refused() -> bytes:
    """Stands for the reading of a refused input; raises Unusable."""
    raise Unusable("must not be read")


def encode_netpbm(pixels: NDArray[np.uint8]) -> bytes:
    """uint8 (H, W, 1 or 3) -> a binary PGM or PPM: the bytes of an image that had no file."""
    height, width, channels = pixels.shape
    kind = "P6" if channels == 3 else "P5"
    return f"{kind}\n{width} {height}\n255\n".encode() + pixels.tobytes()


def clean_path(path: str | None) -> str:
    """ "/a//b/" -> "a/b"; empty for the root itself."""
    return "/".join(part for part in (path or "").split("/") if part not in ("", "."))


def no_such_folder(path: str, title: str, folders: Iterable[str]) -> ConfigError:
    """The error for a `path` that is not in the source; `folders`: those at its top."""
    there = sorted(set(folders))
    found = first_names(there, _NAMED) if there else "no folders at all"
    return ConfigError(
        f"path is {path!r}, and {title} has no such folder. At its top there are: {found}."
    )
