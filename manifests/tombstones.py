"""tombstones.json of a run: the inputs that were removed on request, by hash, never by name.

Written durably before anything is removed: after a kill the same command finishes the removal, and
every later ingest refuses the same file.
"""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from .errors import VerifyError
from .files.atomic import canonical_digest, write_json
from .files.json_reader import parse_json
from .run_folder import RunFolder

_FORMAT = 1


@dataclass(frozen=True, order=True)
class Tombstone:
    """One input that must not come back."""

    sha256: str  # of its file as it was read
    pixel_sha256: str  # of its prepared pixels: the same image in another file
    retrained: bool  # whether the network must not have seen it either


@dataclass(frozen=True)
class Tombstones:
    """All forgotten inputs of a run, and how far their removal is."""

    pending: bool = False  # whether their removal may be unfinished
    leaving_plan: bool = False  # whether they leave the plan too, and later rows move up
    entries: tuple[Tombstone, ...] = ()
    request: tuple[str, ...] = ()  # hashes of the keys and names in the last request

    @property
    def hashes(self) -> frozenset[str]:
        """The hashes of files and of pixels that ingest refuses."""
        return frozenset(h for stone in self.entries for h in (stone.sha256, stone.pixel_sha256))

    def file_hashes(self, *, retrained: bool | None = None) -> frozenset[str]:
        """sha256 of the files; retrained: only of those for which it is so."""
        chosen = (s for s in self.entries if retrained is None or s.retrained == retrained)
        return frozenset(stone.sha256 for stone in chosen)

    def was_requested(self, word: str) -> bool:
        """Whether the last request named this key or name."""
        return canonical_digest(word) in self.request

    def with_added(self, entries: list[Tombstone], words: tuple[str, ...]) -> "Tombstones":
        """These too, pending; words: the keys and names of the request."""
        known = {(stone.sha256, stone.pixel_sha256): stone for stone in self.entries}
        new = {(stone.sha256, stone.pixel_sha256): stone for stone in entries}
        request = tuple(sorted({canonical_digest(word) for word in words}))
        return Tombstones(True, False, tuple(sorted((new | known).values())), request)

    def all_retrained(self) -> "Tombstones":
        """All of them pending and leaving the plan: a network is trained that must not see them."""
        entries = tuple(replace(s, retrained=True) for s in self.entries)
        return Tombstones(True, True, entries, self.request)

    def completed(self) -> "Tombstones":
        """The same with nothing pending."""
        return Tombstones(False, False, self.entries, self.request)

    def write(self, run: Path) -> None:
        """Replaces tombstones.json of the run folder, durably."""
        content: dict[str, Any] = {
            "format": _FORMAT,
            "pending": self.pending,
            "settling": self.leaving_plan,
        }
        content |= {"asked": self.request, "forgotten": [asdict(stone) for stone in self.entries]}
        write_json(RunFolder(run).tombstones, content | {"digest": canonical_digest(content)})


def read_tombstones(run: Path) -> Tombstones:
    """The tombstones of the run folder, none if nothing was ever forgotten.

    Raises VerifyError where the file is damaged: which images to refuse is then not known.
    """
    path = RunFolder(run).tombstones
    if not path.exists():
        return Tombstones()
    try:
        content: dict[str, Any] = parse_json(path.read_bytes())
        written = content.pop("digest")
        if written != canonical_digest(content):
            raise ValueError("its content is not what its digest says")
        entries = tuple(Tombstone(**entry) for entry in content["forgotten"])
        states = bool(content["pending"]), bool(content["settling"])
        return Tombstones(*states, entries, tuple(content["asked"]))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise VerifyError(
            f"{path} cannot be read ({error!r}): it says which images must not come back. Restore"
            " it from a backup, or forget these images again after deleting it."
        ) from error
