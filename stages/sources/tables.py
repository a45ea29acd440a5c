"""Lists and reads the images of Parquet and Arrow files, as Hugging Face datasets write them.

They are opened in child processes alone (isolation.py), or in one that decodes.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterator
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq

from ...manifests.errors import ConfigError, InputError
from ...manifests.files.json_reader import parse_json
from ...manifests.foreign_text import first_names
from ..images.input import Input
from ..images.unusable import Unusable
from .base import MAX_INPUT_BYTES, Source, SourceFile, source_file
from .class_values import class_of, clean_class_name, refuse_unnamed
from .folders import read_beside
from .isolation import isolated
from .limits import check_bytes, check_rows
from .metadata_file import LABEL_NAMES

SUFFIXES = (".parquet", ".arrow")
_UNREADABLE: dict[tuple[SourceFile, int, str], str] = {}  # row groups, and why they are not read
_LIKE_LABEL = re.compile("label|class|categor|target")  # in the name of a column
_SHOWN = 4  # names in an error
_REMEDY = "Name another column (label_column), or set ingest.classes: none."


def open_tables(
    files: list[SourceFile], title: str, image: str | None, label: str | None, classes: bool
) -> Source:
    """Every row is an input, in the order of the files and of the rows in them.

    image, label: names of columns; by default the one that holds image files, and one that is
    called label, class, ... or is a Hugging Face ClassLabel.

    Raises:
        ConfigError: no such column, no column of images, more than one that may be the label.
        InputError: a damaged file, or one that claims more than a file of its size can hold.
    """
    inputs: list[Input] = []
    class_orders: set[tuple[str, ...]] = set()
    unread: dict[str, None] = {}
    for file in files:
        try:
            facts = isolated(file, _read_facts, title, image, label, classes)
        except Unusable as error:
            raise _damaged(file, error) from error
        class_orders.add(facts.class_names)  # another file may number them otherwise
        unread |= dict.fromkeys(facts.unread)
        prefix = f"{Path(file.path).name}/" if len(files) > 1 else ""
        inputs += _list_rows(file, prefix, facts)
    if any(class_orders):
        refuse_unnamed(inputs, title)
    order = class_orders.pop() if len(class_orders) == 1 else ()
    return Source(title, inputs, classes=order, notes=tuple(_unread_notes(unread, title)))


def _unread_notes(unread: Collection[str], title: str) -> Iterator[str]:
    if unread:
        yield (
            f"{title}: no column is taken for the class, and {', '.join(unread)} may be it. To use"
            " one: source: [{source: ..., label_column: NAME}]."
        )


class _Facts(NamedTuple):
    """What listing a file needs of it."""

    image: str  # its column of images
    groups: list[int]  # rows of each row group
    labels: list[Any] | None  # of all rows
    class_names: tuple[str, ...]
    unread: tuple[str, ...]  # columns that may be the label, where none is taken for it


def _read_facts(
    file: SourceFile, title: str, image: str | None, label: str | None, classes: bool
) -> _Facts:
    schema = _schema(file)
    image_column = _image_column(schema, image, title)
    label_column = _label_column(schema, image_column, label, title) if classes else None
    groups = _group_sizes(file)
    check_rows(file.shown, sum(groups), file.size)
    _check_columns(file, [image_column] + ([label_column] if label_column else []))
    labels = None
    if label_column:
        parts = (_read_group(file, group, label_column) for group in range(len(groups)))
        labels = [value for part in parts for value in part.to_pylist()]
    unread = [name for name in schema.names if _LIKE_LABEL.search(name.lower())]
    if label_column or not classes:
        unread = []
    names = _class_names(schema, label_column)
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise ConfigError(
            f"The column {label_column} of {title} has one name for several class numbers"
            f" ({first_names(twice, _SHOWN)}): whether they are one class is not certain. {_REMEDY}"
        )
    return _Facts(image_column, groups, labels, names, tuple(unread))


def saved_files(folder: Path) -> list[Path]:
    """The Arrow files of a folder that datasets' `save_to_disk` wrote; [] of any other folder."""
    try:
        listed = parse_json(read_beside(folder / "state.json"))["_data_files"]
        return [folder / Path(item["filename"]).name for item in listed]
    except (InputError, OSError, Unusable, ValueError, KeyError, TypeError):
        return []


def _list_rows(file: SourceFile, prefix: str, facts: _Facts) -> Iterator[Input]:
    number = 0
    for group, rows in enumerate(facts.groups):
        for row in range(rows):
            value = None if facts.labels is None else facts.labels[number]
            where = f"row {number} of {file.shown}"
            yield Input(
                f"{prefix}{number:06d}",
                partial(isolated, file, _read_cell, group, facts.image, row),
                label=class_of(value, facts.class_names, where, _REMEDY),
                declared_image=True,
            )
            number += 1


def _read_cell(file: SourceFile, group: int, image: str, row: int) -> bytes:
    now = source_file(file.path, file.shown)
    place = (now, group, image)
    if place in _UNREADABLE:
        raise Unusable(_UNREADABLE[place])
    try:
        cell = _image_group(*place)[row]
    except (InputError, MemoryError) as error:  # once, and not again for each of its rows
        reason = "it takes more memory than a file of this size may"
        _UNREADABLE[place] = (
            f"row group {group}: {reason if isinstance(error, MemoryError) else error}"
        )
        raise Unusable(_UNREADABLE[place]) from None
    value = cell.get("bytes") if isinstance(cell, pa.StructScalar) else cell
    if value is None or not value.is_valid:
        struct = isinstance(cell, pa.StructScalar) and cell.is_valid
        named = cell.get("path").as_py() if struct and "path" in cell.keys() else None  # noqa: SIM118
        raise Unusable("row without image bytes" + (f"; it names {named}" if named else ""))
    if len(value.as_buffer()) > MAX_INPUT_BYTES:
        raise Unusable(f"larger than {MAX_INPUT_BYTES >> 20} MiB")
    data: bytes = value.as_py()
    return data


@lru_cache(maxsize=2)
def _image_group(file: SourceFile, group: int, image: str) -> pa.ChunkedArray:
    """The images of one row group, kept: the next image read is mostly its neighbour."""
    return _read_group(file, group, image)


def _schema(file: SourceFile) -> pa.Schema:
    try:
        if file.path.lower().endswith(".arrow"):
            return _map_arrow(file.path).schema
        return pq.read_schema(file.path)
    except MemoryError:  # pyarrow's is an ArrowException too
        raise
    except (pa.ArrowException, OSError) as error:
        raise _damaged(file, error) from error


def _group_sizes(file: SourceFile) -> list[int]:
    """Rows of every row group; an Arrow file is one, since it is mapped and not loaded."""
    if file.path.lower().endswith(".arrow"):
        return [_map_arrow(file.path).num_rows]
    facts = pq.read_metadata(file.path)
    return [facts.row_group(group).num_rows for group in range(facts.num_row_groups)]


def _check_columns(file: SourceFile, columns: list[str]) -> None:
    """Raises InputError where the footer says that a column unpacks to far more than the file."""
    if file.path.lower().endswith(".arrow"):
        return  # mapped; what is compressed in it is unpacked within the limits of the process
    facts = pq.read_metadata(file.path)
    unpacked = 0
    for group in range(facts.num_row_groups):
        parts = facts.row_group(group)
        for number in range(parts.num_columns):
            part = parts.column(number)
            if part.path_in_schema.split(".")[0] in columns:
                unpacked += max(part.total_uncompressed_size, 0)
    check_bytes(file.shown, unpacked, file.size)


def _read_group(file: SourceFile, group: int, column: str) -> pa.ChunkedArray:
    """One column of one row group."""
    try:
        if file.path.lower().endswith(".arrow"):
            found = _map_arrow(file.path)[column]
            found.validate(full=True)  # offsets that lead out of the file end the process
            return found
        with pq.ParquetFile(file.path, page_checksum_verification=True) as opened:
            return opened.read_row_group(group, columns=[column], use_threads=False)[column]
    except MemoryError:  # pyarrow's is an ArrowException too
        raise
    except (pa.ArrowException, OSError) as error:
        raise _damaged(file, error) from error


def _map_arrow(path: str) -> pa.Table:
    """A table mapped, not loaded: the stream format of save_to_disk, or the file format."""
    mapped = pa.memory_map(path)
    try:
        return pa.ipc.open_stream(mapped).read_all()
    except pa.ArrowInvalid:
        mapped.seek(0)
        return pa.ipc.open_file(mapped).read_all()


def _damaged(file: SourceFile, error: Exception) -> InputError:
    reason = " ".join(str(error).split())
    return InputError(f"{file.shown} could not be read ({reason}). Fetch or make it again.")


# --- which columns


def _image_column(schema: pa.Schema, requested: str | None, title: str) -> str:
    found = [field.name for field in schema if _holds_files(field.type)]
    if requested is not None:
        if requested in found:
            return requested
        raise ConfigError(
            f"image_column is {requested!r}, and {title} has no such column of files."
            f" Its columns: {_list_columns(schema)}."
        )
    structs = [name for name in found if pa.types.is_struct(schema.field(name).type)]
    candidates = structs or found
    if len(candidates) > 1:
        raise ConfigError(
            f"{title} has several columns of files: {', '.join(candidates)}. Say which holds the"
            " images: source: [{source: ..., image_column: NAME}]."
        )
    if not candidates:
        raise ConfigError(
            f"{title} has no column of image files (binary, or a struct with the field bytes)."
            f" Its columns: {_list_columns(schema)}."
        )
    return str(candidates[0])


def _holds_files(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        place = kind.get_field_index("bytes")
        return place >= 0 and _is_binary(kind.field(place).type)
    return _is_binary(kind)


def _is_binary(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _label_column(schema: pa.Schema, image: str, requested: str | None, title: str) -> str | None:
    if requested is not None:
        if requested in schema.names:
            return requested
        raise ConfigError(
            f"label_column is {requested!r}, and {title} has no such column."
            f" Its columns: {_list_columns(schema)}."
        )
    named = [name for name in schema.names if name.lower() in LABEL_NAMES]
    found = [name for name in schema.names if _class_names(schema, name)] or named
    if len(found) > 1:
        raise ConfigError(
            f"{title} has several columns that may be the class: {', '.join(found)}. Say which:"
            " source: [{source: ..., label_column: NAME}], or set ingest.classes: none."
        )
    return found[0] if found and found[0] != image else None


def _list_columns(schema: pa.Schema) -> str:
    return ", ".join(f"{field.name} ({field.type})" for field in schema)


def _class_names(schema: pa.Schema, label: str | None) -> tuple[str, ...]:
    """Names of a Hugging Face ClassLabel column, from the schema's own metadata."""
    try:
        facts = parse_json((schema.metadata or {})[b"huggingface"])["info"]["features"][label]
        is_class_label = facts["_type"] == "ClassLabel"
        return tuple(map(clean_class_name, facts["names"])) if is_class_label else ()
    except (KeyError, TypeError, ValueError, AttributeError):
        return ()  # a column of lists or structs has no _type of its own
