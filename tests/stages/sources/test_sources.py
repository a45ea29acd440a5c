"""Every kind of source: what was put in comes out, pixels, labels and order."""

import bz2
import gzip
import io
import json
import lzma
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import h5py
import lmdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import webdataset as wds
from PIL import Image
from source_kinds import (
    BY_FOLDER,
    COUNT,
    FILES,
    LABELLED,
    LABELS,
    NAMES,
    PIXELS,
    SIDE,
    add,
    as_hugging_face_folder,
    as_hugging_face_parquet,
    as_shards,
    as_stylegan_folder,
    as_stylegan_zip,
    column,
    plain_tar,
    take,
)

from scoremix.manifests.errors import ConfigError, InputError
from scoremix.stages.check.check import find_corpus
from scoremix.stages.ingest.ingest import IngestConfig
from scoremix.stages.sources import limits
from scoremix.stages.sources.arrays import HDF5_SUFFIXES


@pytest.mark.parametrize("kind", LABELLED)
def test_pixels_labels_and_order_come_back(tmp_path: Path, kind: str) -> None:
    (tmp_path / "in").mkdir()
    corpus = take(tmp_path, LABELLED[kind](tmp_path / "in"))
    assert (corpus.images == PIXELS).all()
    assert column(corpus, "class_id") == LABELS
    assert corpus.classes in (NAMES, ["0", "1", "2"])


@pytest.mark.parametrize("kind", BY_FOLDER)
def test_pixels_and_classes_come_back_in_name_order(tmp_path: Path, kind: str) -> None:
    (tmp_path / "in").mkdir()
    corpus = take(tmp_path, BY_FOLDER[kind](tmp_path / "in"))
    order = sorted(range(COUNT), key=lambda index: (NAMES[LABELS[index]], index))
    assert (corpus.images == PIXELS[order]).all()
    assert corpus.classes == NAMES
    assert column(corpus, "class_id") == sorted(LABELS)


def test_lmdb_comes_back_without_labels(tmp_path: Path) -> None:
    with lmdb.open(str(tmp_path / "db"), map_size=1 << 20) as environment:
        with environment.begin(write=True) as writing:
            for index, data in enumerate(FILES):
                writing.put(f"{SIDE}-{index:05d}".encode(), data)
                writing.put(f"{SIDE // 2}-{index:05d}".encode(), data)
            writing.put(b"length", str(COUNT).encode())
    corpus = take(tmp_path, str(tmp_path / "db"))
    assert (corpus.images == PIXELS).all() and corpus.classes == []


@pytest.mark.parametrize("kind", ["shards", "parquet", "hdf5 NHWC", "stylegan zip"])
def test_labels_may_be_left_aside(tmp_path: Path, kind: str) -> None:
    (tmp_path / "in").mkdir()
    corpus = take(tmp_path, LABELLED[kind](tmp_path / "in"), classes="none")
    assert (corpus.images == PIXELS).all() and corpus.classes == []


def test_what_webdataset_yields_is_what_is_read(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    as_shards(tmp_path / "in")
    urls = sorted(map(str, (tmp_path / "in").glob("*.tar")))
    theirs = [sample["png"] for sample in wds.WebDataset(urls, shardshuffle=False)]
    corpus = take(tmp_path, str(tmp_path / "in"))
    ours = [np.asarray(Image.open(io.BytesIO(data))) for data in theirs]
    assert (corpus.images == np.stack(ours)).all()
    assert column(corpus, "name")[:4] == [
        "part-0000.tar/00000.png",
        "part-0000.tar/00001.png",
        "part-0000.tar/00002.png",
        "part-0001.tar/00003.png",
    ]


def test_what_is_in_no_sample_has_a_row_too(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for index in range(3):
            add(archive, f"{index}.png", FILES[index])
            add(archive, f"{index}.cls", b"0")
        add(archive, "3.json", b"{}")  # a sample without an image
        add(archive, "4.png", FILES[4])
        add(archive, "4.mask.png", FILES[5])
        add(archive, "4.json", b'{"label": "0"}')
        add(archive, "4.png", FILES[6])  # twice: the library drops it
    corpus = take(tmp_path, str(tmp_path / "a.tar"))
    rows = {(row["name"], row["reason"]) for row in corpus.sources.to_pylist()}
    assert corpus.counts["train"] == 4
    assert ("3.json", "sample without an image") in rows
    assert ("4.mask.png", "second image of its sample") in rows
    assert ("4.png", "of no sample, or twice in one") in rows


def test_a_folder_inside_a_tar(tmp_path: Path) -> None:
    names = ["README", *(f"set/train/{index}.png" for index in range(6))]
    source = str(plain_tar(tmp_path / "a.tar", names))
    assert len(take(tmp_path, source, path="set/train").images) == 6
    with pytest.raises(ConfigError, match="At its top there are: set"):
        take(tmp_path, source, path="trian")


def test_the_end_of_a_tar_is_missed(tmp_path: Path) -> None:
    whole = plain_tar(tmp_path / "whole.tar", [f"{i}.png" for i in range(COUNT)]).read_bytes()
    cut = tmp_path / "cut.tar"
    with tarfile.open(tmp_path / "whole.tar") as archive:
        starts = [member.offset for member in archive]
    for size in [starts[3], starts[3] + 512, starts[3] + 700, starts[5] + 100]:
        cut.write_bytes(whole[:size])
        with pytest.raises(InputError, match="cut.tar could not be read"):
            take(tmp_path, str(cut))
    cut.write_bytes(whole[: starts[3]] + b"\xff" * 512 + whole[starts[3] + 512 :])
    with pytest.raises(InputError, match="cut.tar could not be read"):
        take(tmp_path, str(cut))


@pytest.mark.parametrize("name", ["../out.png", "/etc/out.png"])
def test_names_that_leave_a_tar_are_not_read(tmp_path: Path, name: str) -> None:
    names = [name, *(f"{index}.png" for index in range(1, COUNT))]
    corpus = take(tmp_path, str(plain_tar(tmp_path / "a.tar", names)))
    assert column(corpus, "reason", "rejected") == ["name that leaves the archive"]
    assert (corpus.images == PIXELS[1:]).all()


def test_links_and_devices_in_a_tar_are_not_followed(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for index in range(3):
            add(archive, f"{index}.png", FILES[index])
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE):
            info = tarfile.TarInfo(f"kind{kind.decode()}.png")
            info.type, info.linkname = kind, "0.png"
            archive.addfile(info)
    corpus = take(tmp_path, str(tmp_path / "a.tar"), max_bad={"fraction": 0.9})
    assert column(corpus, "reason", "rejected").count("link in an archive") == 2
    assert column(corpus, "reason", "rejected").count("not a regular file") == 2


@pytest.mark.parametrize("module", [gzip, bz2, lzma])
def test_a_bomb_of_a_tar_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: Any
) -> None:
    monkeypatch.setattr(limits, "MAX_UNPACKED", 1 << 20)
    suffix = {gzip: "gz", bz2: "bz2", lzma: "xz"}[module]
    bomb = tmp_path / f"bomb.tar.{suffix}"
    with module.open(bomb, "wb") as file:
        file.write(bytes(64 << 20))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with pytest.raises(InputError, match="200 times its size"):
        take(tmp_path, str(bomb))
    assert not list(tmp_path.glob("scoremix-*"))


def test_columns_are_asked_for_where_there_are_several(tmp_path: Path) -> None:
    cells = [{"bytes": data, "path": None} for data in FILES]
    table = pa.table({"left": cells, "right": cells[::-1], "coarse": LABELS, "class": LABELS[::-1]})
    path = str(tmp_path / "a.parquet")
    pq.write_table(table, path)
    with pytest.raises(ConfigError, match="several columns of files: left, right"):
        take(tmp_path, path)
    asked = {"source": path, "image_column": "right", "label_column": "coarse"}
    corpus = take(tmp_path, [asked])
    assert (corpus.images == PIXELS[::-1]).all() and column(corpus, "class_id") == LABELS
    with pytest.raises(ConfigError, match="has no such column.*Its columns: left"):
        take(tmp_path, [asked | {"label_column": "fine"}])


def test_a_row_without_bytes_has_its_row(tmp_path: Path) -> None:
    cells = [{"bytes": data, "path": None} for data in FILES[:-1]]
    cells.append({"bytes": None, "path": "elsewhere.png"})
    pq.write_table(pa.table({"image": cells}), tmp_path / "a.parquet")
    corpus = take(tmp_path, str(tmp_path / "a.parquet"))
    assert column(corpus, "reason", "rejected") == [
        "row without image bytes; it names elsewhere.png"
    ]


def test_a_damaged_table_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    path.write_bytes(b"PAR1 and no more")
    with pytest.raises(InputError, match="a.parquet could not be read"):
        take(tmp_path, str(path))


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (LABELS[:-1], "has no label for 00000/img00000006.png"),
        ([*LABELS[:-1], 1.5], "the label 1.5; a class is a whole number"),
        ([*LABELS[:-1], [0.5, 0.5, 0]], r"a list of weights \(a soft label\)"),
        ([*LABELS[:-1], "dog"], "the label 'dog'"),
        ([*LABELS[:-1], -1], "the label -1"),
    ],
)
def test_labels_that_are_no_classes(tmp_path: Path, labels: list[Any], message: str) -> None:
    root = Path(as_stylegan_folder(tmp_path))
    names = [f"00000/img{index:08d}.png" for index in range(COUNT)]
    table = {"labels": list(zip(names, labels, strict=False))}
    (root / "dataset.json").write_text(json.dumps(table))
    with pytest.raises(ConfigError, match=message):
        take(tmp_path, str(root))
    assert take(tmp_path, str(root), classes="none").classes == []


def test_null_labels_and_a_dataset_json_of_others(tmp_path: Path) -> None:
    root = Path(as_stylegan_folder(tmp_path))
    (root / "dataset.json").write_text('{"labels": null}')
    assert take(tmp_path, str(root)).classes == []
    (root / "dataset.json").write_text('{"name": "mine"}')
    assert take(tmp_path, str(root)).classes == ["00000"]
    (root / "dataset.json").write_text('{"labels": [')
    with pytest.raises(ConfigError, match="cannot be read as"):
        take(tmp_path, str(root))


def test_class_numbers_keep_their_order(tmp_path: Path) -> None:
    labels = [10, 9, 2, 0, 1, 11, 100]
    with wds.TarWriter(str(tmp_path / "a.tar")) as sink:
        for index, (label, data) in enumerate(zip(labels, FILES, strict=True)):
            sink.write({"__key__": f"{index}", "png": data, "cls": label})
    corpus = take(tmp_path, str(tmp_path / "a.tar"))
    assert corpus.classes == ["000", "001", "002", "009", "010", "011", "100"]
    assert column(corpus, "class_id") == [4, 3, 2, 0, 1, 5, 6]


def windows_zip(path: Path, names: list[str]) -> str:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in zip(names, FILES, strict=False):
            info = zipfile.ZipInfo("x")
            info.filename = name  # the constructor would make it "/" on Windows
            archive.writestr(info, data)
    return str(path)


def test_backslashes_of_a_zip_separate_folders(tmp_path: Path) -> None:
    names = [f"set\\{NAMES[label]}\\{index}.png" for index, label in enumerate(LABELS)]
    path = windows_zip(tmp_path / "a.zip", names)
    with zipfile.ZipFile(path, "a") as archive:
        info = zipfile.ZipInfo("x")
        info.filename = "set\\"
        archive.writestr(info, b"")  # the entry of a folder
    corpus = take(tmp_path, path)
    order = sorted(range(COUNT), key=lambda index: (NAMES[LABELS[index]], index))
    assert (corpus.images == PIXELS[order]).all() and corpus.classes == NAMES
    assert column(corpus, "class_id") == sorted(LABELS) and corpus.counts["rejected"] == 0
    assert column(corpus, "name")[0] == "set/cat/1.png"
    assert len(take(tmp_path, path, path="set/cat").images) == 2


def test_backslashes_beside_slashes_are_parts_of_names(tmp_path: Path) -> None:
    names = [f"{NAMES[label]}/a\\{index}.png" for index, label in enumerate(LABELS)]
    assert take(tmp_path, windows_zip(tmp_path / "a.zip", names)).classes == NAMES
    names = ["..\\out.png", *(f"cat\\{index}.png" for index in range(1, COUNT))]
    corpus = take(tmp_path, windows_zip(tmp_path / "b.zip", names))
    assert column(corpus, "reason", "rejected") == ["name that leaves the archive"]


# --- several sources


def folder(root: Path, files: dict[str, bytes]) -> str:
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return str(root)


def test_several_sources_follow_each_other(tmp_path: Path) -> None:
    first = folder(tmp_path / "a", {"z/1.png": FILES[0], "y/1.png": FILES[1], "y/bad.png": b""})
    second = folder(tmp_path / "b", {"1.png": FILES[2], "2.png": FILES[3]})
    listed = [first, {"source": second, "label": "z", "license": "CC0-1.0"}]
    corpus = take(tmp_path, listed, license="CC-BY-4.0")
    assert (corpus.images == PIXELS[[1, 0, 2, 3]]).all()
    assert column(corpus, "source") == [0, 0, 1, 1]
    assert column(corpus, "class_name") == ["y", "z", "z", "z"]
    assert column(corpus, "license") == ["CC-BY-4.0", "CC-BY-4.0", "CC0-1.0", "CC0-1.0"]
    assert column(corpus, "name", "rejected") == ["y/bad.png"]


def test_sources_with_classes_and_without_do_not_mix(tmp_path: Path) -> None:
    first = folder(tmp_path / "a", {"z/1.png": FILES[0]})
    second = folder(tmp_path / "b", {"1.png": FILES[2], "2.png": FILES[3]})
    with pytest.raises(ConfigError, match="b has none. Give that one a class"):
        take(tmp_path, [first, second])
    assert len(take(tmp_path, [first, second], classes="none").images) == 3


def test_a_missing_source_of_several_is_named_by_its_place(tmp_path: Path) -> None:
    first = folder(tmp_path / "a", {"1.png": FILES[0], "2.png": FILES[1]})
    with pytest.raises(ConfigError, match=r"ingest.source\[1\] is .*gone, which does not exist"):
        take(tmp_path, [first, str(tmp_path / "gone")])
    with pytest.raises(ConfigError, match=r"but .*part-2.tar does not exist"):
        plain_tar(tmp_path / "part-1.tar", [f"{i}.png" for i in range(COUNT)])
        take(tmp_path, str(tmp_path / "part-{1..2}.tar"))


def test_parts_of_a_dataset_are_no_classes(tmp_path: Path) -> None:
    source = folder(tmp_path / "a", {"train/1.png": FILES[0], "val/1.png": FILES[1]})
    with pytest.raises(ConfigError, match="folders train, val: parts of a dataset"):
        take(tmp_path, source)


@pytest.mark.parametrize("empty", ["", []])
def test_a_source_must_be_named(empty: Any) -> None:
    with pytest.raises(ValueError, match="name a folder"):
        IngestConfig(source=empty)


# --- found by trying to break it


def test_every_tar_of_a_large_folder_is_listed(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    as_shards(tmp_path / "in")
    for number in range(10_050):
        (tmp_path / "in" / f"note-{number}.json").touch()
    assert len(take(tmp_path, str(tmp_path / "in")).images) == COUNT


def test_caches_beside_a_saved_dataset_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    saved = Path(as_hugging_face_folder(tmp_path / "in"))
    first = next(saved.glob("data-*.arrow"))
    (saved / "cache-123.arrow").write_bytes(first.read_bytes())
    corpus = take(tmp_path, str(saved))
    assert (corpus.images == PIXELS).all() and corpus.counts["duplicate"] == 0


def test_every_table_numbers_its_classes_itself(tmp_path: Path) -> None:
    from datasets import ClassLabel, Dataset, Features
    from datasets import Image as ImageColumn

    (tmp_path / "in").mkdir()
    for part, names in enumerate((NAMES, NAMES[::-1])):
        features = Features({"img": ImageColumn(), "kind": ClassLabel(names=names)})
        rows = slice(0, 3) if part == 0 else slice(3, COUNT)
        images = [{"bytes": data, "path": None} for data in FILES[rows]]
        labels = [names.index(NAMES[label]) for label in LABELS[rows]]
        table = Dataset.from_dict({"img": images, "kind": labels}, features=features)
        table.to_parquet(str(tmp_path / "in" / f"{part}.parquet"))
    corpus = take(tmp_path, str(tmp_path / "in"))
    assert corpus.classes == NAMES and column(corpus, "class_id") == LABELS


def test_splits_of_a_hugging_face_repository_are_refused_together(tmp_path: Path) -> None:
    root = Path(as_hugging_face_parquet(tmp_path))
    (root / "data" / "train-00001-of-00002.parquet").rename(root / "data" / "test-0.parquet")
    with pytest.raises(ConfigError, match=r"parts train, test.*source: .*data/train\*"):
        take(tmp_path, str(root))
    assert len(take(tmp_path, f"{root}/data/train*").images) == 4


def test_a_pattern_may_name_one_folder(tmp_path: Path) -> None:
    as_stylegan_folder(tmp_path)
    assert len(take(tmp_path, str(tmp_path / "unpack*")).images) == COUNT


def test_joined_tars_are_refused(tmp_path: Path) -> None:
    one = plain_tar(tmp_path / "one.tar", [f"{i}.png" for i in range(COUNT)]).read_bytes()
    (tmp_path / "both.tar").write_bytes(one + one)
    with pytest.raises(InputError, match="data follow its end"):
        take(tmp_path, str(tmp_path / "both.tar"))


def test_an_image_beside_class_folders_does_not_undo_them(tmp_path: Path) -> None:
    files = {"data/cats/1.png": FILES[0], "data/dogs/1.png": FILES[1], "data/cover.png": b"no"}
    corpus = take(tmp_path, folder(tmp_path / "in", files))
    assert corpus.classes == ["cats", "dogs"]
    (tmp_path / "in" / "data" / "cover.png").write_bytes(FILES[2])
    with pytest.raises(ConfigError, match="1 images directly in it, without a class"):
        take(tmp_path, str(tmp_path / "in"))


def test_captions_do_not_undo_class_folders(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for index, label in enumerate(LABELS):
            add(archive, f"{NAMES[label]}/{index}.png", FILES[index])
            add(archive, f"{NAMES[label]}/{index}.txt", b"a caption")
    assert column(take(tmp_path, str(tmp_path / "a.tar")), "class_id") == LABELS


@pytest.mark.parametrize(
    ("field", "value"),
    [("cls", b"-1"), ("json", b"null"), ("json", b'{"label": null}')],
)
def test_what_is_no_label_is_none(tmp_path: Path, field: str, value: bytes) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for index in range(3):
            add(archive, f"{index}.png", FILES[index])
            add(archive, f"{index}.{field}", value)
    assert take(tmp_path, str(tmp_path / "a.tar")).classes == []


def test_a_cut_lmdb_is_refused_and_not_mapped(tmp_path: Path) -> None:
    with lmdb.open(str(tmp_path / "db"), map_size=1 << 22) as environment:
        with environment.begin(write=True) as writing:
            for index in range(200):
                writing.put(f"8-{index:05d}".encode(), FILES[0] * 9)
    path = tmp_path / "db" / "data.mdb"
    path.write_bytes(path.read_bytes()[: 40 << 10])
    with pytest.raises(InputError, match="data.mdb could not be opened .*it is cut off"):
        take(tmp_path, str(tmp_path / "db"))


def test_labels_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    path = Path(as_stylegan_zip(tmp_path))
    data = path.read_bytes()
    place = data.index(b'{"labels"')
    path.write_bytes(data[:place] + b"#" + data[place + 1 :])
    with pytest.raises(ConfigError, match="dataset.json of .* could not be read .*CRC"):
        take(tmp_path, str(path))
    table = {"labels": [["a.png", 0], ["a.png", 1]]}
    source = folder(tmp_path / "x", {"a.png": FILES[0], "dataset.json": json.dumps(table).encode()})
    with pytest.raises(ConfigError, match="gives a.png two different labels"):
        take(tmp_path, source)


def test_a_pattern_that_names_other_files_is_stale(tmp_path: Path) -> None:
    from scoremix.pipeline.fingerprints import fingerprint

    as_shards(tmp_path)
    before = fingerprint(str(tmp_path / "*.tar"))
    (tmp_path / "part-0001.tar").rename(tmp_path / "part-0009.tar")
    assert fingerprint(str(tmp_path / "*.tar")) != before


@pytest.mark.parametrize("ending", HDF5_SUFFIXES)
def test_an_hdf5_file_is_known_by_each_ending(ending: str, tmp_path: Path) -> None:
    with h5py.File(tmp_path / f"a{ending}", "w") as file:
        file["imgs"] = (np.arange(4 * 8 * 8 * 3) % 251).reshape(4, 8, 8, 3).astype(np.uint8)
    assert len(take(tmp_path, str(tmp_path / f"a{ending}")).sources) >= 4
    assert find_corpus(tmp_path / f"a{ending}", None).kind == "hdf5"


@pytest.mark.parametrize("kind", ["link", "external storage"])
def test_an_hdf5_that_leads_to_other_files_is_refused(kind: str, tmp_path: Path) -> None:
    """It could name any file of this machine."""
    (tmp_path / "secret.bin").write_bytes(bytes(3 * 8 * 8 * 3))
    with h5py.File(tmp_path / "other.hdf5", "w") as other:
        other["imgs"] = np.zeros((3, 8, 8, 3), np.uint8)
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        if kind == "link":
            file["imgs"] = h5py.ExternalLink("other.hdf5", "/imgs")
        else:
            outside = [(str(tmp_path / "secret.bin"), 0, 3 * 8 * 8 * 3)]
            file.create_dataset("imgs", (3, 8, 8, 3), np.uint8, external=outside)
    with pytest.raises(ConfigError, match="under imgs.*h5repack"):
        take(tmp_path, str(tmp_path / "a.hdf5"))
