"""New classes of a corpus against its samples: index.json and the manifest must agree."""

from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa

from ..files.rows import rows_where
from ..plan.new_classes import NewClass, check_new_classes


def new_classes_of_index(index: Mapping[str, Any]) -> list[NewClass]:
    """The new classes that index.json lists; [] where it lists none.

    Raises ValueError where they make no sense: the message continues "index.json ...".
    """
    listed = index.get("new_classes", [])
    try:
        found = [NewClass.from_json(fields) for fields in listed]
        real = len(index["classes"]) - len(found)
        check_new_classes(found, real)
        if [one.name for one in found] != index["classes"][real:]:
            raise ValueError("other names than `classes` has")
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise ValueError(f"lists new classes that make no sense: {error}") from error
    return found


def contradicted_keys(index: Mapping[str, Any], manifest: pa.Table) -> Iterator[str]:
    """Keys of samples of a new class whose parents or lambda are not those of the class.

    Raises ValueError as `new_classes_of_index` does.
    """
    by_id = {one.id: one for one in new_classes_of_index(index)}
    real = rows_where(manifest, kind="real")
    class_of = dict(zip(real["key"].to_pylist(), real["class_id"].to_pylist(), strict=True))
    columns = ("key", "kind", "class_id", "source_1", "source_2", "lambda")
    first_new = len(index["classes"]) - len(by_id)
    if not index["classes"]:
        return
    for row in manifest.select(columns).to_pylist():
        if row["class_id"] < first_new:
            continue
        one = by_id.get(row["class_id"])
        parents = class_of.get(row["source_1"]), class_of.get(row["source_2"])
        if (
            one is None
            or row["kind"] == "real"
            or parents != one.classes[:2]
            or row["lambda"] != one.weights[0]
        ):
            yield row["key"]
