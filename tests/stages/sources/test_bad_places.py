"""What lies in folders and zips beside files, and files that change while they are read."""

import contextlib
import hashlib
import io
import os
import socket
import stat
import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from odd_files import SIDE, noise
from raw_files import flipped, png

from scoremix.manifests.errors import ConfigError, InputError
from scoremix.stages.common.progress import Advance, Silent, ignore_progress
from scoremix.stages.corpus.store import Corpus
from scoremix.stages.ingest.ingest import IngestConfig, ingest

GOOD = {f"good{seed}.png": png(noise(seed, 3)) for seed in range(8)}


class Meddler(Silent):
    """Does something once everything is listed, before anything is decoded."""

    def __init__(self, meddle: Callable[[], None]) -> None:
        self.meddle = meddle

    @contextlib.contextmanager
    def task(self, name: str, total: int, unit: str) -> Iterator[Advance]:
        self.meddle()
        yield ignore_progress


def take(source: Path, out: Path, meddle: Callable[[], None] = lambda: None) -> Corpus:
    config = IngestConfig(
        source=str(source), resolution=SIDE, holdout=0, colour="rgb", max_bad={"fraction": 0.9}
    )
    return ingest(config, out, seed=0, progress=Meddler(meddle), workers=2)


def rows(corpus: Corpus) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in corpus.sources.to_pylist()}


def reasons(corpus: Corpus) -> dict[str, str]:
    return {name: row["reason"] for name, row in rows(corpus).items() if row["reason"]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "in"
    root.mkdir()
    for name, data in GOOD.items():
        (root / name).write_bytes(data)
    return root


# --- folders


def test_links_are_followed_only_to_files_inside(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "outside.png").write_bytes(png(noise(50, 3)))
    (folder / "sub").mkdir()
    for name, target in {
        "self.png": "self.png",
        "there.png": "back.png",
        "back.png": "there.png",
        "nowhere.png": "missing.png",
        "up.png": "..",
        "loop": ".",
        "sub/loop": "..",
        "out.png": "../outside.png",
        "absolute.png": "/etc/hostname",
    }.items():
        (folder / name).symlink_to(target)
    corpus = take(folder, tmp_path / "corpus")
    nothing, leaves = "symbolic link to no regular file", "symbolic link that leaves the source's"
    assert reasons(corpus) == {
        "self.png": nothing,
        "there.png": nothing,
        "back.png": nothing,
        "nowhere.png": nothing,
        "up.png": f"{leaves} folder",
        "loop": "symbolic link to a folder",
        "sub/loop": "symbolic link to a folder",
        "out.png": f"{leaves} folder",
        "absolute.png": f"{leaves} folder",
    }
    assert len(corpus.images) == len(GOOD)


def test_what_is_no_regular_file_is_never_opened(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(folder / "pipe.png")
    monkeypatch.chdir(folder)  # the path of a socket may have 107 bytes
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket.png")
        (folder / "folder.png").mkdir()
        (folder / "folder.png" / "README").write_text("no image")
        corpus = take(folder, tmp_path / "corpus")
    assert reasons(corpus) == {
        "pipe.png": "not a regular file",
        "socket.png": "not a regular file",
        "folder.png/README": "not an image",
    }


def test_a_device_is_never_opened(folder: Path, tmp_path: Path) -> None:
    try:
        os.mknod(folder / "zero.png", stat.S_IFCHR | 0o666, os.makedev(1, 5))
    except OSError as error:
        pytest.skip(f"no device can be made here: {error.strerror}")
    assert reasons(take(folder, tmp_path / "corpus")) == {"zero.png": "not a regular file"}


def test_what_may_not_be_read_has_a_row(folder: Path, tmp_path: Path) -> None:
    (folder / "good0.png").chmod(0)
    (folder / "closed").mkdir(mode=0)
    if os.access(folder / "good0.png", os.R_OK):
        pytest.skip("this user reads everything, as root does")
    assert reasons(take(folder, tmp_path / "corpus")) == {
        "good0.png": "PermissionError: Permission denied",
        "closed": "folder not readable: Permission denied",
    }


# --- files that change


def test_a_file_that_vanishes_is_a_bad_one(folder: Path, tmp_path: Path) -> None:
    corpus = take(folder, tmp_path / "corpus", (folder / "good3.png").unlink)
    assert reasons(corpus) == {"good3.png": "FileNotFoundError: No such file or directory"}


def test_a_file_that_becomes_a_pipe_does_not_hang(folder: Path, tmp_path: Path) -> None:
    def swap() -> None:
        (folder / "good3.png").unlink()
        os.mkfifo(folder / "good3.png")

    assert reasons(take(folder, tmp_path / "corpus", swap)) == {"good3.png": "not a regular file"}


def test_a_file_that_is_replaced_counts_as_what_was_read(folder: Path, tmp_path: Path) -> None:
    other = png(noise(60, 3))
    corpus = take(folder, tmp_path / "corpus", lambda: _replace(folder / "good3.png", other))
    row = rows(corpus)["good3.png"]
    assert (row["sha256"], row["status"]) == (hashlib.sha256(other).hexdigest(), "train")
    assert (corpus.images[row["row"]] == noise(60, 3)).all()


def test_a_file_that_is_cut_meanwhile_is_a_bad_one(folder: Path, tmp_path: Path) -> None:
    path = folder / "good3.png"
    corpus = take(folder, tmp_path / "corpus", lambda: os.truncate(path, 300))
    assert rows(corpus)["good3.png"]["bytes"] == 300
    assert "truncated" in reasons(corpus)["good3.png"]


def _replace(path: Path, data: bytes) -> None:
    path.with_suffix(".new").write_bytes(data)
    path.with_suffix(".new").rename(path)


# --- zips


def in_zip(data: bytes, name: str, local: int, central: int, patch: bytes) -> bytes:
    """`patch` at these places of both of a member's headers (PKWARE's APPNOTE 4.3.7, 4.3.12)."""
    key = name.encode()
    for place in (data.index(key) - 30 + local, data.rindex(key) - 46 + central):
        data = data[:place] + patch + data[place + len(patch) :]
    return data


def hostile_zip() -> bytes:
    buffer = io.BytesIO()
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        inside = zipfile.ZipInfo("inside.png")  # of a fixed date: its bytes are quoted
        archive.writestr(inside, png(noise(70, 3)))
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in GOOD.items():
            archive.writestr(name, data)
        for name in ("secret.png", "method.png", "huge.png", "renamed.png"):
            archive.writestr(name, png(noise(71, 3)))
        archive.writestr("checksum.png", png(noise(72, 3)), zipfile.ZIP_STORED)
        archive.writestr("lies.png", bytes(20 << 20))
        archive.writestr("inner.zip", inner.getvalue())
        archive.writestr("inner.png", inner.getvalue())
        archive.writestr("/absolute.png", png(noise(73, 3)))
        archive.writestr("a/../../up.png", png(noise(74, 3)))
        archive.writestr("folder.png/", b"")
        link = zipfile.ZipInfo("link.png")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "good0.png")
    data = in_zip(buffer.getvalue(), "secret.png", 6, 8, b"\1\0")
    data = in_zip(data, "method.png", 8, 10, b"\x63\0")
    data = in_zip(data, "huge.png", 22, 24, struct.pack("<I", 300 << 20))
    data = in_zip(data, "lies.png", 22, 24, struct.pack("<I", 100))
    data = data.replace(b"renamed.png", b"another.png", 1)  # in the member's own header alone
    return flipped(data, data.index(b"checksum.png") + 300)


def test_a_hostile_zip(tmp_path: Path) -> None:
    path = tmp_path / "in.zip"
    path.write_bytes(hostile_zip())
    corpus = take(path, tmp_path / "corpus")
    found = reasons(corpus)
    assert "encrypted" in found.pop("secret.png")
    assert found.pop("a/../../up.png") in ("hidden file", "name that leaves the archive")
    assert found.pop("inner.png").startswith("not an image in a known format; it begins with b'PK")
    assert found == {
        "method.png": "NotImplementedError: That compression method is not supported",
        "huge.png": "larger than 256 MiB",
        "renamed.png": "BadZipFile: File name in directory 'renamed.png' and header"
        " b'another.png' differ.",
        "checksum.png": "BadZipFile: Bad CRC-32 for file 'checksum.png'",
        "lies.png": "BadZipFile: Bad CRC-32 for file 'lies.png'",
        "inner.zip": "not an image",
        "/absolute.png": "name that leaves the archive",
        "link.png": "symbolic link in an archive",
    }
    assert sorted(os.listdir(tmp_path)) == ["corpus", "in.zip"], "nothing is extracted"
    assert len(corpus.images) == len(GOOD)
    assert all((corpus.images[seed] == noise(seed, 3)).all() for seed in range(len(GOOD)))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_of_members_of_one_name_the_last_is_an_image(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "in.zip", "w") as archive:
        archive.writestr("other.png", png(noise(0, 3)))
        for seed in (1, 2, 3):
            archive.writestr("same.png", png(noise(seed, 3)))
    corpus = take(tmp_path / "in.zip", tmp_path / "corpus")
    assert corpus.sources["name"].to_pylist() == ["other.png", *["same.png"] * 3]
    assert np.array_equal(corpus.images, [noise(seed, 3) for seed in (0, 3)])


def test_names_in_a_zip(tmp_path: Path) -> None:
    names = ["käse.png", "new\nline.png", " .png", "x" * 300 + ".png", "猫/😺.png", "CASE.png"]
    with zipfile.ZipFile(tmp_path / "in.zip", "w") as archive:
        for seed, name in enumerate(names):
            archive.writestr(f"all/{name}", png(noise(seed, 3)))
        archive.writestr("all/caf\x82.png", png(noise(9, 3)))
    corpus = take(tmp_path / "in.zip", tmp_path / "corpus")
    found = rows(corpus)
    assert not reasons(corpus) and len(found) == len(names) + 1
    for seed, name in enumerate(names):
        assert (corpus.images[found[f"all/{name}"]["row"]] == noise(seed, 3)).all()


def test_a_zip_cut_anywhere_is_refused_or_says_which_member_is_bad(tmp_path: Path) -> None:
    whole = hostile_zip()
    for part in (0.2, 0.9, 0.999):
        (tmp_path / "in.zip").write_bytes(whole[: int(len(whole) * part)])
        with pytest.raises(Exception, match="could not be opened") as caught:
            take(tmp_path / "in.zip", tmp_path / "corpus")
        assert getattr(caught.value, "exit_code", None) == 4


@pytest.mark.parametrize("name", ["a.tar", "a.parquet", "a.arrow", "a.hdf5", "a.zip", "data.mdb"])
@pytest.mark.parametrize("inside", [True, False])
def test_a_pipe_in_the_place_of_an_archive_does_not_hang(
    tmp_path: Path, name: str, inside: bool
) -> None:
    root = tmp_path / "in"
    root.mkdir()
    os.mkfifo(root / name)
    in_folder = inside or name == "data.mdb"
    config = IngestConfig(source=str(root if in_folder else root / name), resolution=8)
    wanted: tuple[type[Exception], ...] = (ConfigError, InputError)
    with pytest.raises(wanted, match="not a regular file|no images"):
        ingest(config, tmp_path / "corpus", seed=0, progress=Silent(), workers=1)
