"""An input is one image that can be read; a source is a list of them, in order.

Everything that is a file has a place in the list: what must not be opened (a link that leaves the
folder, a pipe) says so in `refused`.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from ...manifests.errors import ConfigError
from ..images.decode import Unusable
from ..images.input import Input

MAX_INPUT_BYTES = 256 << 20  # of one input, uncompressed: what a worker holds in memory
_NAMED = 10  # how many names an error lists

# Names of folders and files that are parts of a dataset, not classes.
SPLITS = {"train", "training", "val", "valid", "validation", "dev", "test", "testing"}


@dataclass(frozen=True)
class Source:
    """An open source; inputs are in the order of their names, or of their rows."""

    what: str  # for messages: "the zip /data/cats.zip"
    inputs: list[Input]
    folder: Path | None = None  # its real path, if it is one
    resolution: int | None = None  # side in pixels, where the source suggests one
    classes: tuple[str, ...] = ()  # names in the order of the source's own labels, if it has them


def by_folder(inputs: list[Input]) -> list[Input]:
    """The same, each with its folder as its class: see folder_labels."""
    labels = folder_labels(inputs, [item.name for item in inputs])
    return [replace(item, label=label) for item, label in zip(inputs, labels, strict=True)]


def folder_labels(inputs: list[Input], names: list[str]) -> list[str | None]:
    """The first folder of every name; None for a file that lies directly in the root.

    A folder that holds all images, in folders of its own, is taken for the root: archives are often
    made of one folder. A few images beside several such folders do not change that.
    """
    folders = [
        name.split("/")[:-1]
        for item, name in zip(inputs, names, strict=True)
        if item.claims_image and not item.hidden
    ]
    depth = 0
    while folders and len({tuple(parts[depth : depth + 1]) for parts in folders}) == 1:
        below = {tuple(parts[depth + 1 : depth + 2]) for parts in folders}
        if () in below and len(below) < 3:
            break
        depth += 1
    return [(name.split("/")[:-1] + [None] * (depth + 1))[depth] for name in names]


def sort(inputs: Iterable[Input]) -> list[Input]:
    """By the code points of the names."""
    return sorted(inputs, key=lambda item: item.name)


def as_text(name: str) -> str:
    """A file name that was not valid Unicode, as text that can be stored: \\udcff spelled out."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


class TooLarge(Unusable):
    """An input above MAX_INPUT_BYTES: it is not held in memory."""


def capped(data: bytes) -> bytes:
    """`data`, of which no more than a byte beyond the limit may have been read.

    Raises:
        TooLarge: it is above MAX_INPUT_BYTES.
    """
    if len(data) > MAX_INPUT_BYTES:
        raise TooLarge(f"larger than {MAX_INPUT_BYTES >> 20} MiB")
    return data


def nothing() -> bytes:
    """What is read of a refused input."""
    raise Unusable("must not be read")


def relative(path: str | None) -> str:
    """ "/a//b/" -> "a/b"; empty for the root itself."""
    return "/".join(part for part in (path or "").split("/") if part not in ("", "."))


def no_such_path(path: str, what: str, folders: Iterable[str]) -> ConfigError:
    there = sorted(set(folders))
    more = f" and {len(there) - _NAMED} more" if len(there) > _NAMED else ""
    found = ", ".join(there[:_NAMED]) + more if there else "no folders at all"
    return ConfigError(
        f"ingest.path is {path!r}, and {what} has no such folder. At its top there are: {found}."
    )
