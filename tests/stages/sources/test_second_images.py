"""Images that belong to others of the same name (masks, depth maps), and names with backslashes."""

import json
from pathlib import Path

import pytest
from source_kinds import COUNT, FILES, LABELS, NAMES, PIXELS, column, noted, take, write

from scoremix.stages.sources.second_images import second_images

Files = dict[str, bytes]
KINDS = ["tar", "folder", "zip"]


def pairs(second: str, count: int = 3) -> Files:
    """0.jpg and 0.depth.png, say, and so on."""
    files: Files = {}
    for index in range(count):
        files |= {f"{index}.jpg": FILES[index], f"{index}{second}": FILES[COUNT - 1 - index]}
    return files


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("captions", [False, True])
@pytest.mark.parametrize("role", ["depth", "Mask"])
def test_depth_maps_and_masks_are_no_images(
    tmp_path: Path, kind: str, captions: bool, role: str
) -> None:
    files = pairs(f".{role}.png")
    if captions:
        files |= {f"{index}.txt": b"a caption" for index in range(3)}
    source = write(tmp_path, kind, files)
    corpus = take(tmp_path, source)
    assert (corpus.images == PIXELS[:3]).all()
    rejected = column(corpus, "reason", "rejected")
    assert rejected.count("second image of its sample") == 3
    if kind != "tar" or not captions:  # a sample's are known to be fields
        (line,) = noted(tmp_path, source)
        assert "3 images that belong to others of the same name are left out, such as 0." in line
    assert len(take(tmp_path, source, classes="none").images) == 3


def test_a_second_image_is_no_damage_and_one_of_a_tar_may_be_asked_for(tmp_path: Path) -> None:
    """More than half of the files: it would be too many bad ones."""
    files = {
        name: data
        for index in range(2)
        for name, data in zip(
            (f"{index}.jpg", f"{index}.depth.png", f"{index}.seg.png"),
            FILES[3 * index :],
            strict=False,
        )
    }
    source = write(tmp_path, "tar", files)
    assert (take(tmp_path, source).images == PIXELS[[0, 3]]).all()
    corpus = take(tmp_path, [{"source": source, "image_column": "depth.png"}])
    assert (corpus.images == PIXELS[[1, 4]]).all()


def test_masks_need_no_row_of_metadata(tmp_path: Path) -> None:
    rows = [{"file_name": f"{index}.jpg", "label": NAMES[index]} for index in range(3)]
    files = pairs(".mask.png") | {"metadata.jsonl": "\n".join(map(json.dumps, rows)).encode()}
    assert take(tmp_path, write(tmp_path, "folder", files)).classes == NAMES


@pytest.mark.parametrize(
    ("names", "second"),
    [
        (["0.png", "0.mask.png", "1.depth.png"], {"0.mask.png": "0.png"}),
        (["0.rgb.png", "0.depth.png"], {"0.depth.png": "0.rgb.png"}),
        (["a.v1.png", "a.v1.mask.png", "a.v2.png"], {"a.v1.mask.png": "a.v1.png"}),
        (["a/0.png", "b/0.mask.png"], {}),
        (["0.depth.png", "0.mask.png"], {}),
        (["a.png", "a.v1.png", "a.v2.png"], {}),
        (["a.png", "a.jpg", ".mask.png", "mask.png"], {}),
    ],
)
def test_names_say_which_image_is_the_second(names: list[str], second: dict[str, str]) -> None:
    assert second_images(names) == second


@pytest.mark.parametrize(
    ("ending", "note"),
    [
        (".png", "3 names have several images, such as 0.jpg and 0.png, and all are taken"),
        ("_mask.png", "names they have with _mask, such as 0_mask.png, and all are taken"),
        (".v2.png", "names they have with .v2, such as 0.v2.png, and all are taken"),
    ],
)
def test_what_may_be_a_second_image_is_taken_and_noted(
    tmp_path: Path, ending: str, note: str
) -> None:
    source = write(tmp_path, "folder", pairs(ending))
    assert len(take(tmp_path, source).images) == 6
    (line,) = noted(tmp_path, source)
    assert note in line


def test_dots_and_numbers_in_names_have_no_note(tmp_path: Path) -> None:
    names = ["a.v1.png", "a.v2.png", "b.png", "b.2.png", "c.png", "c_1.png", "d-mask.png"]
    files = dict(zip(names, FILES, strict=True))
    assert noted(tmp_path, write(tmp_path, "folder", files)) == []


# --- names with backslashes

WINDOWS = {f"{NAMES[n]}\\{index}.png": FILES[index] for index, n in enumerate(LABELS)}


@pytest.mark.parametrize("kind", KINDS)
def test_backslashes_separate_folders_where_no_image_has_slashes(tmp_path: Path, kind: str) -> None:
    for more in ({}, {"__MACOSX/._x": b""}, {"notes/read.txt": b"me"}):
        source = write(tmp_path / f"{len(more)}{min(more, default='x')[:3]}", kind, WINDOWS | more)
        corpus = take(tmp_path, source)
        assert corpus.classes == NAMES


@pytest.mark.parametrize("kind", KINDS)
def test_backslashes_beside_slashes_are_noted(tmp_path: Path, kind: str) -> None:
    files = {f"all/{name}": data for name, data in WINDOWS.items()}
    (line,) = noted(tmp_path, write(tmp_path, kind, files))
    assert "7 names have a \\ in them, such as all/cat\\" in line


@pytest.mark.parametrize("kind", ["tar", "folder"])
def test_one_backslash_among_plain_names_makes_no_class(tmp_path: Path, kind: str) -> None:
    files = {f"{index}.png": data for index, data in enumerate(FILES)}
    files["8\\a.png"] = files.pop("0.png")
    source = write(tmp_path, kind, files)
    assert take(tmp_path, source).classes == []
    (line,) = noted(tmp_path, source)
    assert "1 names have a \\ in them, such as 8\\a.png" in line


def test_a_name_of_no_unicode_has_no_folders(tmp_path: Path) -> None:
    for index, data in enumerate(FILES):
        (tmp_path / "in").mkdir(exist_ok=True)
        Path(f"{tmp_path}/in/caf\udce9{index}.png").write_bytes(data)
    assert take(tmp_path, str(tmp_path / "in")).classes == []
