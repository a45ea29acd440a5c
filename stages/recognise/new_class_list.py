"""new_classes.json: the new classes of a run, a JSON list of their fields."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from ...manifests.errors import VerifyError
from ...manifests.files.atomic import write_json
from ...manifests.plan.new_classes import NewClass


def write_new_classes(path: Path, classes: Sequence[NewClass]) -> None:
    """Writes the list. Raises StorageError where the disk is full or cannot be written."""
    write_json(path, [asdict(one) for one in classes])


def read_new_classes(path: Path) -> list[NewClass]:
    """The new classes as they were written.

    Raises:
        VerifyError: the file is missing or damaged.
    """
    try:
        found = json.loads(path.read_bytes())
        return [
            NewClass(**one | {name: tuple(one[name]) for name in ("classes", "weights")})
            for one in found
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise VerifyError(
            f"{path} is missing or damaged ({error!r}). Run the same command again: the new classes"
            " are then selected anew."
        ) from error
