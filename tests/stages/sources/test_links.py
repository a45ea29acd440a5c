"""Links of a folder: followed where the user says so, and else named with the remedy that works."""

import os
from pathlib import Path

import numpy as np
import pytest
from source_kinds import COUNT, FILES, LABELS, NAMES, PIXELS, column, noted, png, take

from scoremix.manifests.errors import ConfigError, InputError
from scoremix.pipeline.fingerprints import fingerprint

ORDER = sorted(range(COUNT), key=lambda index: (NAMES[LABELS[index]], index))


def cache(root: Path) -> Path:
    """Class folders whose images are links to a read-only cache, as DVC makes them."""
    for index, label in enumerate(LABELS):
        blob = root / "cache" / f"{index:02x}" / "blob"
        blob.parent.mkdir(parents=True)
        blob.write_bytes(FILES[index])
        blob.chmod(0o444)
        link = root / "in" / NAMES[label] / f"{index}.png"
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(os.path.relpath(blob, link.parent))
    return root / "in"


def test_a_cache_of_links_is_read_by_choice(tmp_path: Path) -> None:
    source = str(cache(tmp_path))
    with pytest.raises(InputError, match="leaves the source's folder[^$]*follow_links: true"):
        take(tmp_path, source)
    corpus = take(tmp_path, source, follow_links=True)
    assert (corpus.images == PIXELS[ORDER]).all() and corpus.classes == NAMES
    assert column(corpus, "class_id") == sorted(LABELS)


@pytest.mark.parametrize("inside", [True, False])
def test_a_class_folder_that_is_a_link_is_noted_or_followed(tmp_path: Path, inside: bool) -> None:
    root, store = tmp_path / "in", tmp_path / ("in/.store" if inside else "store")
    for index, label in enumerate(LABELS):
        folder = store / NAMES[label] if label == 2 else root / NAMES[label]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{index}.png").write_bytes(FILES[index])
    (root / "yak").symlink_to(store / "yak")
    (root / "cat" / "up").symlink_to(root)  # a loop
    lines = noted(tmp_path, str(root))
    assert len(lines) == 1 and "2 links are not followed" in lines[0]
    assert lines[0].endswith("set ingest.follow_links: true.")
    assert take(tmp_path, str(root)).classes == ["cat", "dog"]
    corpus = take(tmp_path, str(root), follow_links=True)
    assert corpus.classes == NAMES and (corpus.images == PIXELS[ORDER]).all()
    assert noted(tmp_path, str(root), follow_links=True) == []


def test_a_link_to_nothing_is_a_row_and_no_end(tmp_path: Path) -> None:
    root = cache(tmp_path)
    (root / "cat" / "gone.png").symlink_to(tmp_path / "gone")
    corpus = take(tmp_path, str(root), follow_links=True)
    assert column(corpus, "reason", "rejected") == ["symbolic link to no regular file"]


def test_a_change_behind_a_link_is_a_change_of_the_source(tmp_path: Path) -> None:
    root = str(cache(tmp_path))
    before = fingerprint(root, follow_links=True), fingerprint(root)
    blob = tmp_path / "cache" / "00" / "blob"
    blob.chmod(0o644)
    blob.write_bytes(FILES[0] + b"more")
    assert fingerprint(root, follow_links=True) != before[0]
    assert fingerprint(root) == before[1]


def test_a_pattern_follows_links_as_a_folder_does(tmp_path: Path) -> None:
    root = cache(tmp_path)
    with pytest.raises(InputError, match="leaves the source's folder[^$]*follow_links: true"):
        take(tmp_path, f"{root}/*/*.png")
    corpus = take(tmp_path, f"{root}/*/*.png", follow_links=True)
    assert (corpus.images == PIXELS[ORDER]).all() and corpus.classes == NAMES


def test_a_pattern_enters_no_folder_that_is_a_link(tmp_path: Path) -> None:
    root, store = tmp_path / "in", tmp_path / "store"
    for index, label in enumerate(LABELS):
        folder = (store if label == 2 else root) / NAMES[label]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{index}.png").write_bytes(FILES[index])
    (root / "yak").symlink_to(store / "yak")
    (root / "cat" / "same.png").symlink_to("1.png")
    line, left_out = noted(tmp_path, f"{root}/*/*.png", duplicates="keep")
    assert left_out.endswith("all of their images are bad: yak")
    count = LABELS.count(2)
    assert f"{count} links are not followed, such as yak/" in line and "(symbolic link to a" in line
    assert take(tmp_path, f"{root}/*/*.png").classes == ["cat", "dog"]
    corpus = take(tmp_path, f"{root}/*/*.png", follow_links=True)
    assert (corpus.images == PIXELS[ORDER]).all() and corpus.classes == NAMES


def test_an_image_that_is_a_link_is_read_where_it_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png(np.concatenate([PIXELS[:2].reshape(16, 8, 3)] * 2, 1)))
    (tmp_path / "b.png").symlink_to("a.png")
    corpus = take(tmp_path, str(tmp_path / "b.png"), patches={"per_image": 2, "size": 8})
    assert len(corpus.images) == 2


@pytest.mark.parametrize("name", ["metadata.csv", "0.cls"])
def test_a_file_of_labels_that_is_a_link_is_followed_by_choice(tmp_path: Path, name: str) -> None:
    files = {f"{index}.png": data for index, data in enumerate(FILES)}
    if name == "metadata.csv":
        rows = "".join(f"{index}.png,{NAMES[label]}\n" for index, label in enumerate(LABELS))
        files[name] = f"file_name,label\n{rows}".encode()
    else:
        files |= {f"{index}.cls": NAMES[label].encode() for index, label in enumerate(LABELS)}
    (tmp_path / "in").mkdir()
    for file, data in files.items():
        (tmp_path / file).write_bytes(data)
        (tmp_path / "in" / file).symlink_to(tmp_path / file)
    source = str(tmp_path / "in")
    with pytest.raises(ConfigError, match=f"{name} .*leaves .* set ingest.follow_links: true"):
        take(tmp_path, source)
    assert take(tmp_path, source, follow_links=True).classes == NAMES
