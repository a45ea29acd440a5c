"""WebDataset labels: each is read right, or the run stops and names it. None is dropped."""

import json
import tarfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from source_kinds import COUNT, FILES, LABELS, NAMES, PIXELS, add, column, noted, take

from scoremix.manifests.errors import ConfigError

Files = list[tuple[str, bytes]]


def tar(path: Path, files: Files) -> str:
    with tarfile.open(path, "w") as archive:
        for name, data in files:
            add(archive, name, data)
    return str(path)


def labelled(field: str, values: list[bytes]) -> Files:
    return [
        file
        for index, value in enumerate(values)
        for file in ((f"{index}.png", FILES[index]), (f"{index}.{field}", value))
    ]


CLS = [str(label).encode() for label in LABELS]


# --- files of a sample that lie apart


@pytest.mark.parametrize("first", ["images", "labels"])
@pytest.mark.parametrize("field", ["cls", "json"])
def test_files_of_a_sample_may_lie_apart(tmp_path: Path, first: str, field: str) -> None:
    values = CLS if field == "cls" else [json.dumps({"label": value}).encode() for value in LABELS]
    images = [(f"{index}.png", data) for index, data in enumerate(FILES)]
    labels = [(f"{index}.{field}", value) for index, value in enumerate(values)]
    source = tar(tmp_path / "a.tar", images + labels if first == "images" else labels + images)
    corpus = take(tmp_path, source)
    assert (corpus.images == PIXELS).all() and column(corpus, "class_id") == LABELS
    assert corpus.counts["rejected"] == 0


def test_masks_that_lie_apart_are_no_images(tmp_path: Path) -> None:
    files = labelled("cls", CLS[:3])
    files += [(f"{index}.mask.png", FILES[3 + index]) for index in range(3)]
    corpus = take(tmp_path, tar(tmp_path / "a.tar", files))
    assert (corpus.images == PIXELS[:3]).all()
    assert column(corpus, "reason", "rejected") == ["second image of its sample"] * 3


def test_a_key_that_is_used_again_is_another_sample(tmp_path: Path) -> None:
    """Two concatenated archives: each image keeps the label that follows it."""
    files = labelled("cls", CLS[:2])
    again = [(name, FILES[3] if name == "0.png" else data) for name, data in files[:2]]
    corpus = take(tmp_path, tar(tmp_path / "a.tar", [*files, again[0], ("0.cls", b"7")]))
    assert (corpus.images == PIXELS[[0, 1, 3]]).all()
    assert column(corpus, "class_name") == ["2", "0", "7"]


def test_a_label_that_may_belong_to_two_samples_stops(tmp_path: Path) -> None:
    images = [("0.png", FILES[0]), ("1.png", FILES[1]), ("0.png", FILES[2]), ("1.cls", b"1")]
    with pytest.raises(ConfigError, match="labels that belong to no image: 0.cls"):
        take(tmp_path, tar(tmp_path / "a.tar", [*images, ("0.cls", b"0")]))


@pytest.mark.parametrize("tars", [1, 2])
def test_labels_in_another_folder_or_tar_stop(tmp_path: Path, tars: int) -> None:
    (tmp_path / "in").mkdir()
    images = [(f"images/{index}.png", data) for index, data in enumerate(FILES)]
    labels = [(f"labels/{index}.cls", value) for index, value in enumerate(CLS)]
    if tars == 2:
        tar(tmp_path / "in" / "a.tar", images)
        tar(tmp_path / "in" / "b.tar", labels)
    else:
        tar(tmp_path / "in" / "a.tar", images + labels)
    with pytest.raises(ConfigError, match="labels that belong to no image: .*labels/0.cls"):
        take(tmp_path, str(tmp_path / "in"))
    assert len(take(tmp_path, str(tmp_path / "in"), classes="none").images) == COUNT


# --- dots in keys


@pytest.mark.parametrize(
    ("key", "field", "renamed"),
    [
        ("{:03d}.v1", "cls", "000_v1.cls"),
        ("{:03d}.v1", "json", "000_v1.json"),
        ("2024.01.05-{:03d}", "cls", "2024_01_05-000"),
        ("a/2024.01.05-{:03d}", "txt", "a/2024_01_05-000.png"),
    ],
)
def test_dots_in_keys_are_the_reason(tmp_path: Path, key: str, field: str, renamed: str) -> None:
    files: Files = []
    for index, label in enumerate(LABELS):
        value = json.dumps({"label": label} if field == "json" else label).encode()
        files += [
            (f"{key.format(index)}.png", FILES[index]),
            (f"{key.format(index)}.{field}", value),
        ]
    source = tar(tmp_path / "a.tar", files)
    with pytest.raises(ConfigError, match="a key ends at the first dot") as error:
        take(tmp_path, source)
    assert renamed in str(error.value)
    if field != "txt":
        clean = [(name.replace(".", "_", name.count(".") - 1), data) for name, data in files]
        corpus = take(tmp_path, tar(tmp_path / "b.tar", clean))
        assert column(corpus, "class_id") == LABELS


def test_dots_without_labels_keep_their_images(tmp_path: Path) -> None:
    files = [(f"2024.01.05-{index}.png", data) for index, data in enumerate(FILES)]
    assert len(take(tmp_path, tar(tmp_path / "a.tar", files)).images) == COUNT
    files = [(f"{index}.v1.png", data) for index, data in enumerate(FILES)]
    files += [(f"{index}.v1.txt", b"a caption") for index in range(COUNT)]
    assert (take(tmp_path, tar(tmp_path / "b.tar", files)).images == PIXELS).all()


# --- labels that are none


@pytest.mark.parametrize(
    ("field", "value", "shown"),
    [
        ("json", b'{"label": 1.0}', "1.0; a class is"),
        ("json", b'{"label": true}', "True; a class is"),
        ("json", b'{"label": [1]}', r"\[1\]; a class is"),
        ("json", b'{"label": {"id": 1}}', r"\{'id': 1\}; a class is"),
        ("json", b'{"class_id": -2}', r"-2; a class is"),
        ("cls", b"1.0", "1.0; a class is"),
        ("cls", b"-2", "-2; a class is"),
        ("cls", b"1e3", "1e3; a class is"),
        ("cls", b"[1]", r"\[1\]; a class is"),
        ("cls", b"x" * 201, "has 201 characters"),
        ("cls", "1".encode("utf-16"), "no text in UTF-8"),
    ],
)
@pytest.mark.parametrize("every", [True, False])
def test_a_label_that_is_no_class_stops(
    tmp_path: Path, field: str, value: bytes, shown: str, every: bool
) -> None:
    good = b"1" if field == "cls" else b'{"label": 1}'
    files = labelled(field, [value if every or index == 2 else good for index in range(COUNT)])
    with pytest.raises(ConfigError, match=f"label of {0 if every else 2}.{field} of .*{shown}"):
        take(tmp_path, tar(tmp_path / "a.tar", files))
    assert len(take(tmp_path, tar(tmp_path / "a.tar", files), classes="none").images) == COUNT


def test_a_label_that_cannot_be_read_stops(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as archive:
        for index in range(3):
            add(archive, f"{index}.png", FILES[index])
            info = tarfile.TarInfo(f"{index}.cls")
            info.type, info.linkname = tarfile.LNKTYPE, "x.cls"
            archive.addfile(info)
    with pytest.raises(ConfigError, match="label 0.cls of .* not be read .link in an archive"):
        take(tmp_path, str(path))


def test_a_class_name_loses_its_byte_order_mark_and_nothing_else(tmp_path: Path) -> None:
    long = "c" * 200
    values = [b"\xef\xbb\xbfcat", b"cat", b"yak", b"yak", long.encode(), b"dog", b"dog"]
    corpus = take(tmp_path, tar(tmp_path / "a.tar", labelled("cls", values)))
    assert column(corpus, "class_name") == ["cat", "cat", "yak", "yak", long, "dog", "dog"]
    numbers = [b"\xef\xbb\xbf3", *[b"3"] * (COUNT - 1)]
    assert take(tmp_path, tar(tmp_path / "n.tar", labelled("cls", numbers))).classes == ["3"]
    marked = [json.dumps({"label": f"\ufeff{name}"}).encode() for name in NAMES]
    corpus = take(tmp_path, tar(tmp_path / "b.tar", labelled("json", marked)))
    assert corpus.classes == NAMES


@pytest.mark.parametrize("number", [3, 7])
def test_a_class_number_beyond_its_names_stops(tmp_path: Path, number: int) -> None:
    features = {"image": {"_type": "Image"}, "label": {"_type": "ClassLabel", "names": NAMES}}
    labels = [*LABELS[:-1], number]
    cells = [{"bytes": data, "path": None} for data in FILES]
    facts = {"huggingface": json.dumps({"info": {"features": features}})}
    table = pa.table({"image": cells, "label": labels}).replace_schema_metadata(facts)
    pq.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(ConfigError, match=f"row 6 of .* is {number}, .*names for 0 to 2 alone"):
        take(tmp_path, str(tmp_path / "a.parquet"))
    (tmp_path / "index.json").write_text(json.dumps({"classes": NAMES}))
    files = labelled("cls", [str(label).encode() for label in labels])
    with pytest.raises(ConfigError, match=f"6.cls of .* is {number}, .*names for 0 to 2 alone"):
        take(tmp_path, tar(tmp_path / "a.tar", files))


# --- several images in a sample


def several(tmp_path: Path, *fields: str) -> str:
    files: Files = []
    for index in range(3):
        files += [(f"{index:04d}.{name}", FILES[2 * index + at]) for at, name in enumerate(fields)]
        files.append((f"{index:04d}.cls", CLS[index]))
    return tar(tmp_path / "a.tar", files)


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        (("depth.png", "png"), 1),
        (("depth.png", "jpg"), 1),
        (("png", "depth.png"), 0),
        (("depth.png", "image.png"), 1),
    ],
)
def test_the_plain_field_is_the_image(tmp_path: Path, fields: Any, place: int) -> None:
    corpus = take(tmp_path, several(tmp_path, *fields))
    assert (corpus.images == PIXELS[[place, 2 + place, 4 + place]]).all()
    assert column(corpus, "class_id") == LABELS[:3]


@pytest.mark.parametrize("fields", [("left.png", "right.png"), ("jpg", "png")])
def test_several_that_may_be_the_image_are_a_choice(tmp_path: Path, fields: Any) -> None:
    source = several(tmp_path, *fields)
    with pytest.raises(ConfigError, match=f"0000 of .* several images: 0000.{fields[0]}, 0000"):
        take(tmp_path, source)
    for place, name in enumerate(fields):
        corpus = take(tmp_path, [{"source": source, "image_column": name}])
        assert (corpus.images == PIXELS[[place, 2 + place, 4 + place]]).all()
    with pytest.raises(ConfigError, match="has no such image. Its images: "):
        take(tmp_path, [{"source": source, "image_column": "up.png"}])


def test_a_depth_map_is_no_image_where_others_have_photographs(tmp_path: Path) -> None:
    files = labelled("cls", CLS[:4])
    files = [(name.replace("1.png", "1.depth.png"), data) for name, data in files]
    files.insert(0, ("0.depth.png", FILES[5]))
    corpus = take(tmp_path, tar(tmp_path / "a.tar", files))
    assert (corpus.images == PIXELS[[0, 2, 3]]).all()
    assert column(corpus, "class_name") == ["2", "1", "2"]
    reasons = column(corpus, "reason", "rejected")
    assert "field depth.png alone, which in other samples is beside the image" in reasons
    # Where no sample has both, it is a dot in a key.
    files = labelled("txt", [b"a caption"] * COUNT)
    files = [(name.replace("1.", "1.v1."), data) for name, data in files]
    assert (take(tmp_path, tar(tmp_path / "b.tar", files)).images == PIXELS).all()


# --- labels that would be lost


@pytest.mark.parametrize("field", ["class", "label", "labels", "target", "category", "class_id"])
def test_a_field_that_is_called_like_a_label_is_one(tmp_path: Path, field: str) -> None:
    corpus = take(tmp_path, tar(tmp_path / "a.tar", labelled(field, CLS)))
    assert column(corpus, "class_id") == LABELS
    values = [json.dumps({field: NAMES[label]}).encode() for label in LABELS]
    corpus = take(tmp_path, tar(tmp_path / "b.tar", labelled("json", values)))
    assert column(corpus, "class_id") == LABELS and corpus.classes == NAMES


@pytest.mark.parametrize("value", [b'{"label": 1,}', b"", b"[" * 100_000])
def test_json_that_is_none_stops(tmp_path: Path, value: bytes) -> None:
    files = labelled("json", [value] * COUNT)
    with pytest.raises(ConfigError, match="0.json of .* is no JSON .*classes: none"):
        take(tmp_path, tar(tmp_path / "a.tar", files))
    assert len(take(tmp_path, tar(tmp_path / "a.tar", files), classes="none").images) == COUNT


@pytest.mark.parametrize("apart", [True, False])
@pytest.mark.parametrize("field", ["cls", "json"])
def test_a_second_label_of_an_image_stops(tmp_path: Path, field: str, apart: bool) -> None:
    """As `tar -r` leaves it, after a label was changed."""

    def value(number: int) -> bytes:
        return json.dumps({"label": number}).encode() if field == "json" else b"%d" % number

    files = labelled(field, [value(label) for label in LABELS])
    at = len(files) if apart else 2
    with pytest.raises(ConfigError, match=f"has the label 0.{field} twice, and the two differ"):
        take(
            tmp_path, tar(tmp_path / "a.tar", [*files[:at], (f"0.{field}", value(7)), *files[at:]])
        )
    same = [*files[:at], files[1], *files[at:]]
    assert column(take(tmp_path, tar(tmp_path / "b.tar", same)), "class_id") == LABELS


@pytest.mark.parametrize("value", ["", "  ", "x" * 201])
def test_texts_of_json_and_tables_are_bound_as_those_of_files(tmp_path: Path, value: str) -> None:
    files = labelled("json", [json.dumps({"label": value}).encode()] * COUNT)
    path = tar(tmp_path / "a.tar", files)
    table = pa.table({"image": [{"bytes": data} for data in FILES], "label": [value] * COUNT})
    pq.write_table(table, tmp_path / "a.parquet")
    for source in (path, str(tmp_path / "a.parquet")):
        if value.strip():
            with pytest.raises(ConfigError, match="has 201 characters"):
                take(tmp_path, source)
        else:
            assert take(tmp_path, source).classes == []


def test_captions_beside_images_do_not_hide_their_metadata(tmp_path: Path) -> None:
    rows = [json.dumps({"file_name": f"{i}.png", "label": NAMES[LABELS[i]]}) for i in range(COUNT)]
    files = labelled("txt", [b"a caption"] * COUNT)
    files.append(("metadata.jsonl", "\n".join(rows).encode()))
    corpus = take(tmp_path, tar(tmp_path / "a.tar", files))
    assert corpus.classes == NAMES and column(corpus, "class_id") == LABELS
    assert (corpus.images == PIXELS).all()


# --- labels that are no field of a label's name


def soft(label: int, weight: float = 1.0) -> bytes:
    weights = [weight if number == label else 0.0 for number in range(len(NAMES))]
    weights[-1] += 1 - weight
    facts = {"class_id": -1, "kind": "real", "source_1": "0", "soft_label": weights}
    return json.dumps(facts).encode()


def test_weights_of_one_class_are_that_class(tmp_path: Path) -> None:
    """As `pairing: any` writes them for real images."""
    (tmp_path / "index.json").write_text(json.dumps({"classes": NAMES}))
    source = tar(tmp_path / "a.tar", labelled("json", [soft(label) for label in LABELS]))
    corpus = take(tmp_path, source)
    assert corpus.classes == NAMES and column(corpus, "class_id") == LABELS
    mixed = [*(soft(label) for label in LABELS[:-1]), soft(0, 0.75)]
    with pytest.raises(ConfigError, match="The label of 6.json .* is soft.*real-"):
        take(tmp_path, tar(tmp_path / "b.tar", labelled("json", mixed)))


def test_augmented_images_are_no_originals(tmp_path: Path) -> None:
    made = json.dumps({"kind": "augmented", "source_1": "0"}).encode()
    (tmp_path / "in").mkdir()
    tar(tmp_path / "in" / "real-0.tar", labelled("json", [soft(label) for label in LABELS]))
    tar(tmp_path / "in" / "aug-0.tar", labelled("json", [made]))
    for classes in ("auto", "none"):
        with pytest.raises(ConfigError, match="holds augmented images of a corpus .aug-0.tar/0"):
            take(tmp_path, str(tmp_path / "in"), classes=classes)
    assert len(take(tmp_path, str(tmp_path / "in" / "real-*.tar")).images) == COUNT


@pytest.mark.parametrize("field", ["y", "index"])
def test_a_field_of_another_name_is_noted_and_used_when_named(tmp_path: Path, field: str) -> None:
    source = tar(tmp_path / "a.tar", labelled(field, CLS))
    (line,) = noted(tmp_path, source)
    assert f"and {field} may be it" in line and "label_column: NAME" in line
    corpus = take(tmp_path, {"source": source, "label_column": field})
    assert column(corpus, "class_id") == LABELS


def test_a_key_of_an_object_is_noted_and_used_when_named(tmp_path: Path) -> None:
    values = [json.dumps({"about": {"label": label}, "label": None}).encode() for label in LABELS]
    source = tar(tmp_path / "a.tar", labelled("json", values))
    (line,) = noted(tmp_path, source)
    assert "and about.label may be it" in line
    corpus = take(tmp_path, {"source": source, "label_column": "about.label"})
    assert column(corpus, "class_id") == LABELS


def test_labels_as_texts_are_used_and_as_arrays_refused(tmp_path: Path) -> None:
    corpus = take(tmp_path, tar(tmp_path / "a.tar", labelled("label.txt", CLS)))
    assert column(corpus, "class_id") == LABELS
    with pytest.raises(ConfigError, match="0.cls.npy, which cannot be used: a class is read"):
        take(tmp_path, tar(tmp_path / "b.tar", labelled("cls.npy", CLS)))
    masks = tar(tmp_path / "c.tar", labelled("label.npy", [bytes(20_000)] * COUNT))
    assert take(tmp_path, masks).classes == []
