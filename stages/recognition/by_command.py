"""A recogniser of the user's own: what its command finds in its folder, and what it leaves there.

OUT/unseen.txt        a path a line: the images of classes never seen
OUT/held-out.txt      a path a line: the held-out images
OUT/unseen.npy        by a command that names {unseen}: float (N, d), an embedding for each line
OUT/predictions.txt   by a command that names {held_out}: for each line the folder's name of a class
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...manifests.files.atomic import write_bytes
from ..trial.command import TrainerFailed
from .template import EMBEDDINGS, HELD_OUT, PREDICTIONS, UNSEEN

if TYPE_CHECKING:
    from .judge import UnseenClasses

_LISTS = {UNSEEN: "unseen.txt", HELD_OUT: "held-out.txt"}
_LISTED = 5  # lines that an error names


@dataclass(frozen=True)
class JudgedImages:
    """Images by which a command's recogniser is judged, as files."""

    unseen: "UnseenClasses | None"  # None: the command does not embed
    unseen_paths: Sequence[Path]  # of its images, in their order
    held_out_paths: Sequence[Path]  # empty: the command does not predict
    held_out_folders: Sequence[str]  # names of their classes' folders
    real_folders: Sequence[str]  # of all real classes
    new_folders: Sequence[str]  # of new ones, of any arm: right for no held-out image

    def write_lists(self, out: Path) -> None:
        """The order in which the command is to answer, into its folder `out`."""
        for name, paths in ((UNSEEN, self.unseen_paths), (HELD_OUT, self.held_out_paths)):
            text = "".join(f"{path}\n" for path in paths)
            write_bytes(out / _LISTS[name], text.encode(errors="surrogateescape"))

    def measure(self, out: Path) -> dict[str, Any]:
        """The figures of what the command left in `out`.

        Raises:
            TrainerFailed: a file is missing, or is not what the lists ask for.
        """
        from .judge import measure_embeddings

        figures: dict[str, Any] = {}
        if self.held_out_paths:
            said = _read_predictions(out / PREDICTIONS, len(self.held_out_paths))
            self._check_known(said, out / PREDICTIONS)
            right = [a == b for a, b in zip(said, self.held_out_folders, strict=True)]
            figures["accuracy"] = float(np.mean(right))
        if self.unseen is not None:
            embeddings = read_embeddings(out / EMBEDDINGS, len(self.unseen_paths))
            figures |= measure_embeddings(embeddings, self.unseen)
        return figures

    def _check_known(self, said: Sequence[str], path: Path) -> None:
        known = {*self.real_folders, *self.new_folders}
        wrong = [f"line {n}: {name!r}" for n, name in enumerate(said, 1) if name not in known]
        if wrong:
            raise TrainerFailed(
                f"{path} names {len(wrong)} classes that are no folders of {{data}}"
                f" ({', '.join(wrong[:_LISTED])}). Write names of folders, such as"
                f" {self.real_folders[0]!r}."
            )


def read_embeddings(path: Path, count: int) -> NDArray[np.floating]:
    """Float (count, d) from a .npy file.

    Raises:
        TrainerFailed: no such file, another shape or type, values that are not finite, or an
            embedding of length 0, which has no direction.
    """
    try:
        found = np.load(path, allow_pickle=False)
    except FileNotFoundError as error:
        raise TrainerFailed(
            f"it left no {path}. Save float (N, d) there with numpy.save, an embedding for each"
            f" line of {_LISTS[UNSEEN]}."
        ) from error
    except (OSError, ValueError, EOFError) as error:
        raise TrainerFailed(
            f"{path} cannot be read ({error}). Write it with numpy.save, without pickled objects."
        ) from error
    if not isinstance(found, np.ndarray) or found.dtype.kind != "f":
        kind = getattr(found, "dtype", type(found).__name__)
        raise TrainerFailed(f"{path} holds {kind}. Save one array of floats.")
    if found.ndim != 2 or len(found) != count or found.shape[1] < 1:
        raise TrainerFailed(
            f"{path} has shape {found.shape}, and {_LISTS[UNSEEN]} has {count} lines. Save"
            f" ({count}, d), the embedding of each line in their order."
        )
    vectors = found.astype(np.float64)
    bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if len(bad):
        raise TrainerFailed(
            f"{path} has values that are not finite in {len(bad)} of {count} rows (row {bad[0]}"
            " first)."
        )
    empty = np.flatnonzero(~vectors.any(axis=1))
    if len(empty):
        raise TrainerFailed(
            f"{path} has only zeros in {len(empty)} of {count} rows (row {empty[0]} first), which"
            " have no direction to compare."
        )
    return vectors


def _read_predictions(path: Path, count: int) -> list[str]:
    """Raises TrainerFailed for a missing file, or one of another number of lines."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError as error:
        raise TrainerFailed(
            f"it left no {path}. Write there, for each line of {_LISTS[HELD_OUT]}, the name of a"
            " class's folder."
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise TrainerFailed(f"{path} cannot be read ({error}). Write it as UTF-8 text.") from error
    if len(lines) != count:
        raise TrainerFailed(
            f"{path} has {len(lines)} lines, and {_LISTS[HELD_OUT]} has {count}. Write one for each"
            " of these."
        )
    return [line.strip() for line in lines]
