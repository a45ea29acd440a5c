"""Sources as users of other tools reported them (docs/tried.md): labels kept, losses named."""

import io
import json
import struct
import tarfile
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from PIL import Image
from source_kinds import COUNT, FILES, LABELS, NAMES, PIXELS, add, column, noted, take

from scoremix.manifests.errors import ConfigError, InputError
from scoremix.stages.sources import parts

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
FEATURES = {
    "image": {"_type": "Image"},
    "label": {"names": NAMES, "_type": "ClassLabel"},
}


def files(root: Path, contents: dict[str, bytes]) -> str:
    for name, data in contents.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return str(root)


def tar(path: Path, contents: list[tuple[str, bytes]]) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for name, data in contents:
            add(archive, name, data)
    return str(path)


def parquet(path: Path, some: slice, named: bool, label: str = "label") -> str:
    """Images and class numbers, with the names of the classes in the schema or without."""
    images = [{"bytes": data, "path": None} for data in FILES[some]]
    table = pa.table({"image": pa.array(images, IMAGE), label: LABELS[some]})
    if named:
        facts = json.dumps({"info": {"features": FEATURES}})
        table = table.replace_schema_metadata({"huggingface": facts})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)
    return str(path)


# --- labels


def test_numbers_of_a_file_that_lost_the_names_are_no_classes_of_their_own(tmp_path: Path) -> None:
    parquet(tmp_path / "in/a.parquet", slice(0, 4), named=True)
    other = parquet(tmp_path / "in/b.parquet", slice(4, COUNT), named=False)
    with pytest.raises(ConfigError, match=r"b\.parquet/000000, 1\. Nothing says that the numbers"):
        take(tmp_path, str(tmp_path / "in"))
    assert len(take(tmp_path, str(tmp_path / "in"), classes="none").images) == COUNT
    parquet(Path(other), slice(4, COUNT), named=True)
    corpus = take(tmp_path, str(tmp_path / "in"))
    assert column(corpus, "class_name") == [NAMES[label] for label in LABELS]


def test_shards_with_the_names_of_classes_beside_shards_without(tmp_path: Path) -> None:
    for folder, some in (("a", slice(0, 4)), ("b", slice(4, COUNT))):
        pairs = [
            (f"{index}.{ending}", data)
            for index, (image, label) in enumerate(zip(FILES[some], LABELS[some], strict=True))
            for ending, data in (("png", image), ("cls", str(label).encode()))
        ]
        tar(tmp_path / folder / "part.tar", pairs)
    index = tmp_path / "a/index.json"
    index.write_text(json.dumps({"classes": NAMES}))
    pattern = str(tmp_path / "{a,b}/*.tar")
    with pytest.raises(ConfigError, match="numbers them without names in others"):
        take(tmp_path, pattern)
    index.unlink()
    assert column(take(tmp_path, pattern), "class_name") == [str(label) for label in LABELS]


def test_tars_of_one_sample_each_may_use_one_key(tmp_path: Path) -> None:
    for number, (image, label) in enumerate(zip(FILES, LABELS, strict=True)):
        contents = [("image.png", image), ("image.cls", str(label).encode())]
        tar(tmp_path / f"in/part-{number}.tar", contents)
    corpus = take(tmp_path, str(tmp_path / "in"))
    assert (corpus.images == PIXELS).all() and column(corpus, "class_id") == LABELS


def test_a_label_is_not_taken_from_the_next_tar(tmp_path: Path) -> None:
    tar(tmp_path / "in/1.tar", [("a.png", FILES[0]), ("a.cls", b"0"), ("b.png", FILES[1])])
    tar(tmp_path / "in/2.tar", [("b.cls", b"1"), ("c.png", FILES[2]), ("c.cls", b"1")])
    with pytest.raises(ConfigError, match=r"labels that belong to no image: 2\.tar/b\.cls"):
        take(tmp_path, str(tmp_path / "in"))


@pytest.mark.parametrize("write", [lambda name: name.replace("/", "\\"), lambda name: f"./{name}"])
def test_names_in_dataset_json_may_be_written_on_windows(tmp_path: Path, write: Any) -> None:
    names = [f"00000/img{index:08d}.png" for index in range(COUNT)]
    pairs = [[write(name), label] for name, label in zip(names, LABELS, strict=True)]
    contents = dict(zip(names, FILES, strict=True))
    contents["dataset.json"] = json.dumps({"labels": pairs}).encode()
    corpus = take(tmp_path, files(tmp_path / "in", contents))
    assert column(corpus, "class_id") == LABELS and (corpus.images == PIXELS).all()


def test_labelled_images_that_are_not_there_are_named(tmp_path: Path) -> None:
    names = [f"{index}.png" for index in range(COUNT)]
    pairs = [*zip(names, LABELS, strict=True), ("late.png", 1)]
    contents = dict(zip(names, FILES, strict=True))
    style = {"dataset.json": json.dumps({"labels": pairs}).encode()}
    source = files(tmp_path / "in", contents | style)
    assert noted(tmp_path, source) == [
        "ingest: dataset.json labels files that are not in the source: late.png."
    ]
    rows = "".join(f"{name},{label}\n" for name, label in pairs)
    source = files(
        tmp_path / "csv", contents | {"metadata.csv": f"file_name,label\n{rows}".encode()}
    )
    assert noted(tmp_path, source) == [
        "ingest: metadata.csv labels files that are not in the source: late.png."
    ]


def test_labels_that_are_not_read_are_named(tmp_path: Path) -> None:
    source = parquet(tmp_path / "a.parquet", slice(0, COUNT), named=False, label="fine_label")
    (note,) = noted(tmp_path, source)
    assert "no column is taken for the class, and fine_label may be it" in note
    assert noted(tmp_path, source, classes="none") == []
    choice = [{"source": source, "label_column": "fine_label"}]
    assert noted(tmp_path, choice) == []
    assert column(take(tmp_path, choice), "class_id") == LABELS
    folder = files(tmp_path / "in", {f"{index}.png": data for index, data in enumerate(FILES)})
    pq.write_table(pa.table({"file_name": ["0.png"], "label": [0]}), f"{folder}/metadata.parquet")
    (note,) = noted(tmp_path, folder)
    assert "metadata.parquet is not read for labels" in note


def test_labels_beside_a_zip_are_named(tmp_path: Path) -> None:
    contents = {f"{index}.png": data for index, data in enumerate(FILES)}
    with zipfile.ZipFile(tmp_path / "images.zip", "w") as archive:
        for name, data in contents.items():
            archive.writestr(name, data)
    source = str(tmp_path / "images.zip")
    assert noted(tmp_path, source) == []
    (tmp_path / "metadata.jsonl").write_text('{"file_name": "0.png", "label": 1}')
    (note,) = noted(tmp_path, source)
    assert "metadata.jsonl beside it is not read" in note
    assert noted(tmp_path, source, classes="none") == []


@pytest.mark.parametrize(
    "name, noticed",
    [
        ("train_labels.csv", True),
        ("Images.csv", True),
        ("images_train.xlsx", True),
        ("classes.txt", True),
        ("invoices.csv", False),
        (".images.csv", False),
    ],
)
def test_a_table_beside_a_zip_is_named_where_it_may_be_of_its_images(
    name: str, noticed: bool, tmp_path: Path
) -> None:
    with zipfile.ZipFile(tmp_path / "images.zip", "w") as archive:
        for index, data in enumerate(FILES):
            archive.writestr(f"{index}.png", data)
    (tmp_path / name).write_text("file,label\n0.png,1\n")
    notes = noted(tmp_path, str(tmp_path / "images.zip"))
    assert [f"{name} beside it is not read" in note for note in notes] == [True] * noticed
    assert noted(tmp_path, [{"source": str(tmp_path / "images.zip"), "label": "one"}]) == []


def test_names_of_a_zip_in_utf_8_without_its_flag(tmp_path: Path) -> None:
    """As the Finder of macOS writes them; zipfile takes them for code page 437."""
    names = [f"{'猫犬ä'[label]}/{index}.png".encode() for index, label in enumerate(LABELS)]
    body, listing = b"", b""
    for name, data in zip(names, FILES, strict=True):
        facts = struct.pack("<IIIHH", zlib.crc32(data), len(data), len(data), len(name), 0)
        stamp = struct.pack("<HHHHH", 20, 0, 0, 0, 0x21)
        listing += b"PK\1\2" + struct.pack("<H", 20) + stamp + facts
        listing += struct.pack("<HHHII", 0, 0, 0, 0, len(body)) + name
        body += b"PK\3\4" + stamp + facts + name + data
    end = struct.pack("<HHHHIIH", 0, 0, COUNT, COUNT, len(listing), len(body), 0)
    path = tmp_path / "in.zip"
    path.write_bytes(body + listing + b"PK\5\6" + end)
    corpus = take(tmp_path, str(path))
    assert corpus.classes == ["ä", "犬", "猫"]
    assert sorted(column(corpus, "class_name")) == sorted("猫犬ä"[label] for label in LABELS)


# --- splits and lost files


@pytest.mark.parametrize("names", [("cifar-train", "cifar-test"), ("my_val_0001", "train_0001")])
def test_files_of_two_splits_are_not_mixed(tmp_path: Path, names: tuple[str, str]) -> None:
    """Tars and tables; the remedy that the error names takes the training images alone."""
    for number, name in enumerate(names):
        some = slice(4 * number, 4 * number + 3)
        parquet(tmp_path / f"tables/{name}.parquet", some, named=True)
        contents = [(f"{index}.png", data) for index, data in enumerate(FILES[some])]
        tar(tmp_path / f"tars/{name}.tar", contents)
    for kind in ("tables", "tars"):
        with pytest.raises(ConfigError, match="has the parts train, ") as caught:
            take(tmp_path, str(tmp_path / kind))
        pattern = str(caught.value).partition("source: ")[2].partition(",")[0]
        first = 0 if "train" in names[0] else 4
        assert (take(tmp_path, pattern).images == PIXELS[first : first + 3]).all()


@pytest.mark.parametrize("names", [("train2017", "val2017"), ("images_train", "images_test")])
def test_folders_of_two_splits_are_no_classes(tmp_path: Path, names: tuple[str, str]) -> None:
    contents = {f"{name}/{index}.png": FILES[index] for index in range(3) for name in names}
    with pytest.raises(ConfigError, match=f"parts of a dataset.*ingest.path: {min(names)}" if
                       "train" in min(names) else f"ingest.path: {max(names)}"):  # fmt: skip
        take(tmp_path, files(tmp_path / "in", contents))


@pytest.mark.parametrize(
    "names",
    [
        ["train", "bus"],
        ["train"],
        ["train station", "train track"],
        ["bullet train", "test tube", "cat"],
        ["mask", "no_mask"],
        ["images", "cat"],
        ["cat"],
        [],
    ],
)
def test_classes_may_have_words_of_parts_in_their_names(names: list[str]) -> None:
    assert not parts.are_parts(names)


@pytest.mark.parametrize(
    ("names", "trained", "held_out"),
    [
        (["Train", "TEST"], ["Train"], "TEST"),
        (["testA", "testB", "trainA", "trainB"], ["trainA", "trainB"], "testA"),
        (["seg_pred", "seg_test", "seg_train"], ["seg_train"], "seg_test"),
        (["test", "train", "unlabeled"], ["train"], "test"),
        (["ground_truth", "test", "train"], ["train"], "test"),
        (["train", "val", "cat"], ["train"], "val"),
        (["cars_train", "test_cars"], ["cars_train"], "test_cars"),
        (["train", "train_masks"], ["train"], None),
        (["train", "unlabeled"], ["train"], None),
        (["images", "masks"], ["images"], None),
    ],
)
def test_parts_of_a_dataset_are_known_by_their_names(
    names: list[str], trained: list[str], held_out: str | None
) -> None:
    assert parts.are_parts(names)
    assert parts.training_parts(names) == trained
    assert parts.held_out_part(names) == held_out


def test_folders_of_two_domains_name_a_source_for_each(tmp_path: Path) -> None:
    names = [f"{split}{domain}" for split in ("train", "test") for domain in "AB"]
    contents = {f"{name}/{i}.png": FILES[i] for i, name in enumerate(names)}
    contents |= {f"{name}/{i + 4}.png": FILES[i + 4] for i, name in enumerate(names[:2])}
    root = files(tmp_path / "in", contents)
    with pytest.raises(ConfigError, match="parts of a dataset, not classes") as caught:
        take(tmp_path, root)
    listed = str(caught.value).partition("source: ")[2].partition("; ")[0]
    corpus = take(tmp_path, yaml.safe_load(listed))
    assert corpus.classes == ["A", "B"] and len(corpus.images) == 4


def test_masks_beside_images_are_no_class(tmp_path: Path) -> None:
    contents = {f"all/{name}/{i}.png": FILES[i] for i in range(3) for name in ("images", "masks")}
    with pytest.raises(ConfigError, match="ingest.path: all/images") as caught:
        take(tmp_path, files(tmp_path / "in", contents))
    assert "ingest.reference" not in str(caught.value)
    assert len(take(tmp_path, str(tmp_path / "in"), path="all/images").images) == 3


def test_tables_in_sub_folders_are_named(tmp_path: Path) -> None:
    """As a DatasetDict has them, and the Parquet branch of a Hugging Face repository."""
    parquet(tmp_path / "in/test/0000.parquet", slice(0, 3), named=True)
    parquet(tmp_path / "in/train/0000.parquet", slice(0, COUNT), named=True)
    with pytest.raises(InputError, match="tars or tables are in: train, test"):
        take(tmp_path, str(tmp_path / "in"))
    assert len(take(tmp_path, str(tmp_path / "in"), path="train").images) == COUNT


@pytest.mark.parametrize(
    ("names", "missing"),
    [
        (["00000.tar", "00001.tar", "00003.tar"], "00002 are missing"),
        (["train-00000-of-00003.parquet"], "train-00001-of-00003, train-00002-of-00003 are"),
        (["n01440764.tar", "n01773797.tar", "n02979186.tar"], None),  # classes of ImageNet
        (["a-0.tar", "a-1.tar", "b-7.tar"], None),
        (["one.parquet", "two.parquet"], None),
        ([f"{number}.tar" for number in range(0, 40, 4)], None),
    ],
)
def test_parts_that_their_numbers_miss(names: list[str], missing: str | None) -> None:
    notes = list(parts.missing_parts(names, "it"))
    assert [missing in note for note in notes] == [True] if missing else notes == []


def test_missing_shards_of_a_folder_are_noted(tmp_path: Path) -> None:
    for number in (0, 1, 3):
        tar(tmp_path / f"in/{number:05d}.tar", [(f"{number}.png", FILES[number])])
    (note,) = noted(tmp_path, str(tmp_path / "in"))
    assert "00002 are missing" in note
    assert noted(tmp_path, str(tmp_path / "in" / "{00000,00001,00003}.tar")) == []


def test_images_of_formats_that_are_not_read_are_counted(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.fromarray(PIXELS[0]).save(buffer, "TGA")
    contents = {f"cat/{index}.TGA": buffer.getvalue() for index in range(3)}
    contents |= {f"dog/{index}.png": data for index, data in enumerate(FILES)}
    (note,) = noted(tmp_path, files(tmp_path / "in", contents))
    assert "formats that are not read are left out (3 .tga)" in note


def test_pages_that_are_left_out_are_counted(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    first, *others = map(Image.fromarray, np.roll(PIXELS, 1, axis=1))
    first.save(buffer, "TIFF", save_all=True, append_images=others)
    contents = {"stack.tif": buffer.getvalue(), "1.png": FILES[1], "2.png": FILES[2]}
    (note,) = noted(tmp_path, files(tmp_path / "in", contents))
    assert "files with several frames or pages: 1, such as stack.tif" in note


def test_features_of_lists_are_no_class_labels(tmp_path: Path) -> None:
    """Reads {"objects": [{"_type": "Value"}]}, as older versions of datasets write it."""
    lists = {"objects": [{"dtype": "int64", "_type": "Value"}], "boxes": {"x": {"_type": "Value"}}}
    table = pa.table({"image": FILES, "label": LABELS, "objects": [[1]] * COUNT, "boxes": LABELS})
    facts = json.dumps({"info": {"features": FEATURES | lists}})
    pq.write_table(table.replace_schema_metadata({"huggingface": facts}), tmp_path / "a.parquet")
    assert take(tmp_path, str(tmp_path / "a.parquet")).classes == NAMES
