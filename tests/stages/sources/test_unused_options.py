"""An option of a source that its kind makes no use of is refused, and not ignored."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from source_kinds import (
    COUNT,
    FILES,
    LABELS,
    NAMES,
    as_class_folders,
    as_hdf5,
    as_parquet,
    as_shards,
    as_stylegan_zip,
    as_tar,
    column,
    take,
)

from scoremix.manifests.errors import ConfigError


def as_pattern(root: Path) -> Any:
    return f"{as_class_folders(root)}/*/*/*.png"


def as_image(root: Path) -> Any:
    (root / "one.png").write_bytes(FILES[0])
    return str(root / "one.png")


def bundled(root: Path) -> Any:
    return "digits"


UNUSED = [
    (as_pattern, {"path": "cat"}),
    (as_pattern, {"image_column": "image"}),
    (as_class_folders, {"image_column": "image"}),
    (as_class_folders, {"label_column": "species"}),
    (as_stylegan_zip, {"image_column": "image"}),
    (as_stylegan_zip, {"label_column": "species"}),
    (as_tar, {"image_column": "image"}),
    (as_tar, {"label_column": "species"}),
    (as_shards, {"path": "cat"}),
    (as_shards, {"label_column": "species"}),
    (as_parquet, {"path": "train"}),
    (as_hdf5("NHWC"), {"label_column": "labels"}),
    (as_image, {"path": "cat"}),
    (as_image, {"label_column": "species"}),
    (bundled, {"image_column": "image"}),
    (bundled, {"label_column": "target"}),
]


@pytest.mark.parametrize("kind, option", UNUSED)
def test_an_option_without_a_use_is_refused(
    tmp_path: Path, kind: Any, option: dict[str, str]
) -> None:
    (tmp_path / "in").mkdir()
    source = kind(tmp_path / "in")
    (name, value) = next(iter(option.items()))
    with pytest.raises(ConfigError, match=f"{name} is {value!r}"):
        take(tmp_path, {"source": source, **option})


@pytest.mark.parametrize("name", ["metadata.csv", "metadata.jsonl"])
def test_metadata_is_read_by_the_column_that_is_named(tmp_path: Path, name: str) -> None:
    rows = [
        {"file_name": f"{index}.png", "label": "a", "species": NAMES[label]}
        for index, label in enumerate(LABELS)
    ]
    (tmp_path / "in").mkdir()
    for index, data in enumerate(FILES):
        (tmp_path / "in" / f"{index}.png").write_bytes(data)
    as_json = "\n".join(map(json.dumps, rows))
    as_csv = "\n".join(",".join(row.values()) for row in [{key: key for key in rows[0]}, *rows])
    (tmp_path / "in" / name).write_text(as_csv if name.endswith("csv") else as_json)
    source = {"source": str(tmp_path / "in"), "label_column": "species"}
    corpus = take(tmp_path, source)
    assert corpus.classes == NAMES and column(corpus, "class_id") == LABELS
    with pytest.raises(ConfigError, match="'kind', and metadata.* file_name, label, species"):
        take(tmp_path, source | {"label_column": "kind"})


def test_a_table_is_read_by_the_column_that_is_named(tmp_path: Path) -> None:
    table = pa.table({"image": FILES, "label": ["a"] * COUNT, "kind": [NAMES[i] for i in LABELS]})
    pq.write_table(table, tmp_path / "a.parquet")
    source = {"source": str(tmp_path / "a.parquet"), "label_column": "kind"}
    assert take(tmp_path, source).classes == NAMES
    with pytest.raises(ConfigError, match="label 'cat' and label_column 'kind': both say"):
        take(tmp_path, source | {"label": "cat"})
