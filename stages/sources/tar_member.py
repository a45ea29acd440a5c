"""TarMember: a file inside a tar, by its place in it."""

from dataclasses import dataclass
from functools import partial
from typing import Any

from ..images.input import Input
from .base import read_refused
from .folders import read_file


@dataclass(frozen=True, slots=True)
class TarMember:
    """A file of a tar; its bytes are data[offset : offset + size] of the file `path`."""

    name: str
    path: str
    offset: int
    size: int
    refused: str | None
    shard: str | None  # the tar's own name, where there are several

    @property
    def full_name(self) -> str:
        """Its name below the source's root: that of its shard first, where there are several."""
        return f"{self.shard}/{self.name}" if self.shard else self.name

    def input(self, name: str | None = None, **facts: Any) -> Input:
        """It as an input. name: instead of its own. facts: other fields of Input."""
        name = self.name if name is None else name
        name = f"{self.shard}/{name}" if self.shard else name
        if self.refused:
            return Input(name, read_refused, self.refused, **facts)
        return Input(name, partial(read_file, self.path, self.offset, self.size), **facts)
