"""A broken corpus for every rule of check about images and labels (target stylegan)."""

import os
import zipfile
from pathlib import Path

import pytest
from broken import (
    CUT_PNG,
    PLANES_TIFF,
    PNG,
    WIDE_PNG,
    Case,
    animated,
    encoded,
    folder,
    labelled,
    labels,
    numbered,
    only,
    picture,
    png,
    then,
    turned,
    write,
    zipped,
)


def link(name: str, target: str) -> object:
    return lambda root: os.symlink(target, root / name)


def linked_folder(root: Path) -> None:
    write(root.parent / "elsewhere", {"9.png": PNG})
    os.symlink(root.parent / "elsewhere", root / "more")


def corrupt_member(path: Path) -> None:
    """Changes stored bytes, so that the member's CRC is wrong."""
    data = path.read_bytes()
    path.write_bytes(data.replace(PNG[40:60], bytes(20), 1))


def encrypted_member(path: Path) -> None:
    """Sets the encryption bit in the first local header and in the directory."""
    data = bytearray(path.read_bytes())
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(bytes(data))


def cut_in_half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def add_again(path: Path) -> None:
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("000.png", PNG)


TWO = [("000.png", PNG), ("001.png", PNG)]
S = "stylegan"
ANY = [
    Case("no-images", S, only({"README.md": b"# cats"}), "."),
    Case("no-images", S, only({"index.json": b"{}", "real-000000.tar": b"x"}), "."),
    Case("no-images", S, zipped([("notes.txt", b"")]), "."),
    Case("wrong-kind", "hdf5", folder(), "", "a folder; hdf5 reads an HDF5 file"),
    Case("wrong-kind", "cut", zipped(TWO), "corpus.zip", "trainA"),
    Case("unreadable", S, then(folder(), link("z.png", "gone.png")), "z.png", "link"),
    Case("unreadable", S, then(folder(), lambda root: os.mkfifo(root / "z.png")), "z.png", "pipe"),
    Case("unreadable", S, then(zipped(TWO), corrupt_member), "000.png", "CRC"),
    Case("unreadable", S, then(zipped(TWO), encrypted_member), "000.png", "encrypted"),
    Case("empty-file", S, folder(z__png=b""), "z.png", "0 bytes"),
    Case("not-an-image", S, folder(report__pdf=b"%PDF-1.7 "), "report.pdf", "%PDF"),
    Case("not-an-image", S, folder(features__h5=b"\x89HDF\r\n"), "features.h5"),
    Case("not-an-image", S, zipped([*TWO, ("__MACOSX/._000.png", b"\0\5")]), "__MACOSX/._000.png"),
    Case("damaged-image", S, folder(z__png=CUT_PNG), "z.png"),
    Case("damaged-image", S, folder(z__jpg=encoded(form="JPEG")[:-300]), "z.jpg", "runcated"),
    Case("damaged-image", S, zipped([*TWO, ("z.png", CUT_PNG)]), "z.png"),
    Case("too-large", S, folder(z__png=encoded(picture(1).resize((20_000, 6_000)))), "z.png"),
    Case("sixteen-bit", S, folder(z__png=WIDE_PNG), "z.png", "I;16"),
    Case("sixteen-bit", "dcgan", only({"a/0.png": WIDE_PNG, "b/0.png": PNG}), "a/0.png"),
    Case("sixteen-bit-planes", S, folder(z__tif=PLANES_TIFF), "z.tif", "TIFF"),
    Case("sixteen-bit-planes", "dcgan", only({"a/0.png": PNG, "b/0.tif": PLANES_TIFF}), "b/0.tif"),
    Case("exif-orientation", S, folder(z__jpg=turned()), "z.jpg"),
    Case("several-frames", S, folder(z__png=animated()), "z.png"),
    Case("odd-name", S, only({"a\\b.png": PNG, "c.png": PNG}), "a\\b.png"),
    Case("odd-name", S, only({"caf\u00e9.png": PNG, "c.png": PNG}), "caf\u00e9.png"),
    Case("odd-name", S, only({"a\x1b[2J.png": PNG, "c.png": PNG}), "a\\x1b[2J.png"),
    Case("odd-name", S, only({os.fsdecode(b"a\xff.png"): PNG, "c.png": PNG}), "a\\udcff.png"),
]


IMAGES = [
    Case("zip-name", S, zipped(TWO, "corpus.dat"), "corpus.dat"),
    Case("damaged-zip", S, then(zipped(TWO), cut_in_half), "corpus.zip", "zip"),
    Case("duplicate-members", S, then(zipped(TWO), add_again), "000.png"),
    Case("mixed-sizes", S, folder(z__png=png(32)), "z.png", "32x32; 3 of 4 are 16x16"),
    Case("mixed-modes", S, folder(z__png=png(mode="L")), "z.png", "L; 3 of 4 are RGB"),
    Case("mode", S, folder(z__png=png(mode="RGBA")), "z.png", "mode RGBA"),
    Case("mode", S, folder(z__png=png(mode="LA")), "z.png", "mode LA"),
    Case("mode", S, folder(z__png=png(mode="P")), "z.png", "mode P"),
    Case("mode", S, folder(z__png=png(mode="1")), "z.png", "mode 1"),
    Case("mode", S, folder(z__jpg=encoded(picture(mode="CMYK"), "JPEG")), "z.jpg", "mode CMYK"),
    Case("mode", "stylegan2-pytorch", only({"a/0.png": png(mode="P")}), "a/0.png", "mode P"),
    Case("needs-rgb", "stylegan-xl", only({"0.png": png(mode="L")}), "0.png"),
    Case("not-square", S, only({"0.png": png(32, 16)}), "0.png", "32x16"),
    Case("not-power-of-two", S, only({"0.png": png(48)}), "0.png", "48x48"),
    Case("not-power-of-two", "stylegan3", zipped([("0.png", png(100))]), "0.png", "100x100"),
    Case("side-multiple", "edm", only({"0.png": png(30)}), "0.png", "30x30"),
    Case("odd-side", "edm", only({"0.png": png(48)}), "0.png"),
    Case("too-small", S, only({"0.png": png(2)}), "0.png", "2x2"),
    Case("not-png-inside", S, folder(z__png=encoded(form="JPEG")), "z.png", "JPEG"),
    Case("linked-folder", S, then(folder(), linked_folder), "more"),
    Case("ending-ignored", S, folder(z__heic=b"\0\0\0\x18ftypheic"), "z.heic", ".heic"),
    Case("label-no-caption", "stylegan-t", labelled(numbered("cat", 1, "dog", 0)), "001.png", "1"),
    Case(
        "hidden-images",
        S,
        folder()
        and only({"0.png": PNG, ".ipynb_checkpoints/0.png": PNG, "dataset.json": labels(None)}),
        ".ipynb_checkpoints/0.png",
    ),
]


FOUR = numbered(0, 1, 0, 1)
LABELS = [
    Case(
        "unreadable",
        S,
        then(folder(), lambda root: os.mkfifo(root / "dataset.json")),
        "dataset.json",
        "pipe",
    ),
    Case(
        "labels-in-subfolder", S, folder(**{"sub/dataset__json": labels(FOUR)}), "sub/dataset.json"
    ),
    Case("labels-misnamed", S, folder(Dataset__json=labels(FOUR)), "Dataset.json"),
    Case("labels-misnamed", S, folder(labels__json=labels(FOUR)), "labels.json"),
    Case("folders-are-no-labels", S, only({"cat/0.png": PNG, "dog/0.png": PNG}), "cat"),
    Case("labels-unreadable", S, folder(dataset__json=b"{"), "dataset.json", "JSONDecodeError"),
    Case("labels-unreadable", S, folder(dataset__json=b'{"label": []}'), "dataset.json", "label"),
    Case("labels-unreadable", S, labelled(["000.png"]), "dataset.json", "entry 0"),
    Case("labels-unreadable", S, folder(dataset__json=b"[" * 200_000), "dataset.json"),
    Case("label-missing", S, labelled(FOUR[:3]), "003.png"),
    Case(
        "label-missing",
        S,
        labelled([*FOUR[:3], ["003.PNG", 1]]),
        "003.png",
        also=("label-dangling",),
    ),
    Case(
        "label-backslash",
        S,
        only(
            {
                "a/0.png": PNG,
                "a/1.png": PNG,
                "dataset.json": labels([["a\\0.png", 0], ["a/1.png", 1]]),
            }
        ),
        "dataset.json: a\\0.png",
        also=("label-missing", "label-gaps"),
    ),
    Case("label-dangling", S, labelled([*FOUR, ["gone.png", 1]]), "dataset.json: gone.png"),
    Case("label-twice", S, labelled([*FOUR, ["000.png", 1]]), "dataset.json: 000.png", "0 and 1"),
    Case("label-scalar-float", S, labelled(numbered(0, 1, 0, 0.7)), "003.png", "0.7"),
    Case("label-scalar-float", S, labelled(numbered(0.0, 1.0, 0.0, 1.0)), "000.png"),
    Case("label-type", S, labelled(numbered(0, 1, 0, "cat")), "003.png", "cat"),
    Case("label-type", S, labelled(numbered(0, 1, 0, True)), "003.png", "True"),
    Case("label-type", S, labelled(numbered(0, 1, 0, None)), "003.png", "None"),
    Case("label-type", S, labelled(numbered(0, 1, 0, [])), "003.png"),
    Case("label-type", S, labelled(numbered(0, 1, 0, [[1, 0]])), "003.png"),
    Case("label-kinds-mixed", S, labelled(numbered(0, 1, 0, [0.5, 0.5])), "003.png"),
    Case("label-lengths", S, labelled(numbered([1, 0], [0, 1], [1, 0], [1])), "003.png", "1 num"),
    Case("label-negative", S, labelled(numbered(0, 1, 0, -1)), "003.png", "-1"),
    Case(
        "label-not-finite",
        S,
        labelled(numbered([1, 0], [0, 1], [1, 0], [float("nan"), 1])),
        "003.png",
    ),
    Case("label-gaps", S, labelled(numbered(0, 1, 0, 3)), "dataset.json", "2 is not"),
    Case("label-gaps", S, labelled(numbered(1, 2, 1, 10**12)), "dataset.json", "0 is not"),
    Case("one-class", S, labelled(numbered(0, 0, 0, 0)), "dataset.json"),
]


CASES = [*ANY, *IMAGES, *LABELS]
