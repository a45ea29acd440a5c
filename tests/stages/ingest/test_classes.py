"""One class has one name: numbers however they are written, in all sources and in the reference."""

import json
import tarfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from ingest_inputs import folder, png
from source_kinds import add, column, noted, take

from scoremix.manifests.errors import ConfigError

COUNTED = [f"{number:02d}" for number in range(11)]


def images(first: int, count: int) -> list[bytes]:
    return [png(number) for number in range(first, first + count)]


def class_folders(root: Path, names: list[str], first: int = 0) -> str:
    files = images(first, len(names))
    return str(folder(root, {f"{n}/{i}.png": files[i] for i, n in enumerate(names)}))


def numbered(path: Path, labels: list[int], first: int = 100) -> str:
    """HDF5, whose classes are numbers."""
    pixels = [np.random.default_rng(first + n).integers(0, 256, (8, 8, 3)) for n in labels]
    with h5py.File(path, "w") as file:
        file["imgs"], file["labels"] = np.stack(pixels).astype(np.uint8), np.array(labels)
    return str(path)


def table(path: Path, labels: list[Any], names: list[str] | None = None, first: int = 200) -> str:
    """Parquet; names: of the classes that the labels number."""
    found = pa.table({"image": images(first, len(labels)), "label": labels})
    if names is not None:
        features = {"label": {"_type": "ClassLabel", "names": names}}
        facts = json.dumps({"info": {"features": features}})
        found = found.replace_schema_metadata({"huggingface": facts})
    path.parent.mkdir(exist_ok=True)
    pq.write_table(found, path)
    return str(path)


# --- numbers


def test_numbered_folders_sort_as_numbers(tmp_path: Path) -> None:
    corpus = take(tmp_path, class_folders(tmp_path / "in", [str(n) for n in range(11)]))
    assert corpus.classes == COUNTED
    assert sorted(column(corpus, "class_name")) == COUNTED
    texts = table(tmp_path / "t.parquet", [str(n) for n in range(11)])
    assert column(take(tmp_path, texts), "class_name") == COUNTED


def test_names_that_are_padded_stay(tmp_path: Path) -> None:
    assert take(tmp_path, class_folders(tmp_path / "in", ["007", "011"])).classes == ["007", "011"]


def test_a_number_is_one_class_in_every_source(tmp_path: Path) -> None:
    numbers = numbered(tmp_path / "a.h5", list(range(11)))
    folders = class_folders(tmp_path / "b", [str(n) for n in range(11)])
    extra = {"source": str(folder(tmp_path / "c", {"0.png": png(50)})), "label": "5"}
    corpus = take(tmp_path, [numbers, folders, extra])
    assert corpus.classes == COUNTED
    assert column(corpus, "class_name").count("05") == 3


def test_numbers_and_digits_in_text_of_one_source_are_one_class(tmp_path: Path) -> None:
    table(tmp_path / "in/a.parquet", [1, 10], first=0)
    table(tmp_path / "in/b.parquet", ["1", "0000000010"], first=9)
    (line,) = noted(tmp_path, str(tmp_path / "in"))
    assert "taken for the same (0000000010 and 10)" in line
    assert take(tmp_path, str(tmp_path / "in")).classes == ["0000000001", "0000000010"]


def test_digits_among_letters_are_names(tmp_path: Path) -> None:
    assert take(tmp_path, class_folders(tmp_path / "in", ["10", "9", "a"])).classes == [
        "10",
        "9",
        "a",
    ]
    rows = b"file_name,label\n0.png,07\n1.png,a\n"
    csv = folder(tmp_path / "csv", {"0.png": png(0), "1.png": png(1), "metadata.csv": rows})
    assert column(take(tmp_path, str(csv)), "class_name") == ["07", "a"]


def test_numbers_beside_names_in_one_source_stop(tmp_path: Path) -> None:
    table(tmp_path / "in/a.parquet", [0, 1])
    table(tmp_path / "in/b.parquet", ["cat", "dog"], first=9)
    with pytest.raises(ConfigError, match=r"some of its classes \(cat\) and numbers others \(0\)"):
        take(tmp_path, str(tmp_path / "in"))
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for name, data in (("0.png", png(0)), ("0.cls", b"1"), ("1.png", png(1))):
            add(tar, name, data)
        add(tar, "1.json", b'{"label": "dog"}')
    with pytest.raises(ConfigError, match=r"some of its classes \(dog\) and numbers others \(1\)"):
        take(tmp_path, str(tmp_path / "a.tar"))


# --- names


def test_spaces_and_minus_one_in_texts_of_a_table(tmp_path: Path) -> None:
    corpus = take(tmp_path, table(tmp_path / "a.parquet", ["cat", "cat ", " dog", "dog"]))
    assert column(corpus, "class_name") == ["cat", "cat", "dog", "dog"]
    assert take(tmp_path, table(tmp_path / "b.parquet", ["-1", "-1", ""])).classes == []


def test_labels_of_a_table_are_no_folders(tmp_path: Path) -> None:
    source = table(tmp_path / "a.parquet", ["images", "labels", "train", "test"])
    assert take(tmp_path, source).classes == ["images", "labels", "test", "train"]


def test_names_that_differ_in_case_alone_are_noted(tmp_path: Path) -> None:
    source = table(tmp_path / "a.parquet", ["cat", "Cat", "dog"])
    (line,) = noted(tmp_path, source)
    assert "differ in case or spaces alone: 'Cat' and 'cat'" in line


# --- the classes of held-out images


def held_out(tmp_path: Path, source: str, reference: Any) -> list[str | None]:
    corpus = take(tmp_path, source, reference=reference, holdout=None)
    rows = corpus.sources.to_pylist()
    return sorted(r["class_name"] or "-" for r in rows if r["status"] == "reference")


def test_held_out_numbers_are_those_of_the_training_images(tmp_path: Path) -> None:
    folders = class_folders(tmp_path / "b", [str(n) for n in range(11)])
    assert held_out(tmp_path, numbered(tmp_path / "a.h5", list(range(11))), folders) == COUNTED
    assert held_out(tmp_path, folders, numbered(tmp_path / "c.h5", [7, 10])) == ["07", "10"]


@pytest.mark.parametrize("named_first", [True, False])
def test_held_out_numbers_beside_names_stop(tmp_path: Path, named_first: bool) -> None:
    both = [
        table(tmp_path / "a.parquet", [0, 1], ["dog", "cat"]),
        numbered(tmp_path / "b.h5", [0, 1]),
    ]
    source, reference = both if named_first else both[::-1]
    with pytest.raises(ConfigError, match="a.parquet names its classes.* ingest.reference and"):
        held_out(tmp_path, source, reference)


def test_held_out_splits_stop(tmp_path: Path) -> None:
    source = class_folders(tmp_path / "a", ["cat", "dog"])
    splits = class_folders(tmp_path / "b", ["train", "test"], first=9)
    with pytest.raises(ConfigError, match=r"ingest.reference: \{source: \.\.\., path: test\}"):
        held_out(tmp_path, source, splits)


def test_held_out_images_of_other_classes_stop_or_are_counted(tmp_path: Path) -> None:
    source = class_folders(tmp_path / "a", ["cat", "dog"])
    other = class_folders(tmp_path / "b", ["Cat", "Dog"], first=9)
    with pytest.raises(ConfigError, match="has the classes Cat, Dog, and the training images cat"):
        held_out(tmp_path, source, other)
    some = class_folders(tmp_path / "c", ["cat", "yak"], first=20)
    (line,) = noted(tmp_path, source, reference=some, holdout=None)
    assert "1 of 2 images have no class of the training images (theirs: yak)" in line
    assert held_out(tmp_path, source, some) == ["-", "cat"]


def test_held_out_images_without_labels_are_noted(tmp_path: Path) -> None:
    source = class_folders(tmp_path / "a", ["cat", "dog"])
    plain = str(folder(tmp_path / "b", {"0.png": png(9), "1.png": png(10)}))
    (line,) = noted(tmp_path, source, reference=plain, holdout=None)
    assert "2 of 2 images have no label and are held out without a class" in line
    assert noted(tmp_path, plain, reference=source, holdout=None) == []
    assert noted(tmp_path, source, reference=plain, holdout=None, classes="none") == []


# --- copies


@pytest.mark.parametrize(("kept", "said"), [("drop", "the first alone is used"), ("keep", "All")])
def test_copies_of_other_classes_are_named(tmp_path: Path, kept: str, said: str) -> None:
    same, own = images(0, 2), images(9, 4)
    files = {f"cat/{i}.png": data for i, data in enumerate([*same, *own[:2], own[1]])}
    files |= {f"dog/{i}.png": data for i, data in enumerate([*same, *own[2:]])}
    source = str(folder(tmp_path / "in", files))
    (line,) = noted(tmp_path, source, duplicates=kept)
    assert "WARNING: 2 images have the pixels of an image of another class" in line
    assert "cat/0.png (cat) and dog/0.png (dog); cat/1.png (cat) and dog/1.png (dog)." in line
    assert said in line
    assert noted(tmp_path, source, classes="none") == []
