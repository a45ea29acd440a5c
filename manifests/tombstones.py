"""tombstones.json of a run: which inputs were removed on request, by hash, never by name.

Written before anything else is done, durably, so that whatever is killed on the way, the same
command ends it, and the next ingest refuses the same file.
"""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from .errors import VerifyError
from .files.atomic import canonical_digest, write_json

NAME = "tombstones.json"
_FORMAT = 1


@dataclass(frozen=True, order=True)
class Tombstone:
    """One input that must not come back."""

    sha256: str  # of its file as it was read
    pixel_sha256: str  # of its prepared pixels: the same image in another file
    retrained: bool  # whether the network must not have seen it either


@dataclass(frozen=True)
class Tombstones:
    pending: bool = False  # whether something of them may still be there
    settling: bool = False  # whether they are leaving the plan too, and every row moves up
    stones: tuple[Tombstone, ...] = ()
    asked: tuple[str, ...] = ()  # hashes of the words of the last request, to know it again

    @property
    def hashes(self) -> frozenset[str]:
        """What ingest refuses: of files and of pixels."""
        return frozenset(h for stone in self.stones for h in (stone.sha256, stone.pixel_sha256))

    def files(self, *, retrained: bool | None = None) -> frozenset[str]:
        """sha256 of the files; retrained: of those alone that are, or are not."""
        chosen = (s for s in self.stones if retrained is None or s.retrained == retrained)
        return frozenset(stone.sha256 for stone in chosen)

    def knows(self, word: str) -> bool:
        """Whether the last request named this: a key, or a name that nothing else remembers."""
        return canonical_digest(word) in self.asked

    def added(self, stones: list[Tombstone], words: tuple[str, ...]) -> "Tombstones":
        known = {(stone.sha256, stone.pixel_sha256): stone for stone in self.stones}
        new = {(stone.sha256, stone.pixel_sha256): stone for stone in stones}
        asked = tuple(sorted({canonical_digest(word) for word in words}))
        return Tombstones(True, False, tuple(sorted((new | known).values())), asked)

    def all_retrained(self) -> "Tombstones":
        """As they are to be before a network is trained that must not see them."""
        stones = tuple(replace(s, retrained=True) for s in self.stones)
        return Tombstones(True, True, stones, self.asked)

    def done(self) -> "Tombstones":
        return Tombstones(False, False, self.stones, self.asked)

    def write(self, run: Path) -> None:
        content: dict[str, Any] = {
            "format": _FORMAT,
            "pending": self.pending,
            "settling": self.settling,
        }
        content |= {"asked": self.asked, "forgotten": [asdict(stone) for stone in self.stones]}
        write_json(run / NAME, content | {"digest": canonical_digest(content)})


def read_tombstones(run: Path) -> Tombstones:
    """Those of the run folder, none if nothing was ever forgotten.

    Raises VerifyError where the file is damaged: what must not come back is then not known.
    """
    path = run / NAME
    if not path.exists():
        return Tombstones()
    try:
        content: dict[str, Any] = json.loads(path.read_bytes())
        written = content.pop("digest")
        if written != canonical_digest(content):
            raise ValueError("its content is not what its digest says")
        stones = tuple(Tombstone(**entry) for entry in content["forgotten"])
        states = bool(content["pending"]), bool(content["settling"])
        return Tombstones(*states, stones, tuple(content["asked"]))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise VerifyError(
            f"{path} cannot be read ({error!r}): it says which images must not come back. Restore"
            " it from a backup, or forget these images again after deleting it."
        ) from error
