"""Exports shards into the layout that an existing trainer reads, images byte for byte.

Images are copied out of the tars as they are, each verified against the manifest; only gray images
for a trainer that needs RGB are encoded again. HDF5 holds their exact pixels. The same corpus and
options give the same bytes.
"""

import json
import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from ...manifests.errors import ConfigError, StorageError
from ...manifests.files.atomic import json_bytes, storage_errors
from ...manifests.files.atomic_tree import (
    commit_tree,
    count_files,
    record_path,
    remove_staging,
    staged_tree,
)
from ...manifests.files.crash_points import crash_point
from ...manifests.trainers.commands import Commands, TrainingPlan, commands_for
from ...manifests.trainers.image_bytes import open_tars
from ...manifests.trainers.layout import ExportListing, read_layout
from ...manifests.trainers.requirements import check_needs, find_spec
from ...manifests.trainers.spec import TrainerSpec
from ..common.progress import Advance, Progress
from .folder import write_tree
from .hdf5 import write_hdf5
from .lmdb import write_lmdb
from .options import LayoutOptions
from .zip import write_zip

RECORD_FORMAT = "scoremix-export-1"


class ExportConfig(LayoutOptions, frozen=True, extra="forbid"):
    """Options of `export`."""

    overwrite: bool = False


@dataclass(frozen=True)
class Exported:
    """The export at `out`."""

    out: Path
    spec: TrainerSpec
    listing: ExportListing
    files: int
    bytes: int
    written: bool  # False: it was there already
    commands: Commands


def export(
    shards: Path,
    out: Path,
    config: ExportConfig,
    *,
    progress: Progress,
    run: Path | None = None,
) -> Exported:
    """Makes `out` from a published corpus, unless it is there already.

    run: the folder of the run that made the corpus, where it is known.

    Raises:
        ConfigError: the trainer cannot read this corpus, or `out` is something else.
        VerifyError: an image is not what the manifest promises; `out` is not made.
        StorageError: the disk is full or refuses; `out` is not made.
        LockedError: another process is making the same `out`.
    """
    spec = find_spec(config.trainer, config.to)
    out = Path(os.path.abspath(out))
    listing = read_layout(shards, config.layout(spec), run)
    check_needs(listing, spec)
    _check_destination(listing, out, spec)
    request = _request(listing, spec, out)
    written = _must_write(out, request, config.overwrite)
    if not written:
        remove_staging(out)
        files, size = count_files(out)
    if written:
        with staged_tree(out) as data:
            _check_space(out, listing)
            _write(listing, spec, data, out, progress)
            files, size = count_files(data)
            record = {"format": RECORD_FORMAT, "request": request, "files": files, "bytes": size}
            commit_tree(data, out, json_bytes(record | _summary(listing)))
    plan = TrainingPlan(run, config.images_shown)
    commands = commands_for(spec, listing, out.absolute(), plan)
    return Exported(out, spec, listing, files, size, written, commands)


def _check_destination(listing: ExportListing, out: Path, spec: TrainerSpec) -> None:
    if out.is_symlink() or not out.name:
        what = "a symbolic link, which a rename would replace" if out.name else "the root folder"
        raise ConfigError(f"--out {out} is {what}. Name the folder or file itself.")
    if out.resolve().is_relative_to(listing.shards.resolve()):
        raise ConfigError(
            f"{out} lies inside the shards, whose files SHA256SUMS lists. Choose a place outside."
        )
    is_file = out.suffix in (".zip", ".tar", ".hdf5", ".h5", ".png")
    if is_file and (spec.target, out.suffix) != ("stylegan", ".zip"):
        wanted = "a folder or a .zip" if spec.target == "stylegan" else "a folder"
        name = spec.file and spec.file.format(name=listing.name, resolution=listing.resolution)
        inside = f", in which {name} will lie" if name else ""
        raise ConfigError(f"--out {out} was given, but {spec.target} is {wanted}{inside}.")
    if spec.path_word not in str(out):
        raise ConfigError(
            f"{spec.trainer} reads {spec.target} only where the path contains "
            f"{spec.path_word!r}, and takes --out {out} for a folder of images. Name a path such as"
            f" {out}-{spec.path_word}."
        )


def _request(listing: ExportListing, spec: TrainerSpec, out: Path) -> dict[str, Any]:
    """Everything that the bytes depend on; equal for two trainers that read the same layout."""
    layout = asdict(listing.layout)
    if layout["ratio"] is None or layout["real_only"]:  # two ways to ask for the same
        layout["ratio"] = listing.last_round
    layout["real_only"] = layout["ratio"] == 0
    if not layout["text_labels"]:  # as before there were any
        del layout["text_labels"]
    named = {"name": listing.name} if spec.file and "{name}" in spec.file else {}
    return named | {
        "corpus": listing.index_digest,
        "layout": json.loads(json.dumps(layout)),
        "zip": out.suffix == ".zip",
        "axes": spec.axes,
        "file": spec.file,
    }


def _must_write(out: Path, request: dict[str, Any], overwrite: bool) -> bool:
    """Whether `out` must be written; raises ConfigError where that would replace something."""
    if not os.path.lexists(out) or (out.is_dir() and not any(out.iterdir())):
        return True
    try:
        record = json.loads(record_path(out).read_bytes())
        ours = record["format"] == RECORD_FORMAT
    except (OSError, ValueError, KeyError, TypeError):
        record, ours = {}, False
    if not ours:
        if overwrite and out.is_file():
            return True
        remedy = "Name another path, or remove it yourself" if out.is_dir() else "Add --overwrite"
        raise ConfigError(
            f"{out} exists and no export made it: {record_path(out).name} is not beside it. "
            f"Nothing was changed. {remedy}."
        )
    whole = count_files(out) == (record["files"], record["bytes"])
    if whole and record["request"] == request:
        return False
    if overwrite:
        return True
    what = (
        "an export of another corpus or with other options"
        if whole
        else (
            f"an export that was changed since (it had {record['files']} files and "
            f"{record['bytes']} bytes)"
        )
    )
    raise ConfigError(
        f"{out} is {what}. Nothing was changed. Add --overwrite to replace it, or name another "
        "path."
    )


def _check_space(out: Path, listing: ExportListing) -> None:
    """Raises StorageError where the images cannot fit; gray as RGB may take more still."""
    images = int(pc.sum(listing.rows["size"]).as_py())
    if listing.layout.target == "hdf5":
        images = listing.count * 3 * listing.resolution**2
    free = shutil.disk_usage(out.parent).free
    if images > free:
        raise StorageError(
            f"{out} needs at least {images / 1e6:,.1f} MB, and {free / 1e6:,.1f} MB are free. Free "
            "some space or name another path, then run the same command again."
        )


def _write(
    listing: ExportListing, spec: TrainerSpec, data: Path, out: Path, progress: Progress
) -> None:
    target = spec.target
    images = listing.count
    if spec.real_split:
        images += int(pc.sum(pc.equal(listing.rows["round"], 0)).as_py())
    with (
        storage_errors(out),
        open_tars(listing.shards) as tars,
        progress.task("export", images, "images") as advance,
    ):
        some = _in_groups(advance)
        if target == "hdf5":
            write_hdf5(listing, spec, tars, data, some)
        elif target == "lmdb":
            write_lmdb(listing, tars, data, some)
        elif out.suffix == ".zip":
            write_zip(listing.entries(), tars, data, some)
        else:
            write_tree(listing.entries(), tars, data, some)


def _in_groups(advance: Advance, size: int = 64) -> Advance:
    """Reports progress every `size` images, as each report reads a clock."""
    waiting = 0

    def some(count: int) -> None:
        nonlocal waiting
        crash_point("export-image")
        waiting += count
        if waiting >= size:
            advance(waiting)
            waiting = 0

    return some


def _summary(listing: ExportListing) -> dict[str, Any]:
    """What the export holds, for people who read its record."""
    return {
        "images": listing.count,
        "resolution": listing.resolution,
        "channels": listing.channels,
        "labels": listing.labels,
        "classes": list(listing.classes),
        "class_counts": listing.class_counts(),
    }
