"""The same labelled images as every kind of source, written by other libraries than read it."""

import io
import json
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import webdataset as wds
from PIL import Image

from scoremix.stages.common.progress import Silent
from scoremix.stages.corpus.store import Corpus
from scoremix.stages.ingest.ingest import IngestConfig, ingest

COUNT, SIDE = 7, 8
RANDOM = np.random.default_rng(3)
PIXELS = RANDOM.integers(0, 256, (COUNT, SIDE, SIDE, 3), dtype=np.uint8)
LABELS = [2, 0, 1, 2, 1, 0, 2]
NAMES = ["cat", "dog", "yak"]


def png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


FILES = [png(pixels) for pixels in PIXELS]


def take(tmp_path: Path, source: Any, **options: Any) -> Corpus:
    config = IngestConfig(source=source, **{"resolution": SIDE, "holdout": 0} | options)
    return ingest(config, tmp_path / "corpus", seed=0, progress=Silent(), workers=2)


class Notes(Silent):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, text: str) -> None:
        self.lines.append(text)


def noted(tmp_path: Path, source: Any, **options: Any) -> list[str]:
    """The notes of an ingest, without its summary."""
    notes = Notes()
    config = IngestConfig(source=source, **{"resolution": SIDE, "holdout": 0} | options)
    ingest(config, tmp_path / "noted", seed=0, progress=notes, workers=2)
    return notes.lines[:-1]


def column(corpus: Corpus, name: str, status: str = "train") -> list[Any]:
    rows = [row for row in corpus.sources.to_pylist() if row["status"] == status]
    return [row[name] for row in sorted(rows, key=lambda row: row["row"] or 0)]


def add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    archive.addfile(info, io.BytesIO(data))


def write(root: Path, kind: str, contents: dict[str, bytes]) -> str:
    """A tar, zip or folder of these files in `root`."""
    root.mkdir(parents=True, exist_ok=True)
    path = root / f"in.{kind}"
    if kind == "tar":
        with tarfile.open(path, "w") as archive:
            for name, data in contents.items():
                add(archive, name, data)
    elif kind == "zip":
        with zipfile.ZipFile(path, "w") as packed:
            for name, data in contents.items():
                packed.writestr(name, data)
    else:
        for name, data in contents.items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(data)
    return str(path)


def plain_tar(path: Path, names: list[str], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, data in zip(names, FILES, strict=True):
            add(archive, name, data)
    return path


def as_class_folders(root: Path) -> Any:
    for index, (label, data) in enumerate(zip(LABELS, FILES, strict=True)):
        path = root / NAMES[label] / "deeper" / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return str(root)


def as_tar(root: Path) -> Any:
    names = [f"{NAMES[label]}/{index}.png" for index, label in enumerate(LABELS)]
    return str(plain_tar(root / "photos.tar", names))


def as_packed_tar(suffix: str) -> Callable[[Path], Any]:
    def write(root: Path) -> Any:
        names = [f"./all/{NAMES[label]}/{index}.png" for index, label in enumerate(LABELS)]
        return str(plain_tar(root / f"photos.tar.{suffix}", names, f"w:{suffix}"))

    return write


def as_shards(root: Path) -> Any:
    pattern = str(root / "part-%04d.tar")
    with wds.ShardWriter(pattern, maxcount=3, verbose=0) as sink:
        for index, (label, data) in enumerate(zip(LABELS, FILES, strict=True)):
            sink.write({"__key__": f"{index:05d}", "png": data, "cls": label, "txt": "a caption"})
    return str(root)


def as_shard_pattern(root: Path) -> Any:
    as_shards(root)
    return str(root / "part-{0000..0002}.tar")


def as_parquet(root: Path) -> Any:
    images = [{"bytes": data, "path": f"{index}.png"} for index, data in enumerate(FILES)]
    table = pa.table({"id": range(COUNT), "image": images, "label": [NAMES[i] for i in LABELS]})
    pq.write_table(table, root / "train.parquet", row_group_size=3)
    return str(root / "train.parquet")


def as_hugging_face_parquet(root: Path) -> Any:
    data_set = hugging_face()
    (root / "data").mkdir()
    for shard in range(2):
        part = data_set.shard(2, shard, contiguous=True)
        part.to_parquet(str(root / "data" / f"train-{shard:05d}-of-00002.parquet"))
    return str(root)


def as_hugging_face_folder(root: Path) -> Any:
    hugging_face().save_to_disk(str(root / "saved"), num_shards=2)
    return str(root / "saved")


def hugging_face() -> Any:
    from datasets import ClassLabel, Dataset, Features
    from datasets import Image as ImageColumn

    features = Features({"img": ImageColumn(), "kind": ClassLabel(names=NAMES)})
    images = [{"bytes": data, "path": None} for data in FILES]
    return Dataset.from_dict({"img": images, "kind": LABELS}, features=features)


def stylegan_table() -> bytes:
    names = [f"00000/img{index:08d}.png" for index in range(COUNT)]
    return json.dumps({"labels": list(zip(names, LABELS, strict=True)), "more": 1}).encode()


def as_stylegan_zip(root: Path) -> Any:
    with zipfile.ZipFile(root / "corpus.zip", "w") as archive:
        for index, data in enumerate(FILES):
            archive.writestr(f"00000/img{index:08d}.png", data)
        archive.writestr("dataset.json", stylegan_table())
    return str(root / "corpus.zip")


def as_stylegan_folder(root: Path) -> Any:
    with zipfile.ZipFile(as_stylegan_zip(root)) as archive:
        archive.extractall(root / "unpacked")
    return str(root / "unpacked")


def as_hdf5(order: str) -> Callable[[Path], Any]:
    def write(root: Path) -> Any:
        with h5py.File(root / "ILSVRC8.hdf5", "w") as file:
            file["imgs"] = PIXELS.transpose(0, 3, 1, 2) if order == "NCHW" else PIXELS
            file["labels"] = np.array(LABELS, dtype=np.int64)
        return str(root / "ILSVRC8.hdf5")

    return write


def as_labelled_list(root: Path) -> Any:
    """Every image in a folder or zip of its own, with its class."""
    listed = []
    for index, (label, data) in enumerate(zip(LABELS, FILES, strict=True)):
        folder = root / f"{index}"
        folder.mkdir()
        (folder / "0.png").write_bytes(data)
        listed.append({"source": str(folder), "label": NAMES[label]})
    return listed


LABELLED = {
    "labelled list": as_labelled_list,
    "shards": as_shards,
    "shard pattern": as_shard_pattern,
    "parquet": as_parquet,
    "hugging face parquet": as_hugging_face_parquet,
    "hugging face folder": as_hugging_face_folder,
    "stylegan zip": as_stylegan_zip,
    "stylegan folder": as_stylegan_folder,
    "hdf5 NHWC": as_hdf5("NHWC"),
    "hdf5 NCHW": as_hdf5("NCHW"),
}


BY_FOLDER = {
    "class folders": as_class_folders,
    "tar": as_tar,
    "tar.gz": as_packed_tar("gz"),
    "tar.bz2": as_packed_tar("bz2"),
    "tar.xz": as_packed_tar("xz"),
}
