"""Rows of Parquet and Arrow files with an image column, as Hugging Face datasets write them."""

import json
import threading
from collections.abc import Iterator
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq

from ...manifests.errors import ConfigError, InputError
from ..images.decode import Unusable
from ..images.input import Input, Label
from .base import MAX_INPUT_BYTES, Source

SUFFIXES = (".parquet", ".arrow")
_LABEL_NAMES = ("label", "labels", "class", "cls", "class_id", "category", "target")
_reading = threading.Lock()  # pyarrow files are not shared between threads


def open_tables(
    paths: list[str], what: str, image: str | None, label: str | None, classes: bool
) -> Source:
    """A row, an input: in the order of the files and of the rows in them.

    image, label: names of columns; by default the first that holds image files, and one that is
    called label, class, ... or is a Hugging Face ClassLabel.

    Raises:
        ConfigError: no such column, no column of images, more than one that may be the label.
        InputError: a damaged file.
    """
    several = len(paths) > 1
    inputs: list[Input] = []
    orders: set[tuple[str, ...]] = set()
    for path in paths:
        schema = _schema(path)
        column = _image_column(schema, image, what)
        labels = _label_column(schema, column, label, what) if classes else None
        names = _class_names(schema, labels)  # its own: another file may number them otherwise
        orders.add(names)
        inputs += _rows(path, Path(path).name if several else None, column, labels, names)
    return Source(what, inputs, classes=orders.pop() if len(orders) == 1 else ())


def saved_files(folder: Path) -> list[str]:
    """The files that a folder of `save_to_disk` consists of; [] where it is none."""
    try:
        listed = json.loads((folder / "state.json").read_bytes())["_data_files"]
        return [str(folder / Path(item["filename"]).name) for item in listed]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _rows(
    path: str, shard: str | None, image: str, label: str | None, names: tuple[str, ...]
) -> Iterator[Input]:
    place = 0
    for group, rows in enumerate(_group_sizes(path)):
        labels = _read(path, group, [label])[label].to_pylist() if label else [None] * rows
        for row, value in enumerate(labels):
            name = f"{place:06d}"
            yield Input(
                f"{shard}/{name}" if shard else name,
                partial(_cell, path, group, image, row),
                label=_as_label(value, names, what=f"row {place} of {path}"),
                declared_image=True,
            )
            place += 1


def _cell(path: str, group: int, image: str, row: int) -> bytes:
    state = Path(path).stat()
    with _reading:
        cell = _group(path, group, image, state.st_size, state.st_mtime_ns)[row]
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
def _group(path: str, group: int, image: str, size: int, mtime_ns: int) -> pa.ChunkedArray:
    """The images of one row group; neighbours are read one after the other."""
    return _read(path, group, [image])[image]


def _schema(path: str) -> pa.Schema:
    try:
        if path.endswith(".arrow"):
            return _arrow(path).schema
        return pq.read_schema(path)
    except (pa.ArrowException, OSError) as error:
        raise _damaged(path, error) from error


def _group_sizes(path: str) -> list[int]:
    """Rows of every row group; an Arrow file is one, since it is mapped and not loaded."""
    if path.endswith(".arrow"):
        return [_arrow(path).num_rows]
    facts = pq.read_metadata(path)
    return [facts.row_group(group).num_rows for group in range(facts.num_row_groups)]


def _read(path: str, group: int, columns: list[str]) -> pa.Table:
    try:
        if path.endswith(".arrow"):
            return _arrow(path).select(columns)
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            return file.read_row_group(group, columns=columns)
    except (pa.ArrowException, OSError) as error:
        raise _damaged(path, error) from error


def _arrow(path: str) -> pa.Table:
    """A table that is mapped, not loaded: the stream format of save_to_disk, or the file format."""
    mapped = pa.memory_map(path)
    try:
        return pa.ipc.open_stream(mapped).read_all()
    except pa.ArrowInvalid:
        mapped.seek(0)
        return pa.ipc.open_file(mapped).read_all()


def _damaged(path: str, error: Exception) -> InputError:
    reason = " ".join(str(error).split())
    return InputError(f"{path} could not be read ({reason}). Fetch or make it again.")


# --- which columns


def _image_column(schema: pa.Schema, asked: str | None, what: str) -> str:
    found = [field.name for field in schema if _holds_files(field.type)]
    if asked is not None:
        if asked in found:
            return asked
        raise ConfigError(
            f"image_column is {asked!r}, and {what} has no such column of files."
            f" Its columns: {_listed(schema)}."
        )
    structs = [name for name in found if pa.types.is_struct(schema.field(name).type)]
    candidates = structs or found
    if len(candidates) > 1:
        raise ConfigError(
            f"{what} has several columns of files: {', '.join(candidates)}. Say which holds the"
            " images: source: [{source: ..., image_column: NAME}]."
        )
    if not candidates:
        raise ConfigError(
            f"{what} has no column of image files (binary, or a struct with the field bytes)."
            f" Its columns: {_listed(schema)}."
        )
    return str(candidates[0])


def _holds_files(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        place = kind.get_field_index("bytes")
        return place >= 0 and _is_binary(kind.field(place).type)
    return _is_binary(kind)


def _is_binary(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _label_column(schema: pa.Schema, image: str, asked: str | None, what: str) -> str | None:
    if asked is not None:
        if asked in schema.names:
            return asked
        raise ConfigError(
            f"label_column is {asked!r}, and {what} has no such column."
            f" Its columns: {_listed(schema)}."
        )
    named = [name for name in schema.names if name.lower() in _LABEL_NAMES]
    found = [name for name in schema.names if _class_names(schema, name)] or named
    if len(found) > 1:
        raise ConfigError(
            f"{what} has several columns that may be the class: {', '.join(found)}. Say which:"
            " source: [{source: ..., label_column: NAME}], or set ingest.classes: none."
        )
    return found[0] if found and found[0] != image else None


def _listed(schema: pa.Schema) -> str:
    return ", ".join(f"{field.name} ({field.type})" for field in schema)


def _class_names(schema: pa.Schema, label: str | None) -> tuple[str, ...]:
    """Names of a Hugging Face ClassLabel column, from the schema's own metadata."""
    try:
        facts = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"][label]
        return tuple(facts["names"]) if facts.get("_type") == "ClassLabel" else ()
    except (KeyError, TypeError, ValueError):
        return ()


def _as_label(value: Any, names: tuple[str, ...], what: str) -> Label | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return names[value] if value < len(names) else value
    if value == -1:  # Hugging Face: no label
        return None
    raise ConfigError(
        f"The label of {what} is {value!r}; a class is a text or a whole number from 0. Name"
        " another column (label_column), or set ingest.classes: none."
    )
