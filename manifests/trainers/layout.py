"""Lists the files of a trainer's layout: which file comes from which bytes of which shard.

This is data only. `export` writes a listing to disk (or into a zip), `mount` serves the same one
without writing; HDF5, LMDB and Parquet are made from the same rows. Nothing here opens a tar.

    listing = read_layout(shards, Layout("imagefolder", ratio=3))
    for entry in listing.entries(): ...          # stylegan, imagefolder, unpaired
    for row in listing.images(): ...             # every target: the rows without paths

File names are `RRR_KEY.png`, R the round: real images sort first, then round by round, and
`key_from_path` reads the key back for `inspect SHARDS KEY`.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ..errors import ConfigError, VerifyError
from ..published.index import INDEX, read_index
from ..published.publish import is_published
from ..published.subset import last_round
from ..published.sums import SUMS
from .labels import LabelKind, check_classes, heaviest_classes, read_labels
from .spec import TARGETS, Target

LABELS = "dataset.json"  # of the stylegan target, at its root
UNCLASSED = "images"  # the one class folder of a corpus without classes

COLUMNS = ("key", "round", "shard", "offset", "size", "sha256", "class_id", "soft_label")
_BATCH = 4096  # rows that are Python objects at a time
_SLUG = 40  # characters of a class name that a folder keeps


@dataclass(frozen=True)
class Layout:
    """The options of a layout; equal options on equal shards give equal listings."""

    target: Target
    ratio: int | None = None  # rounds 0..ratio; None: all there are
    real_only: bool = False  # round 0 alone
    real_classes_only: bool = False  # without images of new classes
    rgb: bool = False  # gray images are written as RGB: the one re-encoding there is
    hard_labels: bool = False  # soft labels become the class of the largest weight
    split: str = "train"  # imagefolder: folder of the training images, "" for none; unpaired: of
    # trainA and trainB, testA and testB, the part before A; parquet: how names of files begin
    real_split: str | None = None  # imagefolder: a second folder, of the real images alone
    flat: bool = False  # imagefolder: no folders at all, for readers that list one folder
    domains: tuple[str, str] | None = None  # unpaired: class names of A and B; None: both classes
    text_labels: bool = False  # stylegan: names of classes in dataset.json, as captions


class Slice(NamedTuple):
    """Bytes of an image inside SHARDS/`shard`.tar."""

    shard: str
    offset: int
    size: int
    sha256: str


class Row(NamedTuple):
    """One image of the selection."""

    key: str
    round: int
    class_id: int  # -1 without one class
    image: Slice


class Entry(NamedTuple):
    """One file of the layout."""

    path: str  # relative, with "/", ASCII
    payload: Slice | bytes
    to_rgb: bool  # the payload is a gray PNG and must be re-encoded: image_bytes.rgb_png


@dataclass(frozen=True, eq=False)
class ExportListing:
    """A layout of one corpus. Rows are in shard order, so that tars are read front to back."""

    shards: Path
    layout: Layout
    rows: pa.Table  # the chosen rows of manifest.parquet, columns COLUMNS
    class_ids: npt.NDArray[np.int64]  # (rows,), -1 without one class
    labels: LabelKind  # as exported
    classes: tuple[str, ...]  # names by class id; new classes last
    real_classes: int  # how many of them are classes of real images
    resolution: int  # side in pixels
    channels: int  # as exported: 1 or 3
    to_rgb: bool  # images are gray in the shards and RGB in the layout
    name: str  # of the run and the arm, ASCII: "digits-scoremix-10"; "digits-real"
    index_digest: str  # of the corpus
    corpus_digest: str  # of what the images were made from, as ingest wrote it

    @property
    def count(self) -> int:
        """Images; a real_split holds some of them a second time."""
        return int(self.rows.num_rows)

    @property
    def last_round(self) -> int:
        """The highest round there is; 0 where all images are real."""
        return int(pc.max(self.rows["round"]).as_py())

    def class_counts(self) -> list[int]:
        """Images per class id; empty without one class each."""
        if self.labels != "hard":
            return []
        counts = np.bincount(self.class_ids, minlength=len(self.classes))
        return [int(count) for count in counts]

    def real_counts(self) -> list[int]:
        """Real images per class id; without classes, their number alone."""
        real = self.rows["round"].to_numpy() == 0
        if self.labels == "none":
            return [int(real.sum())]
        ids = heaviest_classes(self.rows) if self.labels == "soft" else self.class_ids
        return [int(count) for count in np.bincount(ids[real], minlength=len(self.classes))]

    def images(self) -> Iterator[Row]:
        """Every image of the selection, in shard order."""
        start = 0
        for batch in self.rows.select(COLUMNS[:-2]).to_batches(max_chunksize=_BATCH):
            ids = self.class_ids[start : start + batch.num_rows].tolist()
            columns = [column.to_pylist() for column in batch.columns]
            for *head, class_id in zip(*columns, ids, strict=True):
                key, round_, shard, offset, size, sha256 = head
                yield Row(key, round_, class_id, Slice(shard, offset, size, sha256))
            start += batch.num_rows

    def entries(self) -> Iterator[Entry]:
        """Every file, images in shard order, dataset.json last.

        Raises ConfigError for hdf5, lmdb and parquet, which hold no files.
        """
        layout = self.layout
        if layout.target in ("hdf5", "lmdb", "parquet"):
            raise ConfigError(
                f"{layout.target} is made of data files and has no listing of images. Use "
                "stylegan, imagefolder or unpaired."
            )
        folders = self._folders()
        also = layout.real_split if layout.target == "imagefolder" else None
        for row in self.images():
            name = file_name(row.key, row.round)
            yield Entry(f"{folders(row)}{name}", row.image, self.to_rgb)
            if also and row.round == 0:
                folder = class_folder(self.classes, row.class_id)
                yield Entry(f"{also}/{folder}/{name}", row.image, self.to_rgb)
        if layout.target == "stylegan" and self.labels != "none":
            yield Entry(LABELS, self.labels_json(), False)

    def labels_json(self) -> bytes:
        """dataset.json of stylegan: class ids, equally long lists of weights, or class names."""
        labels: list[Any] = self.class_ids.tolist()
        if self.layout.text_labels:
            labels = [self.classes[label] for label in labels]
        elif self.labels == "soft":
            labels = self.rows["soft_label"].to_pylist()
        folders = self._folders()
        pairs = [
            [f"{folders(row)}{file_name(row.key, row.round)}", label]
            for row, label in zip(self.images(), labels, strict=True)
        ]
        return json.dumps({"labels": pairs}, separators=(",", ":"), allow_nan=False).encode()

    def _folders(self) -> Callable[[Row], str]:
        """Row -> the folder of its image, with a final "/"."""
        layout = self.layout
        if layout.flat:
            return lambda row: ""
        if layout.target == "stylegan":
            return lambda row: f"{row.round:03d}/"
        if layout.target == "unpaired":
            sides = (f"{layout.split}{side}" for side in "AB")
            places = dict(zip(domain_ids(layout, self.classes), sides, strict=True))
        else:
            ids = range(len(self.classes)) if self.labels == "hard" else (-1,)
            split = f"{layout.split}/" if layout.split else ""
            places = {id_: split + class_folder(self.classes, id_) for id_ in ids}
        return lambda row: f"{places[row.class_id]}/"


def read_layout(shards: Path, layout: Layout, run: Path | None = None) -> ExportListing:
    """The listing of a published corpus under `layout`.

    run: the folder of the run that made it, where that is known; `name` is taken from it.

    Raises:
        ConfigError: no corpus, no such ratio, or labels that the target cannot express.
        VerifyError: the corpus is damaged or unfinished.
    """
    _check_published(shards)
    _check_options(layout)
    index = read_index(shards)
    classes = tuple(index["classes"])
    real_classes = len(classes) - len(index.get("new_classes", ()))
    last = last_round(index["ratio"], 0 if layout.real_only else layout.ratio)
    if layout.real_only or real_classes == len(classes):
        layout = replace(layout, real_classes_only=False)  # there are no others
    path = shards / "manifest.parquet"
    with pq.ParquetFile(path, page_checksum_verification=True) as file:
        manifest = file.read(columns=list(COLUMNS))
    rows = manifest.filter(pc.less_equal(manifest["round"], last))
    if layout.real_classes_only:
        rows = rows.filter(pc.less(rows["class_id"], real_classes))
        last = int(pc.max(rows["round"]).as_py())
    if last == 0 and real_classes < len(classes):
        classes = classes[:real_classes]
    _refuse_new_classes(layout, len(classes) - real_classes)
    rows = rows.combine_chunks()
    has_labels = layout.target != "lmdb" and not layout.flat
    ids, labels = read_labels(
        rows,
        layout.target,
        kept=has_labels,
        hard=layout.hard_labels,
        captions=layout.text_labels,
    )
    if labels == "hard" and has_labels and layout.target != "unpaired":
        check_classes(ids, classes)
    if layout.target == "unpaired":
        wanted = domain_ids(layout, classes)
        check_classes(ids, classes, wanted)
        mask = np.isin(ids, wanted)
        rows, ids = rows.filter(pa.array(mask)), ids[mask]
    return ExportListing(
        shards=shards,
        layout=layout,
        rows=rows,
        class_ids=ids,
        labels=labels,
        classes=classes,
        real_classes=real_classes,
        resolution=index["resolution"],
        channels=3 if layout.rgb else index["channels"],
        to_rgb=layout.rgb and index["channels"] == 1,
        name=f"{corpus_name(shards, run)}-{_arm_name(index['recipe'], last, layout.domains)}",
        index_digest=index["index_digest"],
        corpus_digest=str(index["recipe"].get("corpus_digest")),
    )


def corpus_name(shards: Path, run: Path | None) -> str:
    """The run's name; without a run, that of the folder of shards."""
    path = (run or shards).absolute()
    name = path.name.removesuffix(".run")
    return slug(path.parent.name if name == "shards" else name) or "corpus"


def _refuse_new_classes(layout: Layout, count: int) -> None:
    """Raises ConfigError for new classes beside a folder of real images."""
    if layout.real_split and count:
        raise ConfigError(
            f"This corpus has {count} new classes, and {layout.real_split}/ of this layout holds"
            " real images, of which they have none: the trainer would find another number of"
            " classes there. Leave them out with --real-classes-only."
        )


def _arm_name(recipe: Mapping[str, Any], last: int, domains: Iterable[str] | None) -> str:
    """ "real", or the method and the ratio, and the domains that were named: two arms of one run
    are trained under two names.
    """
    arm = f"{slug(str(recipe.get('method', 'augmented')))}-{last}" if last else "real"
    return "-".join([arm, *map(slug, domains or ())])


def file_name(key: str, round_: int) -> str:
    """RRR_KEY.png: sorts by round, real images (round 0) first."""
    return f"{round_:03d}_{key}.png"


def key_from_path(path: str) -> str:
    """The sample's key, from the path of an exported image."""
    return path.rpartition("/")[2].partition("_")[2].partition(".")[0]


def class_folder(classes: tuple[str, ...], class_id: int) -> str:
    """ASCII folder of a class; folders sort as class ids do: "03_tabby-cat", "images" for none."""
    if class_id < 0:
        return UNCLASSED
    number = f"{class_id:0{len(str(max(len(classes) - 1, 0)))}d}"
    name = slug(classes[class_id])
    return f"{number}_{name}" if name and name != str(class_id) else number


def slug(name: str) -> str:
    """Letters, digits and hyphens of a name, at most 40 of them."""
    return re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-")[:_SLUG].strip("-")


def _check_published(shards: Path) -> None:
    if not (shards / SUMS).is_file() or not (shards / INDEX).is_file():
        raise ConfigError(
            f"{shards} is no published corpus: it needs {INDEX} and {SUMS}. Name the shards folder "
            "of a finished run, or run the same command again to finish it."
        )
    if not is_published(shards):
        raise VerifyError(
            f"{shards} has files missing, or changed since they were published. "
            f"`scoremix-pipeline verify {shards}` names them."
        )


def _check_options(layout: Layout) -> None:
    if layout.target not in TARGETS:
        raise ConfigError(f"Target {layout.target!r} is unknown; use one of {', '.join(TARGETS)}.")
    if layout.target != "imagefolder" and (layout.flat or layout.real_split):
        raise ConfigError(f"A flat folder, or one of the real images, is not {layout.target}'s.")
    if layout.real_only and layout.ratio:
        raise ConfigError(
            f"Real images only and ratio {layout.ratio} were both asked for. Leave one of them out."
        )


def domain_ids(layout: Layout, classes: tuple[str, ...]) -> list[int]:
    """Class ids of A and B. Raises ConfigError unless two different classes are named."""
    names = layout.domains or classes
    known = ", ".join(repr(name) for name in classes[:20]) or "none"
    if len(names) != 2:
        raise ConfigError(
            f"unpaired needs two classes, its domains A and B; the corpus has {len(classes)}: "
            f"{known}. " + ("Name two with --domains A,B." if len(classes) > 2 else _TWO_FOLDERS)
        )
    unknown = [name for name in names if name not in classes]
    if unknown or names[0] == names[1]:
        raise ConfigError(
            f"Domains {names[0]!r} and {names[1]!r} are not two different classes of the corpus."
            f" Name two of: {known}."
        )
    return [classes.index(name) for name in names]


_TWO_FOLDERS = "Put the images of each domain into a sub-folder of its own and build again."
