"""Reads the labels of a Hugging Face image folder: metadata.csv or metadata.jsonl.

A row per image, with `file_name` below the folder of the file, and a label in a column of the names
that label a table (https://huggingface.co/docs/datasets/image_dataset).
"""

import csv
import io
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from ...manifests.errors import ConfigError
from ..images.input import Label
from .class_values import REMEDY, class_of, class_of_text, is_number
from .json_text import load_json

METADATA_FILES = ("metadata.jsonl", "metadata.csv")
LABEL_NAMES = ("label", "labels", "class", "cls", "class_id", "category", "target")
_FILE_NAME = "file_name"
_MAX_COLUMNS = 10_000
_LINE_VALUES = 200_000  # commas and colons of a line, which may lie in texts


class NoLabels(Exception):
    """The file has no labels of images; the message says why."""


def read_metadata(
    name: str, data: bytes, *, is_csv: bool, column: str | None = None
) -> dict[str, Label | None]:
    """The label of every file that the rows name, below the folder of the metadata file.

    name: of the file, for messages. is_csv: else it has an object of JSON in every line. column:
    that of the label; by default the one of a label's name.

    Raises:
        NoLabels: no such format, no column file_name, or none of a label.
        ConfigError: no such column, several that may be the label, one that is there twice, a row
            of more cells than columns or cut off before its label, a label that is no class, two
            for one image, or more columns than are read.
    """
    try:
        keys = {_FILE_NAME, *LABEL_NAMES, column or ""}
        columns, rows = (_csv_rows if is_csv else _json_rows)(name, data, keys)
    except (ValueError, csv.Error) as error:
        raise NoLabels(f"it cannot be read ({error})") from error
    if not rows:
        raise NoLabels("it has no rows")
    column = _label_column(name, sorted(columns), column)
    labels: dict[str, Label | None] = {}
    texts: dict[str, str] = {}
    for number, row in enumerate(rows, 1):
        file = row.get(_FILE_NAME)
        if not isinstance(file, str):
            raise ConfigError(f"Row {number} of {name} has no {_FILE_NAME}. {REMEDY}")
        value, where = row.get(column), f"row {number} of {name}"
        if is_csv:
            if value is None:
                raise ConfigError(f"The {where} ends before its {column}. {REMEDY}")
            label = class_of_text(value.encode(), (), where)
            texts[slashed(file)] = value.strip()
        else:
            label = class_of(value, (), where, REMEDY)
        file = slashed(file)
        if labels.setdefault(file, label) != label:
            raise ConfigError(f"{name} gives {file} two different labels. {REMEDY}")
    if all(label is None or is_number(label) for label in labels.values()):
        return labels
    # A cell has no type: digits beside names, as of letters and digits, are names too.
    return {
        file: texts.get(file, label) if isinstance(label, int) else label
        for file, label in labels.items()
    }


def refuse_disagreement(
    one: Mapping[str, Label | None], other: Mapping[str, Label | None], title: str
) -> None:
    """Raises ConfigError where metadata.jsonl and metadata.csv label an image differently."""
    for name in sorted(one.keys() & other.keys()):
        if str(one[name]) != str(other[name]):
            raise ConfigError(
                f"{' and '.join(METADATA_FILES)} of {title} label {name} differently:"
                f" {one[name]} and {other[name]}. Remove one of the files, or set ingest.classes:"
                " none."
            )


def slashed(name: str) -> str:
    """The name of a file below a folder with "/" between its parts, as Windows may not have it."""
    return name.replace("\\", "/").removeprefix("./")


def _csv_rows(
    name: str, data: bytes, keys: Collection[str]
) -> tuple[set[str], list[dict[str, Any]]]:
    """The columns, and of every row the cells of those in `keys`: others may be many thousands.

    Raises ConfigError for a row of more cells than columns, and for a column of `keys` twice.
    Which of them is the label is not known.
    """
    lines = io.StringIO(data.decode("utf-8-sig"), newline="")
    reader = csv.reader((_checked_line(name, line) for line in lines), strict=True)
    columns = next(reader, [])
    _check_columns(name, len(columns))
    for column, count in Counter(columns).items():
        if count > 1 and column in keys:
            raise ConfigError(
                f"{name} has {count} columns {column}. Remove all but one of them, or set"
                " ingest.classes: none."
            )
    wanted = [(place, column) for place, column in enumerate(columns) if column in keys]
    rows: list[dict[str, Any]] = []
    for cells in filter(None, reader):  # an empty line is no row
        if len(cells) > len(columns):
            raise ConfigError(
                f"Row {len(rows) + 1} of {name} has more cells than its {len(columns)} columns."
                f" A text with a comma in it needs quotes. {REMEDY}"
            )
        rows.append({column: cells[place] for place, column in wanted if place < len(cells)})
    return set(columns), rows


def _json_rows(
    name: str, data: bytes, keys: Collection[str]
) -> tuple[set[str], list[dict[str, Any]]]:
    """The columns, and of every row the values of those in `keys`."""
    columns: set[str] = set()
    rows: list[dict[str, Any]] = []
    # Lines end with \n alone: JSON's texts may hold the other separators that splitlines knows.
    for line in data.decode("utf-8-sig").split("\n"):
        if not line.strip():
            continue
        row = load_json(_checked_line(name, line), f"A row of {name}", keys)
        if not isinstance(row, dict):
            raise ValueError("a line is no object")
        columns.update(row)
        _check_columns(name, len(columns))
        rows.append({key: row[key] for key in row.keys() & keys})
    return columns, rows


def _checked_line(name: str, line: str) -> str:
    """The line. Raises ConfigError where it would be parsed into more values than any row has."""
    values = line.count(",") + line.count(":")
    if values > _LINE_VALUES:
        raise ConfigError(
            f"A line of {name} has {values:,} commas and colons; of more than {_LINE_VALUES:,} no"
            f" label is read. Keep {_FILE_NAME} and the label alone, or set ingest.classes: none."
        )
    return line


def _check_columns(name: str, columns: int) -> None:
    if columns > _MAX_COLUMNS:
        raise ConfigError(
            f"{name} has more than {_MAX_COLUMNS:,} columns. Keep {_FILE_NAME} and the label alone,"
            " or set ingest.classes: none."
        )


def _label_column(name: str, columns: Sequence[str], asked: str | None) -> str:
    if _FILE_NAME not in columns:
        raise NoLabels(f"it has no column {_FILE_NAME}")
    if asked is not None:
        if asked in columns:
            return asked
        raise ConfigError(
            f"label_column is {asked!r}, and {name} has no such column. Its columns:"
            f" {', '.join(columns)}."
        )
    found = [column for column in columns if column in LABEL_NAMES]
    if len(found) > 1:
        raise ConfigError(
            f"{name} has several columns that may be the class: {', '.join(found)}. Say which:"
            " source: [{source: ..., label_column: NAME}], or set ingest.classes: none."
        )
    if not found:
        raise NoLabels(f"it has no column of labels ({', '.join(LABEL_NAMES)})")
    return found[0]
