"""The training images as plans are made from them: rows, keys and classes, from sources.parquet."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ..errors import ConfigError, InputError, ScoreMixError
from ..files.rows import rows_where
from ..foreign_text import first_names

_MOST_NAMES = 20  # classes or files named in an error

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class TrainingImages:
    """The training images in the order of their rows; arrays have shape (N,)."""

    rows: Integers
    keys: list[str]
    classes: Integers  # class of the sample, -1 without one class


def training_rows(sources: pa.Table) -> pa.Table:
    """The rows of training images."""
    return rows_where(sources, status="train")


def quoted_names(names: list[str]) -> str:
    """Names of classes or files for an error, at most 20 of them."""
    return first_names([repr(name) for name in names], _MOST_NAMES)


def class_names(sources: pa.Table) -> dict[int, str]:
    """Class id -> name."""
    pairs = zip(sources["class_id"].to_pylist(), sources["class_name"].to_pylist(), strict=True)
    return {id_: name or str(id_) for id_, name in pairs if id_ is not None and id_ >= 0}


def has_classes(sources: pa.Table) -> bool:
    """Whether the training images have classes; all of them must, or none."""
    training = training_rows(sources)
    ids = training["class_id"].to_pylist()
    labelled = [id_ is not None and id_ >= 0 for id_ in ids]
    if not any(labelled):
        return False
    if not all(labelled):
        names = training["name"].to_pylist()
        missed = [name for name, has in zip(names, labelled, strict=True) if not has]
        raise ConfigError(
            f"{len(missed)} of {len(ids)} training images have no class: "
            f"{quoted_names(missed)}. Give every image a class, or none."
        )
    named = class_names(sources)
    empty = [named[id_] for id_ in sorted(named.keys() - set(ids))]
    if empty:
        raise ConfigError(
            f"No training image is left in class {quoted_names(empty)}. Raise ingest's limits "
            "(ingest.per_class takes so many of every class), add images to it, or take the class "
            "out of the input."
        )
    return True


def read_training_images(sources: pa.Table, *, classes: bool) -> TrainingImages:
    """The training images of `sources`; classes: with their classes, else all have -1.

    Raises InputError for a corpus without images, ScoreMixError for keys that are not those of
    ingest.
    """
    training = training_rows(sources).sort_by("row")
    if not training.num_rows:
        raise InputError(
            f"None of the {sources.num_rows} inputs is a training image, so there is nothing to "
            "plan. sources.parquet gives the reason for each."
        )
    rows = training["row"].to_pylist()
    keys = training["key"].to_pylist()
    # A key is the row at ingest; rows move up where earlier images are forgotten.
    first_rows = [int(key) if key and key.isdecimal() else -1 for key in keys]
    well_formed = keys == [f"{row:06d}" for row in first_rows]
    moved_down = any(first < row for first, row in zip(first_rows, rows, strict=True))
    repeated = len(set(rows)) != len(rows) or first_rows != sorted(set(first_rows))
    if not well_formed or moved_down or repeated:
        raise ScoreMixError(
            "sources.parquet is inconsistent: the key of a training image must be its row in "
            "images.npy with six digits, as ingest gave it, in the order of the rows, and these "
            "must not repeat. Run ingest again."
        )
    ids = [-1 if id_ is None or not classes else id_ for id_ in training["class_id"].to_pylist()]
    return TrainingImages(np.array(rows, dtype=np.int64), keys, np.array(ids, dtype=np.int64))
