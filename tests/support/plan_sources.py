"""sources.parquet of a corpus, as plans are made from it, without any image."""

from typing import Any

import pyarrow as pa

from scoremix.manifests.plan.schema import SOURCES


def sources(classes: list[int], rejected: int = 0) -> pa.Table:
    """Training images of the given classes (-1: none), and some rejected inputs after them."""
    rows: list[dict[str, Any]] = [
        {
            "index": row,
            "name": f"{row}.png",
            "status": "train",
            "row": row,
            "key": f"{row:06d}",
            "class_id": class_,
            "class_name": f"class-{class_}" if class_ >= 0 else None,
        }
        for row, class_ in enumerate(classes)
    ]
    for index in range(len(rows), len(rows) + rejected):
        rows.append({"index": index, "name": f"bad{index}", "status": "rejected", "class_id": -1})
    empty = dict.fromkeys(SOURCES.names)
    return pa.Table.from_pylist([empty | row for row in rows], schema=SOURCES)
