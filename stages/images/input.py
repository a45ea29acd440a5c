"""One image that can be read: its name, how its bytes are read, what its source says of it."""

import os
from collections.abc import Callable
from dataclasses import dataclass

from .decode import EXTENSIONS

Label = str | int  # a class: its name, or its number
# Why an input is refused that is no damaged image.
REPLACED = "replaced by a later member of the same name"
SECOND_IMAGE = "second image of its sample"


@dataclass(frozen=True, slots=True)
class Input:
    """One file of a source, or one row, member or sample that holds an image.

    Decoder processes receive it pickled, so `read` is a function or a functools.partial of one.
    """

    name: str  # below the source's root, "/" between its parts; valid Unicode
    read: Callable[[], bytes]  # the whole file; raises OSError, Unusable and what zipfile raises
    refused: str | None = None  # why it must not be read
    label: Label | None = None  # its class, from a label or its first folder
    license: str | None = None
    declared_image: bool = False  # the source itself says so, whatever the name
    patch: tuple[float, float] | None = None  # where to cut one out: left and top, in [0, 1)
    path: str | None = None  # of the file on disk, where that file is the input and nothing else

    @property
    def hidden(self) -> bool:
        """Whether a part of its name begins with a dot."""
        return is_hidden(self.name)

    @property
    def claims_image(self) -> bool:
        """Whether source or name say that it is an image; decoding may show that it is none."""
        return self.declared_image or names_image(self.name)


def names_image(name: str) -> bool:
    """Whether a file of this name claims to be an image, by its extension."""
    return os.path.splitext(name)[1].lower() in EXTENSIONS


def is_hidden(name: str) -> bool:
    """Whether tools leave such files behind: .DS_Store, __MACOSX/._cat.jpg."""
    parts = [part for part in name.split("/") if part not in (".", "..")]
    return any(part.startswith(".") or part == "__MACOSX" for part in parts)
