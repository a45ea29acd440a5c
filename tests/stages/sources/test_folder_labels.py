"""Labels beside folders of images are found, and folders that may be no classes are named."""

import json
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from source_kinds import COUNT, FILES, LABELS, NAMES, PIXELS, add, column, noted, take

from scoremix.manifests.errors import ConfigError

Files = dict[str, bytes]
STYLEGAN = [f"{index // 4:05d}/img{index:08d}.png" for index in range(COUNT)]


def as_folder(path: Path, files: Files) -> str:
    for name, data in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return str(path)


def as_zip(path: Path, files: Files) -> str:
    with zipfile.ZipFile(f"{path}.zip", "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return f"{path}.zip"


def as_tar(path: Path, files: Files) -> str:
    with tarfile.open(f"{path}.tar", "w") as archive:
        for name, data in files.items():
            add(archive, name, data)
    return f"{path}.tar"


KINDS = [as_folder, as_zip, as_tar]


def stylegan(root: str) -> Files:
    pairs = [list(pair) for pair in zip(STYLEGAN, LABELS, strict=True)]
    files = {f"{root}{name}": data for name, data in zip(STYLEGAN, FILES, strict=True)}
    return files | {f"{root}dataset.json": json.dumps({"labels": pairs}).encode()}


@pytest.mark.parametrize("root", ["", "corpus/", "a/b/"])
@pytest.mark.parametrize("kind", KINDS)
def test_dataset_json_may_lie_below_a_common_root(
    tmp_path: Path, kind: Callable[[Path, Files], str], root: str
) -> None:
    source = kind(tmp_path / "in", stylegan(root) | {"README.txt": b"text"})
    corpus = take(tmp_path, source)
    assert (corpus.images == PIXELS).all() and column(corpus, "class_id") == LABELS
    assert column(corpus, "name")[0] == f"{root}00000/img00000000.png"
    assert noted(tmp_path, source) == []


def test_a_label_that_is_missing_below_a_root_stops(tmp_path: Path) -> None:
    files = stylegan("corpus/") | {"corpus/00001/more.png": FILES[0]}
    with pytest.raises(ConfigError, match="has no label for corpus/00001/more.png"):
        take(tmp_path, as_folder(tmp_path / "in", files))


def test_several_dataset_jsons_are_not_read_and_named(tmp_path: Path) -> None:
    source = as_folder(tmp_path / "in", stylegan("a/") | stylegan("b/"))
    line, copies = noted(tmp_path, source, duplicates="keep")
    assert "images have the pixels of an image of another class" in copies
    assert "a/dataset.json, b/dataset.json not read" in line and "source of its own" in line


@pytest.mark.parametrize("kind", KINDS)
def test_numbered_folders_without_labels_are_named(
    tmp_path: Path, kind: Callable[[Path, Files], str]
) -> None:
    files = {name: data for name, data in stylegan("").items() if name != "dataset.json"}
    source = kind(tmp_path / "in", files)
    (line,) = noted(tmp_path, source)
    assert "StyleGAN's dataset_tool.py" in line and "00000, 00001 are no classes" in line
    assert take(tmp_path, source).classes == ["00000", "00001"]
    assert noted(tmp_path, source, classes="none") == []


@pytest.mark.parametrize("twin", [".json", ".txt"])
@pytest.mark.parametrize("kind", KINDS)
def test_img2datasets_files_are_named(
    tmp_path: Path, kind: Callable[[Path, Files], str], twin: str
) -> None:
    files: Files = {}
    for index, data in enumerate(FILES):
        name = f"{index // 4:05d}/{index:09d}"
        files |= {f"{name}.png": data, f"{name}{twin}": b'{"caption": "a cat"}'}
    (line,) = noted(tmp_path, kind(tmp_path / "in", files))
    assert "as img2dataset writes them" in line and "set ingest.classes: none" in line


@pytest.mark.parametrize("names", [NAMES, ["0", "1", "2"], ["7", "8", "9"]])
def test_class_folders_are_not_named(tmp_path: Path, names: list[str]) -> None:
    files = {f"{names[label]}/{i}.png": FILES[i] for i, label in enumerate(LABELS)}
    assert noted(tmp_path, as_folder(tmp_path / "in", files)) == []


@pytest.mark.parametrize("kind", KINDS)
def test_the_root_of_images_without_endings(
    tmp_path: Path, kind: Callable[[Path, Files], str]
) -> None:
    files = {f"archive/{NAMES[label]}/{i:08x}": FILES[i] for i, label in enumerate(LABELS)}
    source = kind(tmp_path / "in", files | {"archive/about.txt": b"text"})
    assert take(tmp_path, source).classes == NAMES


def test_accents_are_composed_in_either_way(tmp_path: Path) -> None:
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    sources = [
        as_folder(tmp_path / "a", {f"{composed}/0.png": FILES[0], "the/1.png": FILES[1]}),
        as_folder(tmp_path / "b", {f"{decomposed}/2.png": FILES[2], "the/3.png": FILES[3]}),
    ]
    assert take(tmp_path, sources).classes == [composed, "the"]
    for number, spelled in enumerate((composed, decomposed)):
        other = {composed: decomposed, decomposed: composed}[spelled]
        images = {f"0/{other}.png": FILES[4], "0/b.png": FILES[5]}
        labels = {"labels": [[f"0/{spelled}.png", 3], ["0/b.png", 1]]}
        pairs = {"dataset.json": json.dumps(labels).encode()}
        source = as_folder(tmp_path / f"pairs{number}", images | pairs)
        assert sorted(column(take(tmp_path, source), "class_name")) == ["1", "3"]
        assert noted(tmp_path, source) == []
        rows = f"file_name,label\n0/{spelled}.png,cat\n0/b.png,dog\n".encode()
        source = as_folder(tmp_path / f"rows{number}", images | {"metadata.csv": rows})
        assert take(tmp_path, source).classes == ["cat", "dog"]


def test_splits_inside_of_classes_are_named(tmp_path: Path) -> None:
    names = [f"{name}/{split}/" for name in ("cat", "dog") for split in ("train", "test")]
    files = {f"{name}{index}.png": FILES[index] for index, name in enumerate(names)}
    source = as_folder(tmp_path / "in", files)
    (line,) = noted(tmp_path, source)
    assert "the folders test, train in them" in line and "FOLDER/*/train/*.png" in line
    assert column(take(tmp_path, f"{source}/*/train/*.png"), "class_name") == ["cat", "dog"]


# --- metadata of Hugging Face image folders


def hugging_face(ending: str, root: str = "", labels: list[Any] | None = None) -> Files:
    """In an order of its own, as the datasets library takes it too."""
    labels = [NAMES[label] for label in LABELS] if labels is None else labels
    rows = [{"file_name": f"{i}.png", "label": labels[i], "text": "a, b"} for i in range(COUNT)]
    lines = [json.dumps(row) for row in rows[::-1]]
    if ending == "csv":
        cells = ((row["file_name"], row["label"], '"a, b"') for row in rows[::-1])
        lines = ["file_name,label,text", *(",".join(map(str, row)) for row in cells)]
    files = {f"{root}{index}.png": data for index, data in enumerate(FILES)}
    return files | {f"{root}metadata.{ending}": "\n".join(lines).encode()}


@pytest.mark.parametrize("root", ["", "train/"])
@pytest.mark.parametrize("ending", ["csv", "jsonl"])
@pytest.mark.parametrize("kind", KINDS[:2])
def test_labels_of_metadata(
    tmp_path: Path, kind: Callable[[Path, Files], str], ending: str, root: str
) -> None:
    source = kind(tmp_path / "in", hugging_face(ending, root))
    corpus = take(tmp_path, source)
    assert (corpus.images == PIXELS).all() and corpus.classes == NAMES
    assert column(corpus, "class_id") == LABELS and noted(tmp_path, source) == []
    numbers = kind(tmp_path / "numbers", hugging_face(ending, root, LABELS))
    assert take(tmp_path, numbers).classes == ["0", "1", "2"]
    assert take(tmp_path, source, classes="none").classes == []


def test_metadata_is_read_as_the_datasets_library_reads_it(tmp_path: Path) -> None:
    from datasets import load_dataset

    source = as_folder(tmp_path / "in", hugging_face("csv"))
    theirs = load_dataset("imagefolder", data_dir=source, split="train", cache_dir=str(tmp_path))
    corpus = take(tmp_path, source)
    by_pixels = {row["image"].tobytes(): row["label"] for row in theirs}
    ours = [by_pixels[image.tobytes()] for image in corpus.images]
    assert ours == column(corpus, "class_name")


@pytest.mark.parametrize(
    ("value", "message"),
    [("1.0", "row 1 of metadata.csv .* is 1.0"), ("x" * 201, "has 201 characters")],
)
def test_metadata_labels_that_are_no_classes_stop(tmp_path: Path, value: str, message: str) -> None:
    files = hugging_face("csv", labels=["1"] * (COUNT - 1) + [value])
    with pytest.raises(ConfigError, match=message):
        take(tmp_path, as_folder(tmp_path / "in", files))


def test_an_image_without_its_row_stops(tmp_path: Path) -> None:
    source = as_folder(tmp_path / "in", hugging_face("jsonl") | {"more.png": FILES[0]})
    with pytest.raises(ConfigError, match="metadata.jsonl of .* has no label for more.png"):
        take(tmp_path, source)


def test_metadata_that_agrees_with_class_folders_keeps_their_names(tmp_path: Path) -> None:
    names = [f"{NAMES[label]}/{index}.png" for index, label in enumerate(LABELS)]
    files = dict(zip(names, FILES, strict=True))
    rows = [f"{name},{label}" for name, label in zip(names, LABELS, strict=True)]
    table = {"metadata.csv": "\n".join(["file_name,label", *rows]).encode()}
    corpus = take(tmp_path, as_folder(tmp_path / "in", files | table))
    assert corpus.classes == NAMES and sorted(LABELS) == column(corpus, "class_id")


def labelled_folder(root: Path, folders: list[str], labels: list[Any]) -> str:
    """An image in each of the folders, and metadata.csv with their labels."""
    first = sum(path.suffix == ".png" for path in root.parent.rglob("*"))
    names = [f"{folder}{index}.png" for index, folder in enumerate(folders)]
    rows = [f"{name},{label}" for name, label in zip(names, labels, strict=True)]
    table = {"metadata.csv": "\n".join(["file_name,label", *rows]).encode()}
    return as_folder(root, dict(zip(names, FILES[first:], strict=False)) | table)


@pytest.mark.parametrize("folder", ["", "images/"])
def test_one_class_of_metadata_in_each_of_two_sources(tmp_path: Path, folder: str) -> None:
    sources = [labelled_folder(tmp_path / n, [folder] * 3, [n] * 3) for n in ("cat", "dog")]
    assert column(take(tmp_path, sources), "class_name") == ["cat"] * 3 + ["dog"] * 3
    assert take(tmp_path, [sources[0], {"source": sources[1], "label": "yak"}]).classes == [
        "cat",
        "yak",
    ]


def test_names_in_metadata_are_those_of_the_classes(tmp_path: Path) -> None:
    """Another source may have them: folders that are codes of the names would be more classes."""
    codes = labelled_folder(tmp_path / "a", ["n01/", "n01/", "n02/"], ["tench", "tench", "shark"])
    named = as_folder(tmp_path / "b", {"tench/5.png": FILES[5], "shark/6.png": FILES[6]})
    corpus = take(tmp_path, [codes, named])
    assert corpus.classes == ["shark", "tench"]
    numbers = labelled_folder(tmp_path / "c", ["00000/", "00001/"], [7, 3])
    assert column(take(tmp_path, numbers), "class_name") == ["7", "3"]


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        (b"id,label\n0,1\n", "it has no column file_name"),
        (b"file_name,text\n0.png,a\n", "it has no column of labels"),
        (b"\xff\xfe,,", "it cannot be read"),
    ],
)
def test_metadata_without_labels_is_not_read_and_named(
    tmp_path: Path, table: bytes, reason: str
) -> None:
    files = hugging_face("csv") | {"metadata.csv": table}
    (line,) = noted(tmp_path, as_folder(tmp_path / "in", files))
    assert f"metadata.csv is not read for labels: {reason}" in line


def test_a_text_with_a_comma_and_no_quotes_stops(tmp_path: Path) -> None:
    rows = "".join(f"{index}.png,cat,a cat, sitting\n" for index in range(COUNT))
    files = hugging_face("csv") | {"metadata.csv": f"file_name,label,text\n{rows}".encode()}
    with pytest.raises(ConfigError, match="Row 1 of metadata.csv .* more cells than its 3 columns"):
        take(tmp_path, as_folder(tmp_path / "in", files))
    short = f"file_name,label\n{rows.replace(',cat,a cat, sitting', '')}"
    with pytest.raises(ConfigError, match="row 1 of metadata.csv .* ends before its label"):
        take(tmp_path, as_folder(tmp_path / "in", files | {"metadata.csv": short.encode()}))


def test_a_line_separator_in_a_text_of_jsonl_is_a_character(tmp_path: Path) -> None:
    rows = [
        json.dumps({"file_name": f"{i}.png", "label": NAMES[LABELS[i]], "text": "a\u2028b"},
                   ensure_ascii=False)
        for i in range(COUNT)
    ]  # fmt: skip
    files = hugging_face("jsonl") | {"metadata.jsonl": "\r\n".join(rows).encode()}
    source = as_folder(tmp_path / "in", files)
    assert column(take(tmp_path, source), "class_id") == LABELS and noted(tmp_path, source) == []


# --- labels that lie beside what is named


@pytest.mark.parametrize("pattern", ["*/*.png", "00000/*.png", "0000[0-9]/*.png"])
def test_a_pattern_finds_the_labels_of_its_images(tmp_path: Path, pattern: str) -> None:
    root = as_folder(tmp_path / "in", stylegan(""))
    if pattern.startswith("00000"):  # its folder is below that of the labels
        (line,) = noted(tmp_path, f"{root}/{pattern}")
        assert "dataset.json above it is not read" in line
        return
    corpus = take(tmp_path, f"{root}/{pattern}")
    assert (corpus.images == PIXELS).all() and column(corpus, "class_id") == LABELS
    assert column(corpus, "name")[0] == "00000/img00000000.png"
    assert noted(tmp_path, f"{root}/{pattern}") == []


def test_a_pattern_finds_metadata(tmp_path: Path) -> None:
    root = as_folder(tmp_path / "in", hugging_face("csv"))
    corpus = take(tmp_path, f"{root}/*.png")
    assert corpus.classes == NAMES and column(corpus, "class_id") == LABELS
    (line,) = noted(tmp_path, f"{root}/[0-5].png")
    assert "metadata.csv labels files that are not in the source: 6.png" in line
    assert take(tmp_path, f"{root}/*.png", classes="none").classes == []


@pytest.mark.parametrize("kind", KINDS)
def test_labels_above_the_folder_that_is_named_are_noted(
    tmp_path: Path, kind: Callable[[Path, Files], str]
) -> None:
    source = kind(tmp_path / "in", stylegan("a/"))
    (line,) = noted(tmp_path, source, path="a/00000")
    assert "a/dataset.json above it is not read" in line and "name the folder" in line
    assert noted(tmp_path, source, path="a") == []
    assert noted(tmp_path, source, path="a/00000", classes="none") == []


def test_every_tars_own_labels_are_named(tmp_path: Path) -> None:
    for name in "ab":
        as_tar(tmp_path / name, stylegan(""))
    (line,) = noted(tmp_path, f"{tmp_path}/?.tar", duplicates="keep")
    assert "a.tar/dataset.json, b.tar/dataset.json not read" in line
    assert "source of its own" in line


def test_labels_beside_a_tar_are_named(tmp_path: Path) -> None:
    files = hugging_face("csv")
    as_folder(tmp_path, {"metadata.csv": files.pop("metadata.csv")})
    (line,) = noted(tmp_path, as_tar(tmp_path / "in", files))
    assert "metadata.csv beside it is not read" in line


@pytest.mark.parametrize("name", ["label", "y", "targets"])
def test_labels_of_another_name_in_hdf5_are_named(tmp_path: Path, name: str) -> None:
    h5py = pytest.importorskip("h5py")
    path = str(tmp_path / "a.hdf5")
    with h5py.File(path, "w") as file:
        file["imgs"], file[name], file["stray"] = PIXELS, LABELS, LABELS[:2]
    (line,) = noted(tmp_path, path)
    assert f"{name} may hold them. Rename it." in line
    with h5py.File(path, "a") as file:
        file.move(name, "labels")
    assert column(take(tmp_path, path), "class_id") == LABELS


def test_numbers_beside_names_stop(tmp_path: Path) -> None:
    named = {f"{NAMES[label]}/{i}.png": FILES[i] for i, label in enumerate(LABELS)}
    sources = [as_folder(tmp_path / "a", named), as_folder(tmp_path / "b", stylegan(""))]
    with pytest.raises(ConfigError, match="a names its classes, and .*b numbers them without"):
        take(tmp_path, sources, duplicates="keep")
    numbers = {f"{label}/{i}.png": FILES[i] for i, label in enumerate(LABELS)}
    sources[0] = as_folder(tmp_path / "c", numbers)
    assert take(tmp_path, sources, duplicates="keep").classes == ["0", "1", "2"]


# --- labels in files of the images' names, as of an unpacked WebDataset


def unpacked(ending: str, values: list[bytes]) -> Files:
    images = {f"{index:04d}.png": data for index, data in enumerate(FILES)}
    return images | {f"{index:04d}.{ending}": value for index, value in enumerate(values)}


NUMBERS = [str(label).encode() for label in LABELS]
OBJECTS = [json.dumps({"label": NAMES[label], "species": label}).encode() for label in LABELS]


@pytest.mark.parametrize("kind", [as_folder, as_zip])
@pytest.mark.parametrize("ending", ["cls", "json", "CLS"])
def test_labels_beside_the_images_are_used(
    tmp_path: Path, kind: Callable[[Path, Files], str], ending: str
) -> None:
    source = kind(tmp_path / "in", unpacked(ending, OBJECTS if ending == "json" else NUMBERS))
    corpus = take(tmp_path, source)
    assert column(corpus, "class_id") == LABELS and noted(tmp_path, source) == []
    assert corpus.classes == (NAMES if ending == "json" else ["0", "1", "2"])
    assert set(column(corpus, "reason", "rejected")) == {"the label of an image"}
    named = {"source": source, "label_column": "species"}
    if ending == "json":
        assert take(tmp_path, named).classes == ["0", "1", "2"]


@pytest.mark.parametrize("kind", [as_folder, as_zip])
def test_labels_of_no_image_stop(tmp_path: Path, kind: Callable[[Path, Files], str]) -> None:
    files = {f"images/{index}.png": data for index, data in enumerate(FILES)}
    files |= {f"labels/{index}.cls": value for index, value in enumerate(NUMBERS)}
    with pytest.raises(ConfigError, match="labels that belong to no image: labels/0.cls"):
        take(tmp_path, kind(tmp_path / "in", files))
    with pytest.raises(ConfigError, match="0003.cls of .* is no text"):
        take(tmp_path, kind(tmp_path / "bad", unpacked("cls", [*NUMBERS[:3], b"\xff"])))


@pytest.mark.parametrize("name", ["labels.csv", "train.tsv", "labels.json", "annotations.jsonl"])
def test_a_table_in_another_form_is_named_where_images_have_no_class(
    tmp_path: Path, name: str
) -> None:
    files = {f"{index}.png": data for index, data in enumerate(FILES)}
    (line,) = noted(tmp_path, as_folder(tmp_path / "in", files | {name: b"id,label\n1,a\n"}))
    assert f"{name} not read, and no image has a class" in line and "metadata.csv" in line
    by_folder = {f"{NAMES[label]}/{index}.png": FILES[index] for index, label in enumerate(LABELS)}
    assert noted(tmp_path, as_folder(tmp_path / "by", by_folder | {name: b""})) == []
