"""Labels in files that share an image's name, in tars, folders and zips alike: used or named."""

import json
from pathlib import Path
from typing import Any

import pytest
from source_kinds import COUNT, FILES, LABELS, NAMES, column, noted, take, write

from scoremix.manifests.errors import ConfigError

Files = dict[str, bytes]
IMAGES = {f"{index}.png": data for index, data in enumerate(FILES)}
KINDS = ["tar", "folder", "zip"]


def beside(ending: str, values: list[Any], images: Files = IMAGES) -> Files:
    """The images, and a JSON value for each under its name with another ending."""
    stems = (name.removesuffix(".png") for name in images)
    return images | {
        f"{stem}.{ending}": json.dumps(value).encode()
        for stem, value in zip(stems, values, strict=False)
    }


# --- a JSON without keys


@pytest.mark.parametrize("kind", ["tar", "folder"])
@pytest.mark.parametrize("form", ["number", "text", "list"])
def test_a_json_may_be_the_label_itself(tmp_path: Path, kind: str, form: str) -> None:
    forms = {"number": LABELS, "text": [NAMES[n] for n in LABELS], "list": [[n] for n in LABELS]}
    corpus = take(tmp_path, write(tmp_path, kind, beside("json", forms[form])))
    assert column(corpus, "class_id") == LABELS
    assert corpus.classes == (NAMES if form == "text" else ["0", "1", "2"])


@pytest.mark.parametrize("value", [1.0, True, "x" * 201])
def test_a_json_that_is_no_label_itself_stops(tmp_path: Path, value: Any) -> None:
    with pytest.raises(ConfigError, match=r"label of 0\.json of .*(a class is|201 characters)"):
        take(tmp_path, write(tmp_path, "tar", beside("json", [value] * COUNT)))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("values", "key"),
    [
        ([[{"label": label}] for label in LABELS], "0.label"),
        ([[label, 4] for label in LABELS], "0"),
        ([{"Label": label} for label in LABELS], "Label"),
        ([{"annotation": {"label": label}} for label in LABELS], "annotation.label"),
    ],
)
def test_what_may_be_the_label_is_named_and_used_when_asked_for(
    tmp_path: Path, kind: str, values: list[Any], key: str
) -> None:
    source = write(tmp_path, kind, beside("json", values))
    (line,) = noted(tmp_path, source)
    assert f"and {key} may be it" in line and "label_column: NAME" in line
    corpus = take(tmp_path, {"source": source, "label_column": key})
    assert column(corpus, "class_id") == LABELS
    assert noted(tmp_path, source, classes="none") == []


def test_other_files_beside_the_images_of_a_folder_are_named(tmp_path: Path) -> None:
    source = write(tmp_path, "folder", beside("y", LABELS))
    (line,) = noted(tmp_path, source)
    assert "no file beside its images is taken for the class, and y may be it" in line
    corpus = take(tmp_path, {"source": source, "label_column": "y"})
    assert column(corpus, "class_id") == LABELS
    captions: list[Any] = [{"caption": "a cat"}] * COUNT
    assert noted(tmp_path, write(tmp_path / "b", "folder", beside("json", captions))) == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ending", ["png.json", "png.cls", "label.txt"])
def test_a_label_may_be_named_after_the_whole_image(tmp_path: Path, kind: str, ending: str) -> None:
    values = [{"label": n} for n in LABELS] if ending == "png.json" else LABELS
    corpus = take(tmp_path, write(tmp_path, kind, beside(ending, list(values))))
    assert column(corpus, "class_id") == LABELS


@pytest.mark.parametrize("kind", ["tar", "folder"])
def test_two_labels_in_one_json_stop(tmp_path: Path, kind: str) -> None:
    for second, stops in ((b"2", True), (b"1", False)):
        files = IMAGES | {f"{n}.json": b'{"label": 1, "label": %s}' % second for n in range(COUNT)}
        source = write(tmp_path / second.decode(), kind, files)
        if stops:
            with pytest.raises(ConfigError, match="0.json of .* has the key label twice, with 1"):
                take(tmp_path, source)
        else:
            assert take(tmp_path, source).classes == ["1"]


# --- labels apart from their images


@pytest.mark.parametrize("kind", [*KINDS, "tars"])
@pytest.mark.parametrize("ending", ["json", "label", "target", "label.txt"])
def test_labels_apart_from_their_images_stop(tmp_path: Path, kind: str, ending: str) -> None:
    values = [{"label": n} for n in LABELS] if ending == "json" else LABELS
    labels = beside(ending, list(values)).items() - IMAGES.items()
    if kind == "tars":
        for name, some in (("a.tar", IMAGES), ("b.tar", dict(labels))):
            (tmp_path / "in").mkdir(exist_ok=True)
            Path(write(tmp_path, "tar", some)).rename(tmp_path / "in" / name)
        source = str(tmp_path / "in")
    else:
        files = {f"img/{name}": data for name, data in IMAGES.items()}
        source = write(tmp_path, kind, files | {f"lab/{name}": data for name, data in labels})
    with pytest.raises(ConfigError, match=f"belong to no image: .*{ending}"):
        take(tmp_path, source)
    assert len(take(tmp_path, source, classes="none").images) == COUNT


def test_labels_apart_stop_where_captions_lie_beside_the_images(tmp_path: Path) -> None:
    files = {f"img/{name}": data for name, data in beside("txt", ["a caption"] * COUNT).items()}
    files |= {f"lab/{index}.json": b'{"label": 1}' for index in range(COUNT)}
    with pytest.raises(ConfigError, match="belong to no image: lab/0.json"):
        take(tmp_path, write(tmp_path, "tar", files))


@pytest.mark.parametrize("kind", ["tar", "folder"])
def test_json_of_something_else_is_no_label(tmp_path: Path, kind: str) -> None:
    files = {f"{NAMES[n]}/{index}.png": FILES[index] for index, n in enumerate(LABELS)}
    files |= {"package.json": b'{"label": 1}', "info/0.json": b'{"width": 3}', "info/1.json": b"{"}
    files |= {"info/2.json": b'{"labels": [{"box": 1}]}', "java/Main.class": b"\xca\xfe"}
    assert take(tmp_path, write(tmp_path, kind, files)).classes == NAMES


# --- dots in the keys of samples


@pytest.mark.parametrize(
    ("ending", "value"), [("label", 1), ("class", "cat"), ("json", {"soft_label": [0, 1]})]
)
def test_a_label_under_a_longer_name_stops(tmp_path: Path, ending: str, value: Any) -> None:
    images = {f"{index}.v1.png": data for index, data in enumerate(FILES)}
    files = beside(ending, [value] * COUNT, images)
    with pytest.raises(ConfigError, match=f"label 0.v1.{ending}, .*a key ends at the first dot"):
        take(tmp_path, write(tmp_path, "tar", files))
