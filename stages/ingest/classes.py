"""Gives every image its class, by the labels of all sources: names, or numbers written alike."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from ...manifests.errors import ConfigError
from ...manifests.foreign_text import first_names, printable
from ..images.input import Label
from ..sources.base import Source
from ..sources.class_values import clean_class_name, is_number
from ..sources.parts import are_parts, held_out_part, rest_of, training_parts
from .split import InputRecord

_LISTED = 5  # folders or classes that a message names
_NAME_EACH = (
    "Give its classes names, or name each as a source of its own, as in source: [{source: ...,"
    " label: NAME}], or set ingest.classes: none."
)
_NAME_IN_BOTH = (
    "Give the classes of ingest.reference and of the training images names, or number both, or set"
    " ingest.classes: none."
)

Listed = tuple[Source, list[InputRecord]]


@dataclass(frozen=True)
class ClassNames:
    """The classes of a run, and how labels are written as their names."""

    names: list[str]  # in order; [] without classes
    digits: int  # of the numbers, with leading zeros; 0 where not all classes are numbers
    notes: tuple[str, ...]  # what a user should know of their spelling


def classify(sources: list[Listed], usable: Callable[[InputRecord], bool]) -> ClassNames:
    """Gives every image its class.

    Where all classes are numbers, as numbers or as texts of digits, they get leading zeros up to
    the longest, so that names sort as the numbers do and a number is one class however it is
    written. One source that has an order of its own, as a Hugging Face ClassLabel, keeps it.
    usable: decodes a record; called only where some images have a class and others have none.

    Raises:
        ConfigError: usable images with a class and without; folders that are parts of a dataset;
            classes that are numbered in one place and named in another.
    """
    labels = {record.input.label for _, records in sources for record in _images(records)}
    texts = {_written(label) for label in labels if label is not None}
    digits = max((len(text or "") for text in texts), default=0)
    digits = digits if all(map(is_number, texts)) else 0
    with_classes, without = [], []
    for source, records in sources:
        images = _images(records)
        _name_classes(source, images, digits, usable)
        if any(record.class_name is not None for record in images):
            with_classes.append((source, records))
        elif images:
            without.append(source)
    if with_classes and without:
        raise ConfigError(
            f"{with_classes[0][0].title} has classes and {without[0].title} has none. Give that one"
            " a class, as in source: [{source: ..., label: NAME}], or set ingest.classes: none."
        )
    _refuse_numbers_beside_names(with_classes, _NAME_EACH)
    written: dict[str, set[str]] = {}
    for _, records in with_classes:
        for record in _images(records):
            if record.class_name is not None:
                spelled = _written(record.input.label) or record.class_name
                written.setdefault(record.class_name, set()).add(spelled)
    order = with_classes[0][0].classes if len(with_classes) == 1 else ()
    place = {_written(name, digits): at for at, name in reversed(list(enumerate(order)))}
    names = sorted(written, key=lambda name: (place.get(name, -1), name))
    return ClassNames(names, digits, tuple(_spelling_notes(written)))


def classify_reference(reference: Listed, sources: list[Listed], classes: ClassNames) -> list[str]:
    """Gives every image of ingest.reference its class among those of the training images.

    The others are held out without one: returns notes on them.

    Raises:
        ConfigError: folders that are parts of a dataset; numbers beside the names of the training
            images, or the reverse; classes, and none of them is a class of the training images.
    """
    source, records = reference
    images = _images(records)
    _refuse_parts(source, images, reference=True)
    if not classes.names:
        return []
    _refuse_numbers_beside_names([*sources, reference], _NAME_IN_BOTH)
    known = {*classes.names}
    for record in images:
        name = _written(record.input.label, classes.digits)
        record.class_name = name if name in known else None
    lost = [record for record in images if record.class_name is None]
    labels = {_written(record.input.label, classes.digits) for record in lost} - {None}
    if not lost:
        return []
    title, count = f"ingest.reference ({source.title})", f"{len(lost):,} of {len(images):,}"
    if not labels:
        return [
            f"{title}: {count} images have no label and are held out without a class. If they"
            " have classes, sort them into folders as the training images are."
        ]
    found, there = _shown(labels), _shown(classes.names)
    if len(lost) == len(images):
        raise ConfigError(
            f"{title} has the classes {found}, and the training images {there}: no class is in"
            " both. Give them the same names, or one to all, as in reference: {source: ..., label:"
            " NAME}, name a folder that holds the classes (path: ...), or set ingest.classes: none."
        )
    return [
        f"{title}: {count} images have no class of the training images (theirs: {found}) and are"
        " held out without one."
    ]


def _images(records: list[InputRecord]) -> list[InputRecord]:
    return [record for record in records if record.is_image]


def _shown(names: Iterable[str | None]) -> str:
    """The first names, for a message."""
    return first_names(sorted(name for name in names if name is not None), _LISTED)


def _written(label: Label | None, digits: int = 0) -> str | None:
    """The name of a label's class; with `digits`, a number has so many, with leading zeros."""
    if label is None:
        return None
    text = clean_class_name(str(label))
    return f"{int(text):0{digits}d}" if digits and is_number(text) else text


def _spelling_notes(written: dict[str, set[str]]) -> Iterator[str]:
    """written: class -> how labels have it."""
    numbers = next((sorted(texts) for texts in written.values() if len(texts) > 1), None)
    if numbers:
        yield (
            "class numbers are written with and without leading zeros, and taken for the same"
            f" ({' and '.join(numbers)})."
        )
    alike: dict[str, list[str]] = {}
    for name in sorted(written):
        alike.setdefault(" ".join(name.casefold().split()), []).append(name)
    pairs = [names for names in alike.values() if len(names) > 1]
    if pairs:
        shown = [" and ".join(map(repr, names)) for names in pairs]
        yield (
            "classes whose names differ in case or spaces alone:"
            f" {first_names(shown, _LISTED, '; ')}. If they are one,"
            " give them one name."
        )


def _refuse_numbers_beside_names(sources: list[Listed], remedy: str) -> None:
    """Raises ConfigError for classes that have numbers in one place and names in another.

    Texts of digits are either: folders 0 to 9 beside a number 3, or beside a folder A.
    """
    numbered, named = [], []
    for source, records in sources:
        labels = {record.input.label for record in _images(records)}
        if any(isinstance(label, int) for label in labels):
            numbered.append(source)
        if any(isinstance(label, str) and not is_number(label) for label in labels):
            named.append(source)
    if not (numbered and named):
        return
    apart = [(one, other) for one in named for other in numbered if one is not other]
    if apart:
        (one, other), nothing = apart[0], "nothing says which class a number is"
        raise ConfigError(
            f"{one.title} names its classes, and {other.title} numbers them without names:"
            f" {nothing}. {remedy}"
        )
    labels = {record.input.label for _, records in sources for record in _images(records)}
    number = min(label for label in labels if isinstance(label, int))
    name = min(label for label in labels if isinstance(label, str) and not is_number(label))
    raise ConfigError(
        f"{named[0].title} names some of its classes ({printable(name, line=True)}) and numbers"
        f" others ({number}): nothing says whether a number is the class of a name. Give all of"
        " them names, as texts (of WebDataset samples in their .json), or set ingest.classes: none."
    )


def _name_classes(
    source: Source, images: list[InputRecord], digits: int, usable: Callable[[InputRecord], bool]
) -> None:
    _refuse_parts(source, images)
    for record in images:
        record.class_name = _written(record.input.label, digits)
    unlabelled = [record for record in images if record.class_name is None]
    labelled = [record for record in images if record.class_name is not None]
    folders = sorted({record.class_name or "" for record in labelled})
    if not (unlabelled and labelled):
        return
    # Damaged files beside the class folders, or in folders beside plain images, do not count.
    good = next(filter(usable, unlabelled), None)
    if good and any(map(usable, labelled)):
        more = ", ..." if len(folders) > _LISTED else ""
        raise ConfigError(
            f"{source.title} has {len(unlabelled)} images{_directly(good)} without a class"
            f" ({good.input.name!r}), and {len(labelled)} in {len(folders)} classes"
            f" ({', '.join(folders[:_LISTED])}{more}): are those classes? Then give the others one;"
            " else set ingest.classes: none, or name a folder with ingest.path."
        )
    if good:
        for record in labelled:
            record.class_name = None


def _directly(record: InputRecord) -> str:
    """Where images without a class lie, if it is a file: in a table, labels are null."""
    return " directly in it," if record.input.path is not None else ""


def _refuse_parts(source: Source, images: list[InputRecord], *, reference: bool = False) -> None:
    """Raises ConfigError where folders are parts of a dataset: splits, or masks of images.

    reference: the source is ingest.reference.
    """
    places: dict[str, str] = {}  # folder -> its path in the source
    for record in images:
        label = record.input.label
        if isinstance(label, str) and label not in places:
            before, found, _ = f"/{record.input.name}".partition(f"/{label}/")
            if found:  # else it is a label that no folder gives
                places[label] = f"{before}/{label}".removeprefix("/")
    if are_parts(places):
        remedy = _parts_remedy(source, places)
        if reference:
            part = places.get(held_out_part(places) or "", "FOLDER")
            remedy = (
                "Name the one to hold out, as in ingest.reference: {source: ..., path: "
                f"{part}}}, or set ingest.classes: none."
            )
        raise ConfigError(
            f"{source.title} has the folders {_shown(places)}: parts of a dataset, not classes."
            f" {remedy}"
        )


def _parts_remedy(source: Source, places: dict[str, str]) -> str:
    trained, other = training_parts(places), held_out_part(places)
    if len(trained) > 1:
        shown = source.folder or "..."
        listed = ", ".join(
            f"{{source: {shown}, path: {places[name]}, label: {rest_of(name)}}}"
            for name in trained[:_LISTED]
        )
        remedy = (
            f"Name those to train on as sources, as in source: [{listed}]; ingest.holdout then"
            " holds some of them out."
        )
    else:
        held_out = f", and another one in ingest.reference, as {places[other]}" if other else ""
        path = places[trained[0]] if trained else "FOLDER"
        remedy = (
            f"Name the one to train on, as in ingest.path: {path} (of a pattern, a narrower one)"
            f"{held_out}."
        )
    return (
        f"{remedy} Or take all images as one set with ingest.classes: none. If they are classes,"
        " name each as a source with a label."
    )
