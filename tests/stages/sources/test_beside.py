"""Archives among images, and images among archives: the user says which is meant, or has a note."""

import tarfile
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import lmdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from source_kinds import (
    COUNT,
    FILES,
    LABELS,
    NAMES,
    PIXELS,
    add,
    as_class_folders,
    column,
    noted,
    plain_tar,
    take,
)

from scoremix.manifests.errors import ConfigError

PLAIN = [f"{index}.png" for index in range(COUNT)]


def table(path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    pq.write_table(pa.table({"image": FILES}), path)


def add_archive(root: Path, kind: str) -> None:
    if kind == "masks.tar":
        plain_tar(root / kind, PLAIN)
    elif kind == "masks.parquet":
        table(root / kind)
    else:
        with lmdb.open(str(root)) as database, database.begin(write=True) as transaction:
            transaction.put(b"length", b"0")


@pytest.mark.parametrize("kind", ["masks.tar", "masks.parquet", "data.mdb"])
def test_an_archive_does_not_hide_folders_of_images(tmp_path: Path, kind: str) -> None:
    root = tmp_path / "in"
    source = as_class_folders(root)
    add_archive(root, kind)
    with pytest.raises(ConfigError, match=f"holds {kind}, and images in folders as well") as error:
        take(tmp_path, source)
    assert take(tmp_path, f"{root}/**/*.png").classes == NAMES
    assert f"'{root}/**/*.png'" in str(error.value)
    if kind != "data.mdb":
        assert f"source: {root}/{kind} or" in str(error.value)
        assert len(take(tmp_path, f"{root}/{kind}").images) == COUNT


def test_images_beside_the_tables_of_a_repository_are_noted(tmp_path: Path) -> None:
    root = tmp_path / "in"
    (root / "assets").mkdir(parents=True)
    (root / "assets" / "logo.png").write_bytes(FILES[0])
    table(root / "data" / "train.parquet")
    (line,) = noted(tmp_path, str(root))
    assert "images beside the tables are not read, such as assets/logo.png" in line
    assert len(take(tmp_path, str(root)).images) == COUNT


def test_a_table_of_metadata_does_not_hide_the_images_it_describes(tmp_path: Path) -> None:
    root = tmp_path / "in"
    source = as_class_folders(root)
    pq.write_table(pa.table({"file_name": PLAIN}), root / "metadata.parquet")
    (line,) = noted(tmp_path, source)
    assert "metadata.parquet is not read for labels" in line
    assert take(tmp_path, source).classes == NAMES


def test_archives_among_class_folders_are_noted(tmp_path: Path) -> None:
    root = tmp_path / "in"
    source = as_class_folders(root)
    with zipfile.ZipFile(root / "bird.zip", "w") as archive:
        archive.writestr("bird/0.png", FILES[0])
    (line,) = noted(tmp_path, source)
    assert "bird.zip among its files, not read" in line
    corpus = take(tmp_path, source)
    assert corpus.classes == NAMES and corpus.counts["rejected"] == 1


# --- patterns of any depth


def test_a_pattern_of_any_depth(tmp_path: Path) -> None:
    root = tmp_path / "in"
    as_class_folders(root)
    for name in ("cat/shallow.png", "cat/.hidden/1.png"):
        (root / name).parent.mkdir(exist_ok=True)
    (root / "cat" / "shallow.png").write_bytes(FILES[0][:-1])
    (root / "cat" / ".hidden" / "1.png").write_bytes(FILES[0])
    (root / "cat" / "up").symlink_to(root)  # a loop
    corpus = take(tmp_path, f"{root}/**/*.png", classes="auto")
    names = corpus.sources["name"].to_pylist()
    deep = [f"{NAMES[label]}/deeper/{index}.png" for index, label in enumerate(LABELS)]
    assert names == sorted([*deep, "cat/shallow.png"])
    assert len(corpus.images) == COUNT and corpus.classes == NAMES
    again = take(tmp_path, f"{root}/**/deeper/**/[0-9].png", follow_links=True)
    assert again.sources["name"].to_pylist() == sorted(deep)


def test_a_pattern_of_any_depth_without_a_match(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    with pytest.raises(ConfigError, match=r"matches nothing; there is no file in .*/in\. Correct"):
        take(tmp_path, f"{tmp_path}/in/**/*.png")


def test_a_pattern_without_a_match_names_the_endings_that_there_are(tmp_path: Path) -> None:
    root = tmp_path / "in"
    as_class_folders(root)
    (root / "README").touch()
    (root / ".DS_Store").touch()
    there = rf"in {root} there are: \.png \({COUNT}\), files without an ending \(1\)\."
    with pytest.raises(ConfigError, match=r"cat/\*\.jpg matches nothing; .*/cat there are: \.png"):
        take(tmp_path, f"{root}/cat/*.jpg")
    for pattern in ("*/*/*.jpg", "**/*.jpg"):
        with pytest.raises(ConfigError, match=there):
            take(tmp_path, f"{root}/{pattern}")
    with pytest.raises(ConfigError, match="nearest folder that does is"):
        take(tmp_path, f"{tmp_path}/nowhere/*.jpg")


def test_a_pattern_of_folders_says_to_name_the_folder_above(tmp_path: Path) -> None:
    root = tmp_path / "in"
    as_class_folders(root)
    with pytest.raises(
        ConfigError, match=rf"matches {len(NAMES)} folders.* above them, {root}, or"
    ):
        take(tmp_path, f"{root}/*")


# --- hidden folders, and members of one name


def test_a_hidden_class_folder_is_noted(tmp_path: Path) -> None:
    root = tmp_path / "in"
    for name in (".net/0.png", "java/1.png", "java/2.png", ".thumbnails/3.png", "java/._1.png"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(FILES[0 if name[0] == "." else int(name[-5])])
    (line,) = noted(tmp_path, str(root))
    assert "1 images in hidden folders are left out (.net)" in line and "without the dot" in line


TWICE = [("c/0.png", FILES[0]), ("d/1.png", FILES[1]), ("c/0.png", FILES[2]), ("d/3.png", FILES[3])]


def twice_in_zip(path: Path) -> str:
    with warnings.catch_warnings(), zipfile.ZipFile(path / "in.zip", "w") as archive:
        warnings.simplefilter("ignore")
        for name, data in TWICE:
            archive.writestr(name, data)
    return str(path / "in.zip")


def twice_in_tar(path: Path) -> str:
    with tarfile.open(path / "in.tar", "w") as archive:
        for name, data in TWICE:
            add(archive, f"./{name}", data)
    return str(path / "in.tar")


@pytest.mark.parametrize("kind", [twice_in_zip, twice_in_tar])
def test_the_last_member_of_a_name_is_read(tmp_path: Path, kind: Callable[[Path], str]) -> None:
    """As tar, unzip, zipfile and StyleGAN's reader do."""
    corpus = take(tmp_path, kind(tmp_path), max_bad={"fraction": 0})
    assert (corpus.images == PIXELS[[2, 1, 3]]).all() and corpus.classes == ["c", "d"]
    assert column(corpus, "name", "rejected") == ["c/0.png"]
    assert column(corpus, "reason", "rejected") == ["replaced by a later member of the same name"]
