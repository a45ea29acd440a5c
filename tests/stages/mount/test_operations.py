"""What a mount serves, asked for as the kernel does, without FUSE: compared with the export."""

import errno
import io
import json
import os
import resource
import shutil
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from in_process import cli
from made import make_corpus
from PIL import Image

from scoremix.manifests.errors import ConfigError, VerifyError
from scoremix.manifests.published.index import read_index
from scoremix.manifests.trainers.layout import Layout, Slice, read_layout
from scoremix.manifests.trainers.requirements import find_spec
from scoremix.stages.mount import contents
from scoremix.stages.mount.contents import ImageStore, open_listed_tars
from scoremix.stages.mount.mount import MountConfig
from scoremix.stages.mount.operations import FuseOperations
from scoremix.stages.mount.tree import build_tree

TWELVE = tuple(f"class {index}" for index in range(12))


def export(shards: Path, out: Path, *more: str) -> None:
    assert cli("export", shards, "--out", out, "--quiet", *more) == 0


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Corpora by name. Tests must not change them."""
    root = tmp_path_factory.mktemp("made")
    gray = {"images": 24, "side": 16, "channels": 1, "classes": TWELVE}
    return {
        "pets": make_corpus(root / "pets"),
        "gray": make_corpus(root / "gray", shard_size=10, **gray),  # type: ignore[arg-type]
        "soft": make_corpus(root / "soft", soft=True, images=9),
        "unclassed": make_corpus(root / "unclassed", classes=()),
    }


@pytest.fixture
def pets(made: dict[str, Path], tmp_path: Path) -> Path:
    """A copy, to be damaged."""
    return Path(shutil.copytree(made["pets"], tmp_path / "pets"))


@contextmanager
def files_of(shards: Path, **options: object) -> Iterator[FuseOperations]:
    config = MountConfig.model_validate({"to": "imagefolder"} | options)
    spec = find_spec(config.trainer, config.to)
    listing = read_layout(shards, config.layout(spec))
    tree = build_tree(listing.entries())
    with open_listed_tars(listing, tree.table.shards) as tars:
        yield FuseOperations(tree, ImageStore(tree.table, tars), lambda: None)


def served(files: FuseOperations, path: str = "/") -> dict[str, bytes]:
    """Every file below a folder as `walk` would find it, read in pieces of 100 bytes."""
    found = {}
    for name, attributes, _ in list(files.readdir(path, 0)):
        if name in (".", ".."):
            continue
        below = f"{path.rstrip('/')}/{name}"
        told = files.getattr(below)
        assert told["st_ino"] == attributes["st_ino"]
        assert stat.S_IFMT(told["st_mode"]) == stat.S_IFMT(attributes["st_mode"])
        if stat.S_ISDIR(told["st_mode"]):
            found |= served(files, below)
        else:
            data = b"".join(
                files.read(below, 100, start, 0) for start in range(0, told["st_size"], 100)
            )
            assert len(data) == told["st_size"]
            found[below[1:]] = data
    return found


def walk(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@contextmanager
def fails_with(code: int) -> Iterator[None]:
    with pytest.raises(OSError) as caught:
        yield
    assert caught.value.errno == code


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("pets", {"to": "imagefolder"}),
        ("pets", {"to": "stylegan"}),
        ("pets", {"to": "unpaired", "domains": ("dog", "cat")}),
        ("pets", {"trainer": "fastgan"}),
        ("pets", {"trainer": "stargan-v2", "ratio": 1}),
        ("pets", {"to": "stylegan", "real_only": True}),
        ("gray", {"to": "imagefolder"}),
        ("gray", {"to": "imagefolder", "rgb": True}),
        ("gray", {"trainer": "projected-gan"}),
        ("soft", {"to": "stylegan"}),
        ("soft", {"to": "imagefolder", "hard_labels": "argmax"}),
        ("unclassed", {"to": "stylegan"}),
        ("unclassed", {"to": "imagefolder"}),
    ],
    ids=str,
)
def test_the_tree_is_the_exports(
    name: str, options: dict[str, object], made: dict[str, Path], tmp_path: Path
) -> None:
    words = []
    for option, value in options.items():
        text = ",".join(value) if isinstance(value, tuple) else str(value)
        words += [f"--{option.replace('_', '-')}", *([] if value is True else [text])]
    export(made[name], tmp_path / "out", *words)
    with files_of(made[name], **({"to": None} | options)) as files:
        assert served(files) == walk(tmp_path / "out")


def test_inode_numbers_differ_and_stay(made: dict[str, Path]) -> None:
    def inodes() -> dict[str, int]:
        with files_of(made["gray"]) as files:
            found = {"/": files.getattr("/")["st_ino"]}
            folders = ["/"]
            while folders:
                above = folders.pop()
                for name, attributes, _ in files.readdir(above, 0):
                    if name == ".":
                        assert attributes["st_ino"] == found[above]
                    elif name == "..":
                        parent = above.rpartition("/")[0] or "/"
                        assert attributes["st_ino"] == found[parent]
                    else:
                        path = f"{above.rstrip('/')}/{name}"
                        found[path] = attributes["st_ino"]
                        folders += [path] if stat.S_ISDIR(attributes["st_mode"]) else []
            return found

    first = inodes()
    assert len(set(first.values())) == len(first) == 1 + 1 + 12 + 72
    assert first["/"] == 1 and inodes() == first


def test_modes_times_links_and_owner(made: dict[str, Path]) -> None:
    with files_of(made["pets"]) as files:
        root, folder = files.getattr("/"), files.getattr("/train")
        image = files.getattr("/train/0_cat/000_000000.png")
        assert stat.filemode(root["st_mode"]) == "dr-xr-xr-x"
        assert stat.filemode(image["st_mode"]) == "-r--r--r--"
        assert (root["st_nlink"], folder["st_nlink"], image["st_nlink"]) == (3, 4, 1)
        assert (image["st_uid"], image["st_gid"]) == (os.geteuid(), os.getegid())
        assert image["st_blocks"] == -(-image["st_size"] // 512)
        assert files.use_ns and not {"st_mtime", "st_ctime", "st_atime"} & image.keys()
        totals = files.statfs("/")
        assert totals["f_files"] == 18 and totals["f_blocks"] * 512 >= 18 * 100


def test_reads_at_odd_places(made: dict[str, Path]) -> None:
    path = "/train/0_cat/000_000000.png"
    with files_of(made["pets"]) as whole:
        data = whole.read(path, 1 << 20, 0, 0)
    for start, size in ((0, 0), (0, 1), (1, 7), (len(data) - 1, 9), (len(data), 5), (9**9, 5)):
        with files_of(made["pets"]) as fresh:  # the first read of an image is another way
            for _ in range(2):
                assert fresh.read(path, size, start, 0) == data[start : start + size]


def test_what_is_not_there_is_not_there(made: dict[str, Path]) -> None:
    with files_of(made["pets"]) as files:
        for path in (
            "/train/0_cat/000_000001.png",  # a dog
            "/train/0_cat/000_000000.pn",
            "/train/0_cat/000_000000.png0",
            "/train/0_cat/" + "9" * 300,
            "/train/0_cat/\udcff\udcfe.png",
            "/train/0_cat/ä.png",
            "/none/0_cat/000_000000.png",
            "/train/0_cat/000_000000.png/more",
            "/dataset.json",
        ):
            with fails_with(errno.ENOENT):
                files.getattr(path)
            with fails_with(errno.ENOENT):
                files.read(path, 10, 0, 0)
        with fails_with(errno.EISDIR):
            files.read("/train", 10, 0, 0)
        with fails_with(errno.ENOTDIR):
            list(files.readdir("/train/0_cat/000_000000.png", 0))
        # The kernel then stops asking, and serves what it has itself.
        with fails_with(errno.ENOSYS):
            files.open("/train/0_cat/000_000000.png", os.O_RDONLY)


def test_many_threads_read_the_same(made: dict[str, Path]) -> None:
    for options in ({}, {"rgb": True}):
        with files_of(made["gray"], **options) as files:
            expected = served(files)
        with files_of(made["gray"], **options) as files, ThreadPoolExecutor(8) as pool:
            assert all(found == expected for found in pool.map(served, [files] * 16))


def test_rgb_has_a_size_before_it_is_read_and_again_when_it_is_forgotten(
    made: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded = []
    original = contents.rgb_png
    monkeypatch.setattr(contents, "rgb_png", lambda png: encoded.append(1) or original(png))
    with files_of(made["gray"], rgb=True) as files:
        list(files.readdir("/train/00_class-0", 0))
        assert encoded == [], "names cost no encoding"
        path = "/train/00_class-0/000_000000.png"
        size = files.getattr(path)["st_size"]
        data = files.read(path, 1 << 20, 0, 0)
        assert len(data) == size and len(encoded) == 1
        assert Image.open(io.BytesIO(data)).mode == "RGB"
        monkeypatch.setattr(contents, "_ENCODED", 1)
        files.getattr("/train/00_class-0/000_000012.png")
        assert files.read(path, 1 << 20, 0, 0) == data and len(encoded) == 3
        assert files.getattr(path)["st_size"] == size and len(encoded) == 3


def test_closing_leaves_inside_an_operation(made: dict[str, Path]) -> None:
    with files_of(made["pets"]) as some:
        left = []
        files = FuseOperations(some._tree, some._images, lambda: left.append(1))
        files.statfs("/")
        assert left == []
        files.closing = True
        files.statfs("/")
        assert left == [1]
        assert not files.ready.is_set()
        files.init("/")
        assert files.ready.is_set()


# --- a corpus that is not what it was --------------------------------------------------------


def spoil(shards: Path) -> str:
    """Flips a bit of the first real image; returns its path in an imagefolder."""
    listing = read_layout(shards, Layout("imagefolder"))
    entry = next(entry for entry in listing.entries() if "000_000000" in entry.path)
    assert isinstance(entry.payload, Slice)
    with open(shards / f"{entry.payload.shard}.tar", "r+b") as tar:
        tar.seek(entry.payload.offset + entry.payload.size // 2)
        byte = tar.read(1)[0]
        tar.seek(-1, os.SEEK_CUR)
        tar.write(bytes([byte ^ 1]))
    return f"/{entry.path}"


def test_a_damaged_image_is_an_error_and_the_others_are_served(
    pets: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = spoil(pets)
    with files_of(pets) as files:
        for start in (0, 50):
            with fails_with(errno.EIO):
                files.read(path, 10, start, 0)
        assert "damaged" in caplog.text and f"verify {pets}" in caplog.text
        others = [f"/train/{side}" for side in ("0_cat", "1_dog")]
        names = [f"{folder}/{n}" for folder in others for n, _, _ in list(files.readdir(folder, 0))]
        rest = [name for name in names if name.endswith(".png") and name != path]
        assert len(rest) == 17 and all(files.read(name, 9, 0, 0) for name in rest)


@pytest.mark.parametrize("seen", [False, True])
def test_a_tar_that_is_written_to_is_noticed(
    seen: bool, pets: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = "/train/0_cat/000_000000.png"
    with files_of(pets) as files:
        if seen:
            assert files.read(path, 10, 0, 0)
        spoil(pets)
        os.utime(pets / "real-000000.tar", ns=(1, 1))  # a coarse clock may not have moved
        for _ in range(2):
            with fails_with(errno.EIO):
                files.read(path, 10, 0, 0)
        assert caplog.text.count("changed while it is mounted") == 1
        os.truncate(pets / "real-000000.tar", 600)
        with fails_with(errno.EIO):
            files.read(path, 10, 0, 0)


def test_a_tar_that_is_replaced_is_served_as_it_was(pets: Path, made: dict[str, Path]) -> None:
    with files_of(made["pets"]) as undisturbed:
        expected = served(undisturbed)
    with files_of(pets) as files:
        for tar in pets.glob("*.tar"):
            tar.with_suffix(".new").write_bytes(bytes(tar.stat().st_size))
            os.replace(tar.with_suffix(".new"), tar)
        assert served(files) == expected


@pytest.mark.parametrize("seen", [False, True])
def test_after_a_repair_the_mount_serves_again(
    seen: bool, pets: Path, made: dict[str, Path], caplog: pytest.LogCaptureFixture
) -> None:
    """The damaged tar stays open; repair puts another file in its place."""
    path, tar = "/train/0_cat/000_000000.png", pets / "real-000000.tar"
    whole = tar.read_bytes()
    with files_of(made["pets"]) as undisturbed:
        expected = served(undisturbed)
    with files_of(pets) as files:
        if seen:
            assert files.read(path, 10, 0, 0)
        assert spoil(pets) == path
        os.utime(tar, ns=(1, 1))
        with fails_with(errno.EIO):
            files.read(path, 10, 0, 0)
        assert "until it is repaired" in caplog.text
        before = len(os.listdir("/proc/self/fd"))
        for data in (whole[:-512], tar.read_bytes()):  # other files, as damaged as this one
            (pets / "new").write_bytes(data)
            os.replace(pets / "new", tar)
            with fails_with(errno.EIO):
                files.read(path, 10_000, 0, 0)
        (pets / "new").write_bytes(whole)
        os.replace(pets / "new", tar)
        assert served(files) == expected
        assert len(os.listdir("/proc/self/fd")) <= before + 2
    assert len(os.listdir("/proc/self/fd")) < before


def test_a_corpus_that_changes_while_it_is_opened_is_refused(pets: Path) -> None:
    listing = read_layout(pets, Layout("imagefolder"))
    tree = build_tree(listing.entries())
    index = read_index(pets)
    (pets / "index.json").write_text(json.dumps(index | {"index_digest": "another"}))
    with (
        pytest.raises(VerifyError, match="published again"),
        open_listed_tars(listing, tree.table.shards),
    ):
        raise AssertionError("opened")
    (pets / "index.json").write_text(json.dumps(index))
    os.truncate(pets / "real-000001.tar", 512)
    with (
        pytest.raises(VerifyError, match="512 bytes"),
        open_listed_tars(listing, tree.table.shards),
    ):
        raise AssertionError("opened")
    (pets / "real-000001.tar").unlink()
    before = len(os.listdir("/proc/self/fd"))
    with (
        pytest.raises(VerifyError, match="cannot be opened"),
        open_listed_tars(listing, tree.table.shards),
    ):
        raise AssertionError("opened")
    assert len(os.listdir("/proc/self/fd")) == before, "nothing stays open"


def test_an_unfinished_or_damaged_corpus_is_refused(pets: Path) -> None:
    with open(pets / "manifest.parquet", "ab") as file:
        file.write(b"more")
    with pytest.raises(VerifyError, match="verify"), files_of(pets):
        raise AssertionError("opened")
    (pets / "SHA256SUMS").unlink()
    with pytest.raises(ConfigError, match="no published corpus"), files_of(pets):
        raise AssertionError("opened")


def test_more_tars_than_the_system_lets_open(
    made: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr(resource, "getrlimit", lambda which: (60, 4096))
    monkeypatch.setattr(resource, "setrlimit", lambda which, limits: asked.append(limits))
    with files_of(made["pets"]) as files:
        tars = len(files._tree.table.shards)
    assert asked == [(tars + 64, 4096)]
    monkeypatch.setattr(resource, "getrlimit", lambda which: (60, 60))
    with pytest.raises(ConfigError, match="ulimit"), files_of(made["pets"]):
        raise AssertionError("opened")
