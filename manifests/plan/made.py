"""What a run makes, as an identity: to see later whether a trial was of the same images."""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ..files.atomic import canonical_digest

_NOT_OF_PIXELS = ("micro_batch", "format", "encoder")  # of a recipe
_OF_AN_IMAGE = ("row_1", "row_2", "lambda", "class_id", "method", "seed")


def made_identity(recipe: Mapping[str, Any], rows: pa.Table) -> dict[str, str]:
    """Names the images that a run makes, whatever the number of its rounds and its shards.

    recipe: as index.json has it. rows: of the plan, or of the manifest. A run without augmented
    images has no digest of the first round.
    """
    pixels = {name: value for name, value in recipe.items() if name not in _NOT_OF_PIXELS}
    first = rows.filter(pc.equal(rows["round"], 1)).sort_by("key").select(_OF_AN_IMAGE)
    identity = {"recipe": canonical_digest(pixels)}
    if first.num_rows:
        columns = [column.to_pylist() for column in first.columns]
        identity["first_round"] = canonical_digest(columns)
    return identity


def is_same(before: Mapping[str, str] | None, now: Mapping[str, str]) -> bool:
    """Whether both name the same images, as far as both have some. before: None if not known."""
    if before is None:
        return False
    return all(before[name] == now[name] for name in before.keys() & now.keys())
