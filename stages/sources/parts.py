"""What the names of files and folders say of a dataset's parts: which they are, and how many."""

import re
from collections.abc import Collection, Iterable, Iterator

from ...manifests.foreign_text import first_names

# Words of names of files and folders that are splits of a dataset, not classes.
_SPLITS = {
    "train": "train",
    "training": "train",
    "trainset": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "dev": "dev",
    "test": "test",
    "testing": "test",
    "testset": "test",
}
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")  # train and A of trainA
# Folders, by their letters alone, that lie beside a split or the images and are no classes.
_IMAGES = frozenset("image images img imgs".split())
_BESIDE_IMAGES = frozenset(
    "annotation annotations annots groundtruth groundtruths gt label labels mask masks pred preds"
    " prediction predictions segmentation segmentations unlabeled unlabelled".split()
)
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
        if word := _split_word(name):
            found.setdefault(_SPLITS[word[0].lower()], name[: word.end()])
    ordered = sorted(found, key=lambda split: (split != "train", split))
    return {split: found[split] for split in ordered} if len(found) > 1 else {}


def are_parts(names: Iterable[str]) -> bool:
    """Whether folders of these names are parts of a dataset, and not its classes.

    Two splits under otherwise equal names (trainA and testA, seg_train and seg_test) are, whatever
    lies beside them, and so are masks, ground truths and the like beside images. Else every name
    must be that of a part: "bullet train" and "test tube" are classes among others.
    """
    splits: dict[str, set[str]] = {}  # by the other letters of the names
    beside = images = others = False
    for name in names:
        rest = _letters(_rest(name))
        if split := _split_of(name):
            splits.setdefault(rest, set()).add(split)
        beside = beside or rest in _BESIDE_IMAGES
        images = images or rest in _IMAGES
        others = others or not (split or rest in _BESIDE_IMAGES)
    if any(len(found) > 1 for found in splits.values()) or (images and beside):
        return True
    return not others and (len(set().union(*splits.values())) > 1 or bool(splits and beside))


def training_parts(names: Iterable[str]) -> list[str]:
    """Those of some parts to train on: of the split train, else of the images, else the first."""
    every = [name for name in sorted(names) if _letters(_rest(name)) not in _BESIDE_IMAGES]
    trained = [name for name in every if _split_of(name) == "train"]
    return trained or [name for name in every if _letters(name) in _IMAGES] or every[:1]


def held_out_part(names: Collection[str]) -> str | None:
    """The first of some parts that may be held out beside the training parts; None without one."""
    others = sorted({*names} - {*training_parts(names)})
    return next((name for name in others if _split_of(name) not in (None, "train")), None)


def rest_of(name: str) -> str:
    """What a part is of, by its name: A of trainA; the name itself where that says no more."""
    return _rest(name).strip("_-. ") or name


def _rest(name: str) -> str:
    """The name without the word of its split."""
    word = _split_word(name)
    return name[: word.start()] + name[word.end() :] if word else name


def _split_word(name: str) -> re.Match[str] | None:
    """The first word of a name that is that of a split."""
    words = (word for word in _WORD.finditer(name) if word[0].lower() in _SPLITS)
    return next(words, None)


def _split_of(name: str) -> str | None:
    word = _split_word(name)
    return _SPLITS[word[0].lower()] if word else None


def _letters(name: str) -> str:
    return "".join(filter(str.isalpha, name)).lower()


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
        yield (
            f"{title}: by the numbers in their names, {first_names(lacking, _NAMED)} are"
            " missing. If you did not leave them out, fetch them and run the same command again."
        )
