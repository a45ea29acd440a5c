"""A broken corpus for every rule of check about folders, unpaired sides, HDF5 and LMDB."""

import os
from pathlib import Path

import h5py
import numpy as np
from broken import (
    CUT_PNG,
    PNG,
    WIDE_PNG,
    Case,
    batch,
    classes,
    database,
    encoded,
    hdf5,
    only,
    png,
    sides,
    splits,
    then,
    tree,
    write,
)

F = "imagefolder"
STAR = "stargan-v2"
WEBP = encoded(form="WEBP")
LARGER = png(32)  # LeCam has no network below


def star(extra: dict[str, bytes]) -> object:
    return splits("train", "val", extra)


def many(count: int) -> object:
    return lambda root: write(root, {f"{index:04d}/0.png": LARGER for index in range(count)})


FOLDERS = [
    Case("split-missing", STAR, tree(), "train/", "there are: cat, dog", also=("no-images",)),
    Case("split-missing", STAR, only(classes(prefix="train/")), "val/", "there are: train"),
    Case("split-missing", "studiogan", splits("train", "val"), "valid/"),
    Case("split-missing", "biggan", tree(), "ImageNet/", also=("no-images",)),
    Case("no-classes", F, only({"0.png": PNG, "1.png": PNG}), ".", also=("no-images",)),
    Case("no-classes", "dcgan", only({"train/0.png": PNG}), "train", also=("no-images",)),
    Case("empty-folder", F, tree({"fox/": b""}), "fox", "files inside: 0"),
    Case("empty-folder", F, tree({"fox/notes.txt": b"x"}), "fox", "files inside: 1"),
    Case("hidden-folder", F, tree({".ipynb_checkpoints/": b""}), ".ipynb_checkpoints"),
    Case("hidden-folder", STAR, star({"train/.git/0.png": PNG, "val/.git/0.png": PNG}),
         "train/.git"),
    Case("hidden-images", F, tree({"cat/.ipynb_checkpoints/0.png": PNG}),
         "cat/.ipynb_checkpoints/0.png"),
    Case("file-at-class-root", STAR, star({"train/dataset.json": b"{}"}), "train/dataset.json"),
    Case("file-at-class-root", STAR, star({"val/.DS_Store": b"\0"}), "val/.DS_Store"),
    Case("image-at-class-root", F, tree({"0.png": PNG}), "0.png"),
    Case("stray-file", F, tree({"dataset.json": b"{}"}), "dataset.json"),
    Case("ending-ignored", STAR, star({"train/cat/x.webp": WEBP}), "train/cat/x.webp"),
    Case("ending-ignored", STAR, star({"train/cat/x.PNG": PNG}), "train/cat/x.PNG", "PNG"),
    Case("ending-ignored", "lecam", tree({"cat/x.tiff": encoded(form="TIFF")}, data=LARGER),
         "cat/x.tiff"),
    Case("ending-ignored", F, tree({"cat/x.heic": b"\0\0\0\x18ftypheic"}), "cat/x.heic"),
    Case("unpadded-classes", F, tree(names=("2", "10")), "10", "'10' stands where '2' would"),
    Case("unpadded-classes", F, tree(names=("c1", "c2", "c10")), "c10"),
    Case("case-collision", F, tree(names=("Cat", "cat")), "cat", "and Cat"),
    Case("split-classes", STAR, star({"val/fox/0.png": PNG}), "val", "fox"),
    Case("too-many-classes", "lecam", many(1001), ".", "1,001"),
    Case("too-few-images", STAR,
         only(classes(prefix="train/", count=3) | classes(prefix="val/")), "train", "6 images"),
    Case("images-too-deep", "fastgan", only({"0.png": PNG, "more/1.png": PNG}), "more/1.png"),
    Case("alpha-dropped", F, tree({"cat/x.png": png(mode="RGBA")}), "cat/x.png"),
    Case("alpha-dropped", "stylegan2-pytorch", only({"0.png": png(mode="RGBA")}), "0.png"),
    Case("sizes-vary", F, tree({"cat/x.png": png(32)}), "cat/x.png", "32x32"),
    Case("not-square-resized", F, tree({"cat/x.png": png(16, 20)}), "cat/x.png", "16x20",
         also=("sizes-vary",)),
    Case("side-unknown", "diffaugment-biggan", tree(), "cat/00.png", "32, 64, 128, 256"),
    Case("mixed-sizes", "lecam", tree({"cat/x.png": png(64)}, data=LARGER), "cat/x.png", "64x64"),
    Case("not-square", "lecam", tree({"cat/x.png": png(32, 64)}, data=LARGER), "cat/x.png",
         "32x64", also=("mixed-sizes",)),
    Case("one-class", F, tree(names=("cat",)), "cat"),
    Case("damaged-image", "dcgan", tree({"dog/x.png": CUT_PNG}), "dog/x.png"),
    Case("not-an-image", F, tree({"cat/._x.png": b"\0\5\x16\7"}), "cat/._x.png"),
    Case("sixteen-bit", "stylegan2-pytorch", only({"0.png": WIDE_PNG}), "0.png"),
    Case("mode", "stylegan2-pytorch", only({"0.png": png(mode="LA")}), "0.png", "mode LA"),
    Case("odd-name", F, tree(names=("cat", "ch\u00e8vre")), "ch\u00e8vre/00.png"),
]  # fmt: skip


UNPAIRED = [
    Case("split-missing", "cut", only(classes(("trainA", "testA", "testB"))), "trainB/"),
    Case(
        "side-empty",
        "cut",
        only(classes(("trainB", "testA", "testB")) | {"trainA/x.txt": b""}),
        "trainA/",
    ),
    Case("ending-ignored", "unpaired", sides(extra={"trainA/x.webp": WEBP}), "trainA/x.webp"),
    Case("ending-ignored", "cut", sides(extra={"trainB/x.Png": PNG}), "trainB/x.Png"),
    Case("one-image-a-side", "sincut", sides(2), "trainA/0.png", "2 images in trainA/"),
    Case(
        "side-unknown",
        "sincut",
        then(
            sides(2),
            lambda root: write(
                root, {f"train{side}/{index}.png": png(12) for side in "AB" for index in range(2)}
            ),
        ),
        "trainA/0.png",
        "8, 16",
        also=("one-image-a-side",),
    ),
    Case("no-test-folders", "cut", only(classes(("trainA", "trainB"))), "testA/"),
    Case("sixteen-bit", "cut", sides(extra={"trainA/x.png": WIDE_PNG}), "trainA/x.png"),
    Case("damaged-image", "fastcut", sides(extra={"trainB/x.png": CUT_PNG}), "trainB/x.png"),
    Case("hidden-images", "cut", sides(extra={"trainA/.old/x.png": PNG}), "trainA/.old/x.png"),
    Case("alpha-dropped", "cut", sides(extra={"trainA/x.png": png(mode="RGBA")}), "trainA/x.png"),
]


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-4000])


def external(path: Path) -> None:
    with h5py.File(path, "a") as file:
        file["imgs"] = h5py.ExternalLink("secret.hdf5", "/imgs")


def stored_outside(path: Path) -> None:
    with h5py.File(path, "a") as file:
        outside = [(str(path.parent / "secret.bin"), 0, 6 * 3 * 32 * 32)]
        file.create_dataset("imgs", (6, 3, 32, 32), np.uint8, external=outside)


def sparse(path: Path) -> None:
    """1.2 GB an image by its shape, and no bytes on disk."""
    with h5py.File(path, "a") as file:
        file.create_dataset("imgs", (6, 3, 20_000, 20_000), np.uint8, chunks=(1, 3, 64, 64))


def elsewhere(path: Path) -> Path:
    return path.rename(path.with_name("corpus"))


def group(path: Path) -> None:
    with h5py.File(path, "a") as file:
        file.create_group("imgs")


H = "hdf5"


HDF5 = [
    Case("hdf5-damaged", H, then(hdf5(), cut), "ILSVRC32.hdf5", "truncated"),
    Case("hdf5-damaged", H, then(hdf5(), lambda path: path.write_bytes(b"no")), "ILSVRC32.hdf5"),
    Case("hdf5-external", H, then(hdf5(imgs=False), external), "ILSVRC32.hdf5: imgs"),
    Case("hdf5-external", H, then(hdf5(imgs=False), stored_outside), "ILSVRC32.hdf5: imgs"),
    Case("hdf5-key-missing", H, hdf5(imgs=False, data=batch()), "ILSVRC32.hdf5: imgs", "data"),
    Case("hdf5-key-missing", H, hdf5(targets=False), "ILSVRC32.hdf5: labels", "imgs"),
    Case("hdf5-key-missing", H, then(hdf5(imgs=False), group), "ILSVRC32.hdf5: imgs", "group"),
    Case("hdf5-imgs-type", H, hdf5(batch() / 255.0), "ILSVRC32.hdf5: imgs", "float64"),
    Case("hdf5-imgs-shape", H, hdf5(batch()[:, :1]), "ILSVRC32.hdf5: imgs", "(6, 1, 32, 32)"),
    Case("hdf5-imgs-shape", H, hdf5(batch()[:, 0]), "ILSVRC32.hdf5: imgs", "(6, 32, 32)"),
    Case("hdf5-axes", "biggan", hdf5(batch(axes="NHWC")), "ILSVRC32.hdf5: imgs", "is NHWC"),
    Case("hdf5-axes", "studiogan", hdf5(name="digits_32_wo_resize_train.hdf5"),
         "digits_32_wo_resize_train.hdf5: imgs", "is NCHW"),
    Case("hdf5-file-name", "biggan", hdf5(name="mine.hdf5"), "mine.hdf5", "ILSVRC32.hdf5"),
    Case("hdf5-file-name", "lecam", hdf5(name="ILSVRC64.hdf5"), "ILSVRC64.hdf5", "ILSVRC32"),
    Case("hdf5-file-name", "studiogan", hdf5(batch(axes="NHWC"), name="digits_64_train.hdf5"),
         "digits_64_train.hdf5", "NAME_32_wo_resize_train.hdf5"),
    Case("hdf5-label-type", H, hdf5(targets=np.arange(6.0)), "ILSVRC32.hdf5: labels", "float64"),
    Case("hdf5-label-type", H, hdf5(targets=["a"] * 6), "ILSVRC32.hdf5: labels", "object"),
    Case("hdf5-soft-labels", H, hdf5(targets=np.ones((6, 3)) / 3), "ILSVRC32.hdf5: labels",
         "(6, 3)"),
    Case("hdf5-label-count", H, hdf5(targets=np.array([0, 1])), "ILSVRC32.hdf5: labels"),
    Case("label-negative", H, hdf5(targets=np.array([0, 1, 2, 0, 1, -1])),
         "ILSVRC32.hdf5: labels[5]", "-1", also=("hdf5-label-gaps",)),
    Case("label-not-finite", H, hdf5(targets=np.array([0, 1, 2, 0, 1, np.nan])),
         "ILSVRC32.hdf5: labels[5]", "nan"),
    Case("hdf5-label-range", "biggan", hdf5(targets=np.array([0, 1, 2, 0, 1, 1000])),
         "ILSVRC32.hdf5: labels[5]", "1000"),
    Case("hdf5-label-gaps", H, hdf5(targets=np.array([0, 2] * 3)), "ILSVRC32.hdf5: labels"),
    Case("one-class", H, hdf5(targets=np.zeros(6, int)), "ILSVRC32.hdf5: labels"),
    Case("hdf5-blank", H, hdf5(np.concatenate([batch(5), np.zeros((1, 3, 32, 32), np.uint8)])),
         "ILSVRC32.hdf5: imgs[5]"),
    Case("side-unknown", "biggan", hdf5(batch(side=16), name="ILSVRC16.hdf5"),
         "ILSVRC16.hdf5: imgs", "32, 64, 128, 256"),
    Case("no-full-batch", "biggan", hdf5(batch(1), np.array([0])), ".", "none fits",
         also=("one-class",)),
    Case("small-batch", "sincut", sides(12), ".", "12 fits", also=("one-image-a-side",)),
    Case("small-batch", "rosinality", database(), ".", "4 images, and a full batch of 16 needed"),
    Case("side-not-advised", "studiogan",
         hdf5(batch(side=48, axes="NHWC"), name="d_48_wo_resize_train.hdf5"),
         "d_48_wo_resize_train.hdf5: imgs"),
    Case("not-square", H, hdf5(batch()[:, :, :16]), "ILSVRC32.hdf5: imgs", "32x16"),
    Case("too-large", H, then(hdf5(imgs=False), sparse), "ILSVRC32.hdf5: imgs", "20000"),
    Case("no-images", H, hdf5(batch()[:0], np.array([], int)), "ILSVRC32.hdf5: imgs"),
]  # fmt: skip


def half(path: Path) -> None:
    data = path / "data.mdb"
    data.write_bytes(data.read_bytes()[:-4096])


def broken_pages(path: Path) -> None:
    """Keeps the two header pages; all others are noise, which LMDB follows as pointers."""
    data = path / "data.mdb"
    content = data.read_bytes()
    noise = np.random.default_rng(0).integers(0, 256, len(content) - 8192, dtype=np.uint8)
    data.write_bytes(content[:8192] + noise.tobytes())


def no_database(path: Path) -> None:
    (path / "data.mdb").write_bytes(os.urandom(64) * 1000)


L = "lmdb"
LMDB = [
    Case("lmdb-is-file", L, then(database(), lambda path: (path / "data.mdb").rename(
        path / "corpus.mdb")), "corpus.mdb"),
    Case("lmdb-damaged", L, then(database(), half), "data.mdb", "its header says"),
    Case("lmdb-damaged", L, then(database(), no_database), "data.mdb"),
    Case("lmdb-damaged", L, then(database(), broken_pages), "data.mdb"),
    Case("lmdb-damaged", L, only({"x.png": PNG}), "data.mdb", "No such file"),
    Case("lmdb-length", L, database({b"length": None}), "length", "missing"),
    Case("lmdb-length", L, database({b"length": b"4.0"}), "length", "no ASCII number"),
    Case("lmdb-length", L, database({b"length": b"3"}), "length", "says 3; there are 4"),
    Case("lmdb-key-missing", L, database({b"16-00002": None, b"16-00004": PNG}), "16-00002"),
    Case("lmdb-key-missing", L, database({b"length": b"999999999999"}), "16-00004",
         also=("lmdb-length",)),
    Case("lmdb-odd-key", L, database({b"16-0": PNG}), "16-0"),
    Case("lmdb-size", L, database(data=png(32)), "16-00000", "32x32"),
    Case("damaged-image", L, database({b"16-00001": CUT_PNG}), "16-00001"),
    Case("not-an-image", L, database({b"16-00001": b"what"}), "16-00001"),
    Case("needs-rgb", "rosinality", database(data=png(mode="L")), "16-00000", "mode L"),
    Case("mode", L, database({b"16-00001": png(mode="RGBA")}), "16-00001", "RGBA"),
    Case("not-power-of-two", "rosinality", database(data=png(20), side=20), "20-00000", "20x20"),
    Case("odd-side", L, database(data=png(20), side=20), "20-00000", "20x20"),
    Case("side-unknown", "fastgan", database(), "16-00000", "1024"),
    Case("no-images", L, database({f"16-{i:05d}".encode(): None for i in range(4)}), "data.mdb"),
    Case("wrong-kind", "fastgan", then(database(data=png(1024), side=1024), elsewhere), "corpus",
         "`lmdb` is not in the path"),
    Case("wrong-kind", "stylegan", database(), "corpus.lmdb", "a lmdb"),
]  # fmt: skip


CASES = [*FOLDERS, *UNPAIRED, *HDF5, *LMDB]
