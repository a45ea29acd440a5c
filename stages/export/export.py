"""Exports shards into the layout that an existing trainer reads, images byte for byte.

Images are copied out of the tars as they are, each verified against the manifest; only gray images
for a trainer that needs RGB are encoded again. HDF5 holds their exact pixels. The same corpus and
options give the same bytes.
"""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from ...manifests.errors import ConfigError, StorageError
from ...manifests.files.atomic import json_bytes, storage_errors
from ...manifests.files.atomic_tree import (
    commit_tree,
    count_files,
    first_files,
    record_path,
    remove_staging,
    staged_tree,
)
from ...manifests.files.crash_points import crash_point
from ...manifests.files.json_reader import parse_json
from ...manifests.trainers.commands import Commands, TrainingPlan, commands_for
from ...manifests.trainers.image_bytes import ShardImages, open_tars
from ...manifests.trainers.layout import ExportListing, read_layout
from ...manifests.trainers.requirements import check_needs, find_spec
from ...manifests.trainers.spec import TrainerSpec
from ..common.progress import Advance, Progress
from ..corpus.store import Corpus
from .folder import write_tree
from .hdf5 import write_hdf5
from .held_out import (
    HeldOutImages,
    entries_of_both,
    evaluation_layout,
    held_out_listing,
    open_held_out,
    with_held_out,
)
from .lmdb import write_lmdb
from .options import LayoutOptions
from .parquet import write_parquet
from .zip import write_zip

RECORD_FORMAT = "scoremix-export-1"


class ExportConfig(LayoutOptions, frozen=True, extra="forbid"):
    """Options of `export`."""

    overwrite: bool = False
    held_out: bool = False  # the run's held-out images too, in the trainer's folder for them
    held_out_only: bool = False  # these alone


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
    selection = _select(shards, config, spec, run)
    listing, spec = selection.listing, selection.spec
    check_needs(listing, spec)
    _check_destination(listing, out, spec)
    request = _request(selection, out)
    written = _must_write(out, request, config.overwrite)
    if not written:
        remove_staging(out)
        files, size = count_files(out)
    if written:
        with staged_tree(out) as data:
            written = _must_write(out, request, config.overwrite)  # another may just have ended
            if written:
                _check_space(out, listing)
                _write(selection, data, out, progress)
                _must_write(out, request, config.overwrite)  # another program may have made it
                record = _record_of(data, request) | _summary(listing)
                commit_tree(data, out, json_bytes(record))
            files, size = count_files(out)
    held_out = selection.held_out
    plan = TrainingPlan(run, config.images_shown, alone=config.held_out_only)
    commands = commands_for(selection.own_spec, listing, out.absolute(), plan)
    if held_out is not None:
        summary = f"{held_out.count:,} held-out images are in it too."
        commands = replace(commands, notes=(*commands.notes, summary))
    if selection.corpus is not None and listing.labels != "none":
        unknown = int((selection.corpus.reference_ids < 0).sum())
        if unknown:
            summary = (
                f"{unknown:,} held-out images of classes without training images are left out."
            )
            commands = replace(commands, notes=(*commands.notes, summary))
    return Exported(out, spec, listing, files, size, written, commands)


@dataclass(frozen=True)
class _Selection:
    """What is written: the listing, and held-out images beside it."""

    own_spec: TrainerSpec  # the trainer's row
    spec: TrainerSpec  # the same without real images in its second folder, where others go there
    listing: ExportListing
    held_out: ExportListing | None = None  # in folders of their own
    corpus: Corpus | None = None  # that the held-out images come from


def _select(shards: Path, config: ExportConfig, spec: TrainerSpec, run: Path | None) -> _Selection:
    """Raises ConfigError for options that exclude each other, or held-out images that are none."""
    if config.held_out_only and (config.held_out or config.real_only or config.ratio is not None):
        raise ConfigError(
            "--held-out-only exports no image of the shards: leave --held-out, --real-only and"
            " --ratio out."
        )
    if not config.held_out and not config.held_out_only:
        return _Selection(spec, spec, read_layout(shards, config.layout(spec), run))
    rest = with_held_out(spec) if config.held_out else spec
    layout = config.layout(rest)
    if config.held_out_only:  # of new classes no image was held out
        layout = replace(layout, real_classes_only=True)
    listing = read_layout(shards, layout, run)
    corpus = open_held_out(run, listing)
    assert run is not None
    if config.held_out_only:
        alone = held_out_listing(corpus, listing, listing.layout, run)
        return _Selection(spec, replace(spec, least_images=1), alone, corpus=corpus)
    layout = evaluation_layout(listing.layout, spec)
    held_out = held_out_listing(corpus, listing, layout, run)
    return _Selection(spec, rest, listing, held_out, corpus)


def _check_destination(listing: ExportListing, out: Path, spec: TrainerSpec) -> None:
    if out.is_symlink() or not out.name:
        what = "a symbolic link, which a rename would replace" if out.name else "the root folder"
        raise ConfigError(f"--out {out} is {what}. Name the folder or file itself.")
    if out.is_mount():
        raise ConfigError(
            f"--out {out} is a mount point, which nothing can be renamed to. Name a folder in it:"
            f" --out {out / listing.name}."
        )
    if out.resolve().is_relative_to(listing.shards.resolve()):
        raise ConfigError(
            f"{out} lies inside the shards, whose files SHA256SUMS lists. Choose a place outside."
        )
    is_file = out.suffix in (".zip", ".tar", ".hdf5", ".h5", ".parquet", ".png")
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


def _request(selection: _Selection, out: Path) -> dict[str, Any]:
    """Everything that the bytes depend on; equal for two trainers that read the same layout."""
    listing, spec = selection.listing, selection.spec
    layout = asdict(listing.layout)
    if layout["ratio"] is None or layout["real_only"]:  # two ways to ask for the same
        layout["ratio"] = listing.last_round
    layout["real_only"] = layout["ratio"] == 0
    for later in ("text_labels", "real_classes_only"):  # as before there were any
        if not layout[later]:
            del layout[later]
    named: dict[str, Any] = {"name": listing.name} if spec.file and "{name}" in spec.file else {}
    if selection.corpus is not None:
        beside = selection.held_out
        named["held_out"] = {
            "corpus": selection.corpus.digest,
            "split": beside.layout.split if beside else None,
        }
    return named | {
        "corpus": listing.index_digest,
        "layout": json.loads(json.dumps(layout)),
        "zip": out.suffix == ".zip",
        "axes": spec.axes,
        "file": spec.file,
    }


def _record_of(data: Path, request: dict[str, Any]) -> dict[str, Any]:
    files, size = count_files(data)
    record = {"format": RECORD_FORMAT, "request": request, "files": files, "bytes": size}
    return record | {"first": first_files(data)}


def _must_write(out: Path, request: dict[str, Any], overwrite: bool) -> bool:
    """Whether `out` must be written; raises ConfigError where that would replace something."""
    if not os.path.lexists(out) or (out.is_dir() and not any(out.iterdir())):
        return True
    try:
        record = parse_json(record_path(out).read_bytes())
        known = record["format"] == RECORD_FORMAT
    except (OSError, ValueError, KeyError, TypeError):
        record, known = {}, False
    if not known or not _holds_some(out, record.get("first")):
        if overwrite and out.is_file():
            return True
        remedy = "Name another path, or remove it yourself" if out.is_dir() else "Add --overwrite"
        name = record_path(out).name
        why = f"{name}, beside it, is of other files" if known else f"{name} is not beside it"
        raise ConfigError(
            f"{out} exists and no export made it: {why}. Nothing was changed. {remedy}."
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


def _holds_some(out: Path, first: list[str] | None) -> bool:
    """Whether a folder has one of the files that the export beside whose record it lies wrote: it
    may be another folder that took the name. first: None in records of earlier versions."""
    return not first or out.is_file() or any(os.path.lexists(out / name) for name in first)


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


def _write(selection: _Selection, data: Path, out: Path, progress: Progress) -> None:
    listing, spec, held_out = selection.listing, selection.spec, selection.held_out
    target = spec.target
    images = listing.count + (held_out.count if held_out else 0)
    if spec.real_split:
        images += int(pc.sum(pc.equal(listing.rows["round"], 0)).as_py())
    with (
        storage_errors(out),
        _images(selection) as tars,
        progress.task("export", images, "images") as advance,
    ):
        some = _in_groups(advance)
        if target == "hdf5":
            write_hdf5(listing, spec, tars, data, some)
        elif target == "lmdb":
            write_lmdb(listing, tars, data, some)
        elif target == "parquet":
            for one in filter(None, (listing, held_out)):
                write_parquet(one, tars, data, some)
        else:
            write = write_zip if out.suffix == ".zip" else write_tree
            write(entries_of_both(listing, held_out), tars, data, some)


@contextmanager
def _images(selection: _Selection) -> Iterator[ShardImages]:
    """Reads the images of the shards, and the held-out ones."""
    shards = selection.listing.shards
    if selection.corpus is None:
        with open_tars(shards) as tars:
            yield tars
        return
    both = HeldOutImages(shards, selection.corpus.reference)
    try:
        yield both
    finally:
        both.close()


def _in_groups(advance: Advance, size: int = 64) -> Advance:
    """Reports progress every `size` images, as each report reads a clock."""
    waiting = 0

    def some(count: int, /, *, resumed: bool = False) -> None:
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
