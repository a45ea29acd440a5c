"""Gives inputs their classes: from dataset.json, metadata.csv, or the folders they lie in.

{"labels": [["00000/img00000000.png", 3], ...]} with a class number for every image, or null. It
lies beside the images' folders, at the source's root or in a folder that holds all images.
"""

import os
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ...manifests.errors import ConfigError
from ...manifests.files.json_reader import parse_json
from ...manifests.foreign_text import first_names
from ..images.input import Input, Label
from ..images.unusable import Unusable, explain
from .base import Source, common_folder, folder_labels, slashed_names, with_labels
from .class_values import is_number
from .folder_notes import notes_on_backslashes, notes_on_numbers, notes_on_parts
from .label_fields import remedy_for
from .limits import check_json, check_label_file
from .metadata_file import METADATA_FILES, NoLabels, read_metadata, refuse_disagreement, slashed
from .second_images import leave_out_second_images
from .twins import label_by_twins, unread_twins
from .unused_options import no_column

LABELS_FILE = "dataset.json"
LABEL_FILES = (LABELS_FILE, *METADATA_FILES)
_NAMED = 5  # images or folders that a message lists
_UNREAD_METADATA = "metadata.parquet"  # which Hugging Face reads too


def source_of_files(
    title: str,
    inputs: list[Input],
    classes: bool,
    names: list[str] | None = None,
    *,
    others: Sequence[str] = (),
    column: str | None = None,
) -> Source:
    """A source of files in folders; with `classes`, labelled by a file of labels, else by files of
    the images' names, else by folders.

    names: below the root, where an input's own name has another prefix. others: of files that are
    no inputs, as captions beside the images. column: of metadata.csv, or the key of a JSON beside
    an image, that has the label; by default the first of those for labels.

    Raises:
        ConfigError: a dataset.json that cannot be read, or that does not label every image; no such
            column.
    """
    inputs, notes = leave_out_second_images(inputs, title)
    if not classes:
        return Source(title, inputs, notes=tuple(notes))
    found = _labelled(title, inputs, names, others, column)
    return replace(found, notes=(*notes, *found.notes))


def _labelled(
    title: str,
    inputs: list[Input],
    names: list[str] | None,
    others: Sequence[str],
    column: str | None,
) -> Source:
    """A source of files in folders with their classes; as source_of_files."""
    root, data = _find_file(inputs, LABELS_FILE, title)
    if _has_labels(data):
        if column is not None:
            raise no_column(column, f"{LABELS_FILE} of {title} labels its images")
        pairs = _below(root, _parse_labels(data, title), inputs)
        labelled = _with_file_labels(inputs, root + LABELS_FILE, pairs, title)
        return Source(title, labelled, notes=tuple(_absent(pairs, root + LABELS_FILE, labelled)))
    names = [item.name for item in inputs] if names is None else names
    names = slashed_names(names, in_all=True)
    by_folder = with_labels(inputs, folder_labels(inputs, names))
    by_metadata, notes = _with_metadata(inputs, title, column)
    by_file = by_metadata or label_by_twins(inputs, title, column)
    if column is not None and not by_file:
        files = " or ".join(METADATA_FILES)
        raise no_column(column, f"no {files} of {title} has it, nor a .json beside an image")
    if by_file and (column is not None or not _names_numbers(by_folder, by_file)):
        return Source(title, by_file, notes=tuple(notes))
    unread = [*_unread_notes(by_folder, title)]
    more = unread or notes_on_numbers(by_folder, [*names, *others], title)
    inner = (*notes_on_parts(by_folder, names, title), *notes_on_backslashes(names, title))
    none = all(item.label is None for item in by_folder)
    twins = unread_twins(inputs, title) if none else ()
    return Source(title, by_folder, notes=(*notes, *more, *inner, *twins))


def is_label_file(name: str) -> bool:
    """Whether a file of this name may hold the labels of the images below its folder."""
    return name.split("/")[-1] in LABEL_FILES


def _below(root: str, labels: Mapping[str, Label | None], inputs: list[Input]) -> dict[str, Any]:
    """The labels by the names of inputs, which the file may spell in another way.

    Written on Windows, it may have "\\" in them, and composed accents where macOS decomposes
    those of files, or the reverse.
    """
    there = {item.name for item in inputs}
    named: dict[str, Any] = {}
    others: dict[str, Label | None] = {}
    for name, label in labels.items():
        spellings = (root + name, root + slashed(name))
        found = next((one for one in spellings if one in there), None)
        (others if found is None else named)[found or spellings[-1]] = label
    composed = {_composed(name): name for name in there - named.keys()} if others else {}
    for name, label in others.items():
        named.setdefault(composed.get(_composed(name), name), label)
    return named


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", slashed(name))


def _absent(labels: Mapping[str, Any], file: str, inputs: list[Input]) -> Iterator[str]:
    """A note on images that are labelled and not there: a copy of the folder may be cut short."""
    absent = sorted(labels.keys() - {item.name for item in inputs})
    if absent:
        yield f"{file} labels files that are not in the source: {first_names(absent, _NAMED)}."


def _with_metadata(
    inputs: list[Input], title: str, column: str | None
) -> tuple[list[Input], list[str]]:
    """The inputs with the labels of metadata.jsonl or .csv, or none; notes on either."""
    notes: list[str] = []
    first: dict[str, Label | None] = {}
    labelled: list[Input] = []
    for file in METADATA_FILES:
        root, data = _find_file(inputs, file, title)
        if not data:
            continue
        try:
            is_csv = file.endswith(".csv")
            found = read_metadata(f"{file} of {title}", data, is_csv=is_csv, column=column)
        except NoLabels as error:
            if not labelled:
                notes.append(f"{title}: {root}{file} is not read for labels: {error}.")
            continue
        labels = _below(root, found, inputs)
        if labelled:
            refuse_disagreement(first, labels, title)
            continue
        first = labels
        labelled = _with_file_labels(inputs, root + file, labels, title)
        notes = list(_absent(labels, root + file, labelled))
    if labelled:
        return labelled, notes
    unread = next((i.name for i in inputs if i.name.split("/")[-1] == _UNREAD_METADATA), None)
    if unread:
        notes.append(f"{title}: {unread} is not read for labels. Write them to metadata.csv.")
    return [], notes


def _names_numbers(by_folder: list[Input], by_metadata: list[Input]) -> bool:
    """Whether the metadata number the classes, and two folders or more are their names."""
    pairs = {
        (first.label, second.label)
        for first, second in zip(by_folder, by_metadata, strict=True)
        if first.claims_image and not first.hidden
    }
    folders, numbers = {folder for folder, _ in pairs}, {number for _, number in pairs}
    return (
        all(map(is_number, numbers))
        and not any(folder is None or is_number(folder) for folder in folders)
        and len(folders) == len(pairs) == len(numbers) > 1
    )


def _with_file_labels(
    inputs: list[Input], file: str, labels: Mapping[str, Label | None], title: str
) -> list[Input]:
    """The inputs with the labels, by name, that the file of this name gives them."""
    marked = [
        replace(item, refused="the labels of the images") if item.name == file else item
        for item in inputs
    ]
    if not labels:
        return marked
    missing = [
        item.name
        for item in marked
        if item.claims_image and not item.hidden and not item.refused and item.name not in labels
    ]
    if missing:
        named, short = first_names(missing, _NAMED), file.split("/")[-1]
        raise ConfigError(f"{short} of {title} has no label for {named}. {_remedy(short)}")
    return [replace(item, label=labels.get(item.name)) for item in marked]


def _find_file(inputs: list[Input], file: str, title: str) -> tuple[str, bytes]:
    """The folder of a file of labels ("" or "name/") and its bytes, empty where there is none.

    It is looked for at the root and in the folders that hold all images, from the outermost on.

    Raises:
        ConfigError: it cannot be read.
    """
    found = {item.name: item for item in inputs if item.name.split("/")[-1] == file}
    if not found:
        return "", b""
    for root in _roots(inputs):
        item = found.get(root + file)
        if item is None:
            continue
        try:
            if item.refused:
                raise Unusable(item.refused)
            data = item.read()
            check_label_file(file, data, len(inputs))
            if file == LABELS_FILE:
                check_json(file, data, len(inputs))
            return root, data
        except Exception as error:  # archives raise what they like
            raise ConfigError(
                f"{file} of {title} could not be read ({explain(error)})."
                f" {remedy_for(item, f'Mend {file}')}"
            ) from error
    return "", b""


def _roots(inputs: list[Input]) -> list[str]:
    """The folders, "" or "name/", that hold all images, from the outermost on."""
    parts = common_folder(inputs)
    return ["".join(f"{part}/" for part in parts[:depth]) for depth in range(len(parts) + 1)]


def _remedy(file: str) -> str:
    return f"Mend {file}, or set ingest.classes: none to ignore the labels."


def _unread_notes(inputs: list[Input], title: str) -> Iterator[str]:
    """Names label files that lie outside the folders in which they are searched for."""
    tried = {root + file for root in _roots(inputs) for file in LABEL_FILES}
    unread = [
        item.name
        for item in inputs
        if is_label_file(item.name) and item.name not in tried and not item.hidden
    ]
    if unread:
        yield (
            f"{title}: {first_names(unread, _NAMED)} not read, because it does not lie in a"
            " folder that holds all images. Name each of these folders or archives as a source of"
            " its own."
        )


def labels_beside(folder: str, source: Source) -> Source:
    """With a note on files of labels that lie in the folder of an archive without labels."""
    if any(item.label is not None for item in source.inputs):
        return source
    files = (*LABEL_FILES, _UNREAD_METADATA)
    there = [name for name in files if os.path.isfile(os.path.join(folder, name))]
    return _not_reading(there, "beside", "put it into the archive", source)


def labels_above(names: Iterable[str], source: Source) -> Source:
    """With a note on files of labels above the folder that ingest.path or a pattern names.

    names: of files above that folder, for the note.
    """
    there = sorted(name for name in names if is_label_file(name))
    return _not_reading(there, "above", "name the folder that holds it", source)


def _not_reading(files: list[str], where: str, remedy: str, source: Source) -> Source:
    if not files:
        return source
    note = (
        f"{source.title}: {', '.join(files[:_NAMED])} {where} it is not read. If it has the labels"
        f" of these images, {remedy}."
    )
    return replace(source, notes=(*source.notes, note))


def is_above(name: str, inside: str) -> bool:
    """Whether a file lies in a folder above `inside`: a/x.json is above a/b."""
    folder = name.rpartition("/")[0]
    return inside != folder and f"{inside}/".startswith(f"{folder}/" if folder else "")


def _has_labels(data: bytes) -> bool:
    """Whether a file of this name is StyleGAN's; other tools write a dataset.json too."""
    try:
        return "labels" in parse_json(data)
    except (ValueError, TypeError):
        return data.lstrip()[:1] == b"{"  # a damaged one must be reported, and not ignored


def read_pairs(data: bytes) -> list[tuple[str, Any]] | None:
    """The pairs (name, label) of dataset.json; None where its labels are null.

    The form is that of StyleGAN's reader: {"labels": [[name, label], ...]}, or an object of labels
    by name, or null. The labels themselves are not checked.

    Raises:
        ValueError: it has another form; the message says which.
    """
    try:
        document = parse_json(data)
    except ValueError as error:
        raise ValueError(f"{type(error).__name__}: {error}") from error
    if not isinstance(document, dict) or "labels" not in document:
        kind = f"keys {sorted(document)[:5]}" if isinstance(document, dict) else "no object"
        raise ValueError(f"{kind}; there is no key 'labels'")
    pairs = document["labels"]
    if pairs is None:
        return None
    if isinstance(pairs, dict):  # StyleGAN's dict(labels) takes that too
        pairs = list(pairs.items())
    if not isinstance(pairs, list):
        raise ValueError(f"labels is a {type(pairs).__name__}")
    for number, pair in enumerate(pairs):
        if not (isinstance(pair, list | tuple) and len(pair) == 2 and isinstance(pair[0], str)):
            raise ValueError(f"entry {number} is {str(pair)[:60]}")
    return [(name, label) for name, label in pairs]


def _parse_labels(data: bytes, title: str) -> dict[str, int]:
    try:
        pairs = read_pairs(data) or []
    except ValueError as error:
        raise ConfigError(
            f'{LABELS_FILE} of {title} cannot be read as {{"labels": [[name, class], ...]}}'
            f" ({error}). {_remedy(LABELS_FILE)}"
        ) from error
    labels = dict(pairs)
    conflicts = [name for name, label in pairs if labels[name] != label]
    if conflicts:
        raise ConfigError(
            f"{LABELS_FILE} of {title} gives {conflicts[0]} two different labels."
            f" {_remedy(LABELS_FILE)}"
        )
    for name, label in labels.items():
        if not isinstance(label, int) or isinstance(label, bool) or label < 0:
            kind = "a list of weights (a soft label)" if isinstance(label, list) else repr(label)
            raise ConfigError(
                f"{LABELS_FILE} of {title} gives {name} the label {kind}; a class is a whole number"
                f" from 0. {_remedy(LABELS_FILE)}"
            )
    return labels
