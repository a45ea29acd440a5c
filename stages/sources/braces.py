"""Names with braces, as a-{00..12}.tar: what they stand for, counted before it is made."""

import re
import string

from ...manifests.errors import ConfigError

_MAX_NAMES, _MAX_CHARACTERS = 100_000, 100_000_000
_MAX_DEPTH = 20  # of braces in braces
_MAX_DIGITS = 12
_RANGE = re.compile(r"(-?\d+)\.\.(-?\d+)(?:\.\.-?(\d+))?")
_LETTERS = re.compile(r"([A-Za-z])\.\.([A-Za-z])(?:\.\.-?(\d+))?")
_ALPHABET = string.ascii_uppercase + string.ascii_lowercase


def expand_braces(source: str) -> list[str]:
    """The paths or URLs that a pattern with braces stands for.

    Raises ConfigError for braces that do not match and for more names than a source has.
    """
    if "{" not in source:
        return [source]
    count = _count(source)
    if count > _MAX_NAMES or count * len(source) > _MAX_CHARACTERS:
        raise ConfigError(
            f"{source[:200]} stands for more names than a source has: at most {_MAX_NAMES:,} of"
            f" {_MAX_CHARACTERS // _MAX_NAMES:,} characters are read. Correct the numbers in the"
            " braces, or name the folder."
        )
    from webdataset.shardlists import braceexpand

    return [str(text) for text in braceexpand.braceexpand(source)]


def _count(source: str) -> int:
    """How many names braceexpand would make; ranges beyond all bounds count as that.

    Of each open brace: where it begins, and the names of the alternatives before the last comma
    and of the one after it, whose parts multiply.
    """
    begins, earlier, current = [0], [0], [1]
    place = 0
    while place < len(source):
        mark = source[place]
        if mark == "\\":
            place += 1
        elif mark == "{":
            begins.append(place + 1)
            earlier.append(0)
            current.append(1)
        elif mark == "," and len(current) > 1:
            earlier[-1] += current[-1]
            current[-1] = 1
        elif mark == "}":
            if len(current) == 1:
                raise _unbalanced(source)
            inside = source[begins.pop() : place]
            listed = earlier.pop() + current.pop()
            current[-1] = min(current[-1] * (_count_range(inside) or listed), _MAX_NAMES + 1)
        if len(current) > _MAX_DEPTH:
            raise ConfigError(f"{source[:200]} has braces in braces {_MAX_DEPTH} deep. Write less.")
        place += 1
    if len(current) > 1:
        raise _unbalanced(source)
    return current[0]


def _count_range(text: str) -> int | None:
    """The values of a range, as 00..12; None for anything else."""
    letters, numbers = _LETTERS.fullmatch(text), _RANGE.fullmatch(text)
    found = letters or numbers
    if found is None:
        return None
    first, last, step = found.groups(default="1")
    if max(len(first), len(last), len(step)) > _MAX_DIGITS:
        return _MAX_NAMES + 1
    places = [_ALPHABET.index(end) if letters else int(end) for end in (first, last)]
    return abs(places[1] - places[0]) // (int(step) or 1) + 1


def _unbalanced(source: str) -> ConfigError:
    return ConfigError(
        f"{source[:200]} has a brace without its counterpart. Correct the pattern; a brace of a"
        " file's name is written \\{."
    )
