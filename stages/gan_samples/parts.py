"""Recognises what trainers put into sub-folders: snapshots, classes, chunks, or real images too."""

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from .pairs import pair_of_folder

REAL = re.compile(r"reals?(_[AB])?", re.I)
FAKE = re.compile(r"fakes?(_[AB])?", re.I)
_FILE = re.compile(r".*_(?P<role>(real|fake|rec|idt)_[AB])", re.I)  # CycleGAN's: 0001_fake_B.png
_DEPTH = 6  # folders below the given one that are searched
_CHUNK = 1000  # images of a sub-folder, of edm's generate.py --subdirs


def folders_of_fakes(given: Path) -> list[tuple[Path, list[str]]]:
    """Folders at or below `given` in which fakes lie beside real images: (folder, names of fakes).

    As CUT's real_A/, real_B/ and fake_B/, or StudioGAN's real/ and fake/.
    """
    found = []
    for root, folders, _ in os.walk(given):
        folders.sort()
        if len(Path(root).relative_to(given).parts) >= _DEPTH:
            folders.clear()
        fakes = [name for name in folders if FAKE.fullmatch(name)]
        if fakes and any(REAL.fullmatch(name) for name in folders):
            found.append((Path(root), fakes))
            folders.clear()
    return found


def roles_of_files(names: Iterable[str]) -> set[str]:
    """The roles that names of files end in: "fake_B", "real_A"; empty unless all have one."""
    roles = set()
    for name in names:
        match = _FILE.fullmatch(name.rpartition("/")[2].rpartition(".")[0])
        if match is None:
            return set()
        roles.add(match["role"])
    return roles


def file_role(name: str) -> str | None:
    """The role that a file's name ends in, None without one."""
    match = _FILE.fullmatch(name.rpartition("/")[2].rpartition(".")[0])
    return match and match["role"]


def kind_of_folders(
    names: Sequence[str], files: dict[str, list[str]], classes: Sequence[str]
) -> str:
    """What sub-folders of samples hold: "snapshots", "classes", "chunks", "translations" or "".

    files: folder -> names of some images in it. classes: of the corpus, in the order of their ids.
    """
    if _are_classes(names, classes):
        return "classes"
    if _are_translations(names, classes):
        return "translations"
    if all(_is_chunk(name, files.get(name, [])) for name in names):
        return "chunks"
    patterns = {re.sub("[0-9]+", "#", name) for name in names}
    return "snapshots" if len(patterns) == 1 and "#" in patterns.pop() else ""


def _are_classes(names: Sequence[str], classes: Sequence[str]) -> bool:
    """Names of classes, our folders for them (0_cat), or their ids 0 to K - 1."""
    numbered = {re.sub(r"^[0-9]+_", "", name) for name in names}
    if set(names) <= set(classes) or numbered <= set(classes):
        return True
    ids = {int(name) for name in names if name.isascii() and name.isdigit()}
    return len(classes) > 1 and len(ids) == len(names) and ids == set(range(len(classes)))


def _are_translations(names: Sequence[str], classes: Sequence[str]) -> bool:
    """A2B of two classes. Names of digits alone, as 120, only where every pair has its folder."""
    if all(map(str.isdecimal, names)) and len(names) < len(classes) * (len(classes) - 1):
        return False
    return all(pair_of_folder(name, classes) is not None for name in names)


def _is_chunk(name: str, files: Sequence[str]) -> bool:
    """A folder such as 001000 that holds the images 001000 to 001999."""
    if not (name.isascii() and name.isdigit() and len(name) > 3) or int(name) % _CHUNK:
        return False
    stems = [file.rpartition("/")[2].partition(".")[0] for file in files]
    return bool(stems) and all(
        stem.isascii() and stem.isdigit() and int(stem) // _CHUNK * _CHUNK == int(name)
        for stem in stems
    )
