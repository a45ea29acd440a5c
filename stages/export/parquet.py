"""Writes Parquet files as Hugging Face's datasets reads them: columns `image` and `label`.

`image` is a struct of the image file's bytes and its name, `label` a ClassLabel: the schema's
metadata has the names of the classes. Files are called SPLIT-00000-of-00003.parquet, by which
`load_dataset` finds the split.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ...manifests.trainers.image_bytes import ShardImages, rgb_png
from ...manifests.trainers.layout import ExportListing, Row, file_name
from ..common.progress import Advance

_FILE_BYTES = 500_000_000  # of images in one file, at most, as the hub has it
_ROWS = 100  # of a row group: what a reader loads for one image
_IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def write_parquet(listing: ExportListing, tars: ShardImages, data: Path, advance: Advance) -> None:
    """Writes the files of one split into the folder `data`, which may be there already."""
    data.mkdir(exist_ok=True)
    schema = _schema(listing)
    parts = _rows_of_files(listing)
    rows = listing.images()
    for number, count in enumerate(parts):
        path = data / f"{listing.layout.split}-{number:05d}-of-{len(parts):05d}.parquet"
        # Python's own file, since its errors say why a disk refuses.
        with (
            open(path, "wb") as file,
            pq.ParquetWriter(
                file,
                schema,
                compression="none",  # image files are compressed
                use_dictionary=False,
                write_page_checksum=True,
            ) as writer,
        ):
            for start in range(0, count, _ROWS):
                group = [next(rows) for _ in range(min(_ROWS, count - start))]
                images = list(_images(group, listing, tars, advance))
                writer.write_table(_table(schema, group, images))
                pa.default_memory_pool().release_unused()


def _schema(listing: ExportListing) -> pa.Schema:
    """The columns, with datasets' own description of them."""
    fields = [pa.field("image", _IMAGE)]
    features: dict[str, object] = {"image": {"_type": "Image"}}
    if listing.labels == "hard":
        fields.append(pa.field("label", pa.int64()))
        features["label"] = {"names": list(listing.classes), "_type": "ClassLabel"}
    described = json.dumps({"info": {"features": features}})
    return pa.schema(fields, metadata={"huggingface": described})


def _rows_of_files(listing: ExportListing) -> list[int]:
    """Rows of each file, in the order of the listing."""
    sizes = listing.rows["size"].to_numpy().astype(np.int64)
    numbers = (np.cumsum(sizes) - sizes) // _FILE_BYTES
    _, counts = np.unique(numbers, return_counts=True)
    return [int(count) for count in counts]


def _images(
    rows: list[Row], listing: ExportListing, tars: ShardImages, advance: Advance
) -> Iterator[dict[str, object]]:
    for row in rows:
        image = tars.read(row.key, row.image)
        data = rgb_png(image) if listing.to_rgb else image
        yield {"bytes": data, "path": file_name(row.key, row.round)}
        advance(1)


def _table(schema: pa.Schema, rows: list[Row], images: list[dict[str, object]]) -> pa.Table:
    columns: list[pa.Array] = [pa.array(images, _IMAGE)]
    if "label" in schema.names:
        columns.append(pa.array([row.class_id for row in rows], pa.int64()))
    return pa.Table.from_arrays(columns, schema=schema)
