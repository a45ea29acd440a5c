"""Names with wildcards: which files they stand for, and the folder in front of the wildcards."""

import glob
import os
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from ..images.input import is_hidden
from .braces import expand_braces
from .folders import walk

_MARKS = "{*?["
_ANY_DEPTH = "**"
_LOOKED_AT, _ENDINGS = 10_000, 4  # files of a folder, and kinds of them that a message names


def is_pattern(source: str) -> bool:
    """Whether a name has wildcards or braces in it."""
    return bool(set(source) & set(_MARKS))


def expand_pattern(source: str) -> list[str]:
    """The files that a pattern names, as shards-{000..146}.tar or photos/**/*.png; else [source].

    `**` stands for any number of folders, none of them hidden.
    """
    if os.path.exists(source) or not is_pattern(source):
        return [source]
    names = expand_braces(source)
    return [path for name in names for path in sorted(_matching(name)) or [name]]


def fixed_part(pattern: str) -> str:
    """The folder in front of the first wildcard of a pattern: d of d/*/*.jpg."""
    first = min(pattern.index(mark) for mark in _MARKS if mark in pattern)
    return os.path.dirname(pattern[:first]) or "."


def describe_unmatched(pattern: str) -> str:
    """That a pattern matches no file, and which endings there are below its fixed folder."""
    top = fixed_part(pattern)
    files = (entry.name for entry in walk(Path(top), follow_links=False) if entry.kind == "file")
    names = (name for name in islice(files, _LOOKED_AT) if not is_hidden(name))
    endings = Counter(os.path.splitext(name)[1] or "files without an ending" for name in names)
    found = ", ".join(f"{ending} ({count})" for ending, count in endings.most_common(_ENDINGS))
    there = f"in {top} there are: {found}" if found else f"there is no file in {top}"
    return f"The pattern {pattern} matches nothing; {there}. Correct the pattern."


def _matching(pattern: str) -> set[str]:
    """What a pattern names; with `**` files alone, and not those that a loop of links repeats."""
    parts = pattern.split("/")
    if _ANY_DEPTH not in parts:
        return set(glob.glob(pattern))
    place = parts.index(_ANY_DEPTH)
    top = "/".join(parts[:place]) or ("/" if place else ".")
    rest = "/".join(parts[place + 1 :]) or "*"
    folders = (folder for one in glob.glob(top) for folder in _folders_from(one))
    found = {
        path
        for folder in folders
        for path in _matching(f"{glob.escape(folder).rstrip('/')}/{rest}")
    }
    return {os.path.normpath(path) for path in found if not os.path.isdir(path)}


def _folders_from(top: str) -> Iterator[str]:
    """A folder and all below it, but for hidden ones and links to one that they lie in."""
    if not os.path.isdir(top):
        return
    yield top
    for entry in walk(Path(top), follow_links=True):
        if entry.kind != "folder" or is_hidden(entry.name):
            continue
        parent = Path(os.path.realpath(os.path.dirname(entry.path)))
        if not (entry.is_link and parent.is_relative_to(os.path.realpath(entry.path))):
            yield entry.path
