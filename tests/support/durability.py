"""What a power cut may take: a model of a disk that keeps nothing but what was synced.

Read from the log of tests/faults/trace.c. A file's bytes are safe after an fsync of it; that it is
there, was renamed or removed, after an fsync of its folder (POSIX promises no more). Rules:

1. A file gets its final name only with its bytes safe.
2. Whenever one does, everything that was done before is safe. So what is on the disk after a cut is
   what a process would have left that was killed somewhere, and those are tested.
3. When a command ends, everything that it did is safe.

Files in SCRATCH may be lost: locks, progress for people, unfinished files.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import PurePosixPath

SCRATCH = re.compile(
    r"(.*/)?("
    r"\.[^/]+\.tmp|[^/]+\.tmp|\.[^/]*\.part"  # unfinished files of `replacing` and of downloads
    r"|\.scoremix/tmp(/.*)?|\.[^/]*scoremix-tmp[^/]*(/.*)?"  # unfinished shards
    r"|\.[^/]+\.exporting(/.*)?"  # unfinished exports
    r"|\.scoremix/lock|\.scoremix/[^/]*\.lock|\.scoremix/shards(/[^/]+\.lock)?"
    r"|\.scoremix/progress\.jsonl"  # for people
    r"|\.scoremix/fetched(/.*)?"  # downloads: of these rule 1 alone
    r")"
)


@dataclass
class ModelDisk:
    """Applies one line of the log after another."""

    root: str
    unsafe: dict[str, str] = field(default_factory=dict)  # file -> what its bytes lack
    pending: dict[str, str] = field(default_factory=dict)  # name -> what its folder's fsync lacks
    known: set[str] = field(default_factory=set)  # names that the log has made
    gaps: list[str] = field(default_factory=list)

    def apply(self, line: str) -> None:
        """One line, as trace.c writes it."""
        what, *paths = line.split("\t")
        getattr(self, f"_{what}")(*paths)

    def end(self, command: str) -> list[str]:
        """The gaps of a command that ends here; the next one begins with everything safe."""
        for name, lack in {**self.pending, **self.unsafe}.items():
            if not self._is_scratch(name):
                self.gaps.append(f"at the end of {command}: {lack}: {self._short(name)}")
        found, self.gaps = self.gaps, []
        self.pending.clear(), self.unsafe.clear()
        return found

    def _create(self, path: str) -> None:
        self.known.add(path)
        self.pending[path] = "created, its folder not synced"

    def _write(self, path: str) -> None:
        if not path.endswith(" (deleted)"):
            self.unsafe[path] = "written, not synced"

    _shared = _write

    def _fsync(self, path: str) -> None:
        self.unsafe.pop(path, None)
        for name in [name for name in self.pending if str(PurePosixPath(name).parent) == path]:
            del self.pending[name]

    def _sync(self) -> None:
        self.unsafe.clear(), self.pending.clear()

    def _mkdir(self, path: str) -> None:
        self.known.add(path)
        self.pending[path] = "folder made, its parent not synced"

    def _remove(self, path: str) -> None:
        for table in (self.unsafe, self.pending):  # with a folder all goes that it held
            for name in [name for name in table if name.startswith(f"{path}/")]:
                del table[name]
        self.unsafe.pop(path, None)
        self.known.discard(path)
        lost = self.pending.pop(path, "removed")  # a name that never was safe need not go safely
        if not lost.startswith(("created", "folder")):
            self.pending[path] = "removed, its folder not synced"

    def _rename(self, old: str, new: str) -> None:
        if not self._is_scratch(new):
            self._check(old, new)
        elif "/.scoremix/fetched/" in new and old in self.unsafe:
            self.gaps.append(f"{self._short(new)} counts as fetched: {self.unsafe[old]}")
        for table in (self.unsafe, self.pending):
            for name in [n for n in table if n == old or n.startswith(f"{old}/")]:
                table[new + name[len(old) :]] = table.pop(name)
        moved = {name for name in self.known if name == old or name.startswith(f"{old}/")}
        self.known = (self.known - moved) | {new + name[len(old) :] for name in moved}
        self.pending[new] = "renamed, its folder not synced"
        if not self._is_scratch(old):
            self.pending[old] = "renamed away, its folder not synced"

    def _check(self, old: str, new: str) -> None:
        for name, lack in self.unsafe.items():
            if name == old or name.startswith(f"{old}/") or not self._is_scratch(name):
                self.gaps.append(f"{self._short(new)} is named before {self._short(name)}: {lack}")
        for name, lack in self.pending.items():
            if name != new and (name.startswith(f"{old}/") or not self._is_scratch(name)):
                self.gaps.append(f"{self._short(new)} is named before {self._short(name)}: {lack}")

    def _is_scratch(self, name: str) -> bool:
        return SCRATCH.fullmatch(self._short(name)) is not None

    def _short(self, name: str) -> str:
        return name.removeprefix(f"{self.root}/")


def gaps_of(root: str, log: Iterable[str]) -> tuple[dict[str, list[str]], set[str]]:
    """(command -> its gaps, names that the log knows). Lines "end NAME" close a command."""
    disk, found = ModelDisk(root), dict[str, list[str]]()
    for line in log:
        if line.startswith("end\t"):
            found[line.split("\t")[1]] = disk.end(line.split("\t")[1])
        else:
            disk.apply(line)
    return found, disk.known
