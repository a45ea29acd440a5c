"""export --to parquet, judged by pyarrow and by Hugging Face's datasets."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import tiny
from made import make_corpus
from PIL import Image
from scenes import cli

from scoremix.manifests.errors import ConfigError
from scoremix.manifests.trainers.image_bytes import ShardImages
from scoremix.manifests.trainers.layout import Slice
from scoremix.stages.common.progress import Silent
from scoremix.stages.export import parquet
from scoremix.stages.export.export import ExportConfig, export

NAMES = ("cat, tabby", 'a "train"')  # as folders of trainers could not be called


def written(shards: Path, out: Path, **options: Any) -> list[Path]:
    export(shards, out, ExportConfig(to="parquet", **options), progress=Silent())
    return sorted(out.iterdir())


def manifest(shards: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(shards / "manifest.parquet").to_pylist()
    return rows


def image_bytes(shards: Path, row: dict[str, Any]) -> bytes:
    place = Slice(row["shard"], row["offset"], row["size"], row["sha256"])
    return ShardImages(shards).read(row["key"], place)


def test_rows_are_the_files_of_the_shards_with_the_names_of_classes(tmp_path: Path) -> None:
    shards = make_corpus(tmp_path, images=6, side=8, ratio=2, classes=NAMES)
    [path] = written(shards, tmp_path / "out")
    assert path.name == "train-00000-of-00001.parquet"
    table = pq.read_table(path, page_checksum_verification=True)
    assert table.column_names == ["image", "label"]
    rows, wanted = table.to_pylist(), manifest(shards)
    assert len(rows) == len(wanted) == 18
    for row, one in zip(rows, wanted, strict=True):
        assert row["image"]["bytes"] == image_bytes(shards, one)
        assert row["image"]["path"] == f"{one['round']:03d}_{one['key']}.png"
        assert row["label"] == one["class_id"]
    facts = json.loads(table.schema.metadata[b"huggingface"])["info"]["features"]
    assert facts["label"] == {"names": list(NAMES), "_type": "ClassLabel"}
    assert facts["image"] == {"_type": "Image"}


def test_without_classes_there_is_no_label_and_gray_becomes_rgb_where_asked(
    tmp_path: Path,
) -> None:
    shards = make_corpus(tmp_path, images=4, side=8, channels=1, ratio=1, classes=())
    [path] = written(shards, tmp_path / "out", rgb=True, real_only=True)
    table = pq.read_table(path)
    assert table.column_names == ["image"] and len(table) == 4
    for row, one in zip(table.to_pylist(), manifest(shards), strict=False):
        image = Image.open(io.BytesIO(row["image"]["bytes"]))
        gray = np.asarray(Image.open(io.BytesIO(image_bytes(shards, one))))
        assert image.mode == "RGB" and (np.asarray(image) == gray[..., None]).all()


def test_files_are_no_larger_than_the_hub_has_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shards = make_corpus(tmp_path, images=6, side=8, ratio=2)
    [whole] = written(shards, tmp_path / "whole")
    sizes = [row["size"] for row in manifest(shards)]
    monkeypatch.setattr(parquet, "_FILE_BYTES", sum(sizes) // 3)
    monkeypatch.setattr(parquet, "_ROWS", 4)
    paths = written(shards, tmp_path / "parts")
    count = len(paths)
    assert count in (3, 4)
    assert [path.name for path in paths] == [
        f"train-{number:05d}-of-{count:05d}.parquet" for number in range(count)
    ]
    rows = [row for path in paths for row in pq.read_table(path).to_pylist()]
    assert rows == pq.read_table(whole).to_pylist()
    assert pq.read_metadata(paths[0]).row_group(0).num_rows == 4


def test_equal_corpora_give_equal_bytes_and_soft_labels_are_refused(tmp_path: Path) -> None:
    shards = make_corpus(tmp_path / "a", images=6, side=8, ratio=1)
    written(shards, tmp_path / "1")
    written(make_corpus(tmp_path / "b", images=6, side=8, ratio=1), tmp_path / "2")
    assert tiny.digests(tmp_path / "1") == tiny.digests(tmp_path / "2")
    soft = make_corpus(tmp_path / "soft", images=6, side=8, ratio=1, soft=True)
    with pytest.raises(ConfigError, match="soft labels .* which parquet cannot express"):
        written(soft, tmp_path / "3")
    [path] = written(soft, tmp_path / "3", hard_labels="argmax")
    assert set(pq.read_table(path)["label"].to_pylist()) == {0, 1}


def test_the_command_prints_the_line_that_reads_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shards = make_corpus(tmp_path, images=4, side=8, ratio=1)
    assert cli("export", shards, "--to", "parquet", "--out", tmp_path / "out", "--quiet") == 0
    shown = capsys.readouterr().out
    assert f'data_files="{tmp_path}/out/train-*.parquet", split="train")' in shown
    assert cli("export", shards, "--to", "parquet", "--out", tmp_path / "a.parquet") == 2
    assert "parquet is a folder" in capsys.readouterr().err


@pytest.mark.parametrize("how", ["printed", "folder"])
def test_datasets_reads_images_and_class_names(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    datasets = pytest.importorskip("datasets", reason="Hugging Face's datasets is not installed")
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    shards = make_corpus(tmp_path, images=6, side=8, ratio=2, classes=NAMES)
    written(shards, tmp_path / "out")
    options = {"split": "train", "cache_dir": str(tmp_path / "cache")}
    if how == "printed":
        files = f"{tmp_path}/out/train-*.parquet"
        data = datasets.load_dataset("parquet", data_files=files, **options)
    else:
        data = datasets.load_dataset(str(tmp_path / "out"), **options)
    assert data.features["label"].names == list(NAMES)
    assert isinstance(data.features["image"], datasets.Image)
    for row, one in zip(data, manifest(shards), strict=True):
        wanted = np.asarray(Image.open(io.BytesIO(image_bytes(shards, one))))
        assert (np.asarray(row["image"]) == wanted).all() and row["label"] == one["class_id"]
