"""Gives every image its class, by the labels of all sources: names, or numbers written alike."""

from collections.abc import Callable

from ...manifests.errors import ConfigError
from ...manifests.foreign_text import printable
from ..images.input import Label
from ..sources.base import Source
from ..sources.class_values import clean_class_name
from ..sources.parts import are_parts, held_out_part, rest_of, training_parts
from .split import InputRecord

_LISTED = 5  # folders that an error names

Listed = tuple[Source, list[InputRecord]]


def classify(sources: list[Listed], usable: Callable[[InputRecord], bool]) -> list[str]:
    """Gives every image its class and returns the names of the classes in order; [] without.

    Numbers get leading zeros, so that names sort as the numbers do. One source that has an order
    of its own, as a Hugging Face ClassLabel, keeps it.
    usable: decodes a record; called only where some images have a class and others have none.

    Raises:
        ConfigError: usable images with a class and without; folders that are parts of a dataset;
            a source that numbers its classes beside one that names them.
    """
    numbers = [
        item.label for source, _ in sources for item in source.inputs if isinstance(item.label, int)
    ]
    digits = len(str(max(numbers, default=0)))
    with_classes, without = [], []
    for source, records in sources:
        images = [record for record in records if record.is_image]
        _name_classes(source, images, digits, usable)
        if any(record.class_name is not None for record in images):
            with_classes.append(source)
        elif images:
            without.append(source)
    if with_classes and without:
        raise ConfigError(
            f"{with_classes[0].title} has classes and {without[0].title} has none. Give that one a"
            " class, as in source: [{source: ..., label: NAME}], or set ingest.classes: none."
        )
    _refuse_numbers_beside_names(with_classes)
    names = {
        record.class_name
        for _, records in sources
        for record in records
        if record.is_image and record.class_name is not None
    }
    order = with_classes[0].classes if len(with_classes) == 1 else ()
    place = {name: number for number, name in reversed(list(enumerate(order)))}
    return sorted(names, key=lambda name: (place.get(name, -1), name))


def _refuse_numbers_beside_names(sources: list[Source]) -> None:
    """Raises ConfigError for class numbers of one source beside names of another.

    Folders that are called 0, 1, 2 are numbers as well.
    """
    numbered, named = [], []
    for source in sources:
        labels = {item.label for item in source.inputs if item.claims_image}
        if any(isinstance(label, int) for label in labels):
            numbered.append(source)
        if any(isinstance(label, str) and not label.isdecimal() for label in labels):
            named.append(source)
    if numbered and named and numbered != named:
        raise ConfigError(
            f"{named[0].title} names its classes, and {numbered[0].title} numbers them without"
            " names: nothing says which class a number is. Give its classes names, or name each as"
            " a source of its own, as in source: [{source: ..., label: NAME}], or set"
            " ingest.classes: none."
        )


def class_label_name(label: Label | None, digits: int) -> str | None:
    """A class number with leading zeros up to `digits`; a name without a byte order mark."""
    if isinstance(label, int):
        return f"{label:0{digits}d}"
    return None if label is None else clean_class_name(label)


def _name_classes(
    source: Source, images: list[InputRecord], digits: int, usable: Callable[[InputRecord], bool]
) -> None:
    refuse_parts(source, images)
    for record in images:
        record.class_name = class_label_name(record.input.label, digits)
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


def refuse_parts(source: Source, images: list[InputRecord]) -> None:
    """Raises ConfigError where folders are parts of a dataset: splits, or masks of images."""
    places: dict[str, str] = {}  # folder -> its path in the source
    for record in images:
        label = record.input.label
        if isinstance(label, str) and label not in places:
            before, found, _ = f"/{record.input.name}".partition(f"/{label}/")
            places[label] = f"{before}/{label}".removeprefix("/") if found else label
    if are_parts(places):
        shown = ", ".join(printable(name, line=True) for name in sorted(places)[:_LISTED])
        more = f" and {len(places) - _LISTED} more" if len(places) > _LISTED else ""
        raise ConfigError(
            f"{source.title} has the folders {shown}{more}: parts of a dataset, not classes."
            f" {_parts_remedy(source, places)} Or take all images as one set with ingest.classes:"
            " none. If they are classes, name each as a source with a label."
        )


def _parts_remedy(source: Source, places: dict[str, str]) -> str:
    trained, other = training_parts(places), held_out_part(places)
    if len(trained) < 2:
        held_out = f", and another one in ingest.reference, as {places[other]}" if other else ""
        path = places[trained[0]] if trained else "FOLDER"
        return (
            f"Name the one to train on, as in ingest.path: {path} (of a pattern, a narrower one)"
            f"{held_out}."
        )
    shown = source.folder or "..."
    listed = ", ".join(
        f"{{source: {shown}, path: {places[name]}, label: {rest_of(name)}}}"
        for name in trained[:_LISTED]
    )
    return (
        f"Name those to train on as sources, as in source: [{listed}]; ingest.holdout then holds"
        " some of them out."
    )
