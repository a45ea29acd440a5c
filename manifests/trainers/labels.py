"""The labels of an export: class ids or weights of classes, from the rows of the manifest."""

from collections.abc import Iterable
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ..errors import ConfigError
from .spec import Target

LabelKind = Literal["none", "hard", "soft"]


def read_labels(
    rows: pa.Table, target: Target, *, kept: bool, hard: bool, captions: bool
) -> tuple[npt.NDArray[np.int64], LabelKind]:
    """Class ids (rows,) and the kind of labels as exported.

    kept: whether the layout has labels. hard: soft ones become the heaviest class. captions: they
        are names of classes.

    Raises ConfigError for soft labels that the layout cannot express.
    """
    ids = rows["class_id"].to_numpy().astype(np.int64)
    if rows["soft_label"].null_count:
        return ids, "hard" if ids.min() >= 0 else "none"
    if not kept:
        return ids, "none"
    weights = _weights(rows)
    if hard or weights.max(axis=1).min() == 1.0:  # real images have one class
        return weights.argmax(axis=1), "hard"
    if target != "stylegan" or captions:
        what = "captions" if captions else target
        raise ConfigError(
            f"The images have soft labels (pairing: any), which {what} cannot express. "
            "Give each image the class of its largest weight with --hard-labels argmax, use "
            "--to stylegan, or build the corpus with generate.pairing: within."
        )
    return ids, "soft"


def _weights(rows: pa.Table) -> npt.NDArray[np.float64]:
    """Soft labels as (rows, classes)."""
    flat = rows["soft_label"].combine_chunks().flatten().to_numpy()
    weights: npt.NDArray[np.float64] = flat.reshape(len(rows), -1)
    return weights


def heaviest_classes(rows: pa.Table) -> npt.NDArray[np.int64]:
    """The class of the largest weight of each row."""
    heaviest: npt.NDArray[np.int64] = _weights(rows).argmax(axis=1)
    return heaviest


def check_classes(
    ids: npt.NDArray[np.int64], classes: tuple[str, ...], wanted: Iterable[int] | None = None
) -> None:
    """Raises ConfigError where a class, or one of those that are wanted, has no image."""
    needed = range(len(classes)) if wanted is None else wanted
    missing = sorted(set(needed) - set(ids.tolist()))
    if missing:
        named = ", ".join(repr(classes[id_]) for id_ in missing[:5])
        raise ConfigError(
            f"{len(missing)} of {len(classes)} classes have no image ({named}): trainers would "
            "number the others anew. Build the corpus without these classes."
        )
