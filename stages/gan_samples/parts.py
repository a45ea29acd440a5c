"""Recognises what trainers put into sub-folders: snapshots, classes, chunks, or translations."""

import re
from collections.abc import Sequence

from .pairs import pair_of_folder

_CHUNK = 1000  # images of a sub-folder, of edm's generate.py --subdirs
_CLASS = re.compile(r"(class|cls|label|category)[ _=-]?[0-9]+", re.I)  # class0, label=1


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
    """Names of classes, our folders for them (0_cat), their ids 0 to K - 1, or class0, class1."""
    if all(map(_CLASS.fullmatch, names)):
        return True
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
    """A folder such as 001000 that holds the images 001000 to 001999, and few others if any."""
    if not (name.isascii() and name.isdigit() and len(name) > 3) or int(name) % _CHUNK:
        return False
    stems = [file.rpartition("/")[2].partition(".")[0] for file in files]
    numbers = [int(stem) for stem in stems if stem.isascii() and stem.isdigit()]
    return 2 * len(numbers) > len(files) and all(
        number // _CHUNK * _CHUNK == int(name) for number in numbers
    )
