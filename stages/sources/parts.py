"""What the names of files and folders say of a dataset's parts: of which split, and how many."""

import re
from collections.abc import Iterable, Iterator

# Words of names of files and folders that are splits of a dataset, not classes.
_SPLITS = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "dev": "dev",
    "test": "test",
    "testing": "test",
}
_WORD = re.compile(r"[A-Za-z]+")
_PART_OF = re.compile(r"(.*?)(\d+)-of-(\d+)")  # as Hugging Face numbers files
_NUMBERED = re.compile(r"(.*?)(\d+)")
_NAMED = 4  # parts that a note lists
_MOST_PARTS = 100_000  # whatever a name says


def splits_of(names: Iterable[str]) -> dict[str, str]:
    """Split -> the first name's beginning up to the word that says so, train first.

    Of train2017 and imagenet-val-0001.tar, say. Empty unless two splits or more are there.
    """
    found: dict[str, str] = {}
    for name in names:
        for word in _WORD.finditer(name):
            split = _SPLITS.get(word[0].lower())
            if split is not None:
                found.setdefault(split, name[: word.end()])
                break
    ordered = sorted(found, key=lambda split: (split != "train", split))
    return {split: found[split] for split in ordered} if len(found) > 1 else {}


def are_splits(names: Iterable[str]) -> bool:
    """Whether every name has such a word, and they are two splits or more."""
    every = list(names)
    words = [any(word.lower() in _SPLITS for word in _WORD.findall(name)) for name in every]
    return all(words) and bool(splits_of(every))


def missing_parts(names: Iterable[str], title: str) -> Iterator[str]:
    """A note for people where files are missing by their numbering; none where all are there.

    Names with "-of-00005" say how many there are. Others may leave gaps between their first and
    last number, as where a download was stopped: so taken where half of them are there.
    """
    stems = [name.split(".")[0] for name in names]
    of: dict[tuple[str, int], dict[int, str]] = {}
    plain: dict[tuple[str, int], dict[int, str]] = {}
    for stem in stems:
        if match := _PART_OF.fullmatch(stem):
            of.setdefault((match[1], int(match[3])), {})[int(match[2])] = match[0]
        elif match := _NUMBERED.fullmatch(stem):
            plain.setdefault((match[1], len(match[2])), {})[int(match[2])] = match[0]
    lacking = [
        f"{prefix}{number:05d}-of-{total:05d}"
        for (prefix, total), there in of.items()
        for number in range(min(total, _MOST_PARTS))
        if number not in there
    ]
    for (prefix, digits), there in plain.items():
        first, last = min(there), max(there)
        if last - first < 2 * len(there):
            span = range(first, last + 1)
            lacking += [f"{prefix}{number:0{digits}d}" for number in span if number not in there]
    if lacking:
        more = f" and {len(lacking) - _NAMED} more" if len(lacking) > _NAMED else ""
        yield (
            f"{title}: by the numbers in their names, {', '.join(lacking[:_NAMED])}{more} are"
            " missing. If you did not leave them out, fetch them and run the same command again."
        )
