"""Which kind a source is, told by what is there."""

import contextlib
import fnmatch
import glob
import os
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from ...manifests.errors import ConfigError, InputError
from ...manifests.storage.location import is_url
from ..common.progress import Silent
from ..images.input import Input, names_image
from . import arrays, bundled, folders, remote, tables, tars, zips
from .base import SPLITS, Source, no_such_path
from .labels import LABELS

_KINDS = (
    "an image, a folder of images, a zip or tar of them, WebDataset shards, Parquet or Arrow files,"
    f" an HDF5 file, an LMDB folder, or one of the bundled sets ({', '.join(bundled.BUNDLED)})"
)


@dataclass(frozen=True)
class SourceSpec:
    """What is asked of a source."""

    source: str
    path: str | None = None  # the folder inside it that becomes the root
    image_column: str | None = None  # of a table
    label_column: str | None = None
    license: str | None = None  # of images that say none themselves
    label: str | None = None  # the class of all of its images
    classes: bool = True  # False: labels and folders are no classes


@contextlib.contextmanager
def open_source(
    asked: SourceSpec, key: str, fetching: remote.FetchOptions | None = None
) -> Iterator[Source]:
    """Opens a source; its inputs can be read as long as it is open.

    key: its name in stages.yaml, for messages.
    fetching: where to what lies at a URL is fetched; a temporary folder by default.

    Raises:
        ConfigError: nothing there, of no known kind, no such `path` or column in it, labels that
            do not say which class, a package that is not installed.
        InputError: a damaged archive.
        StorageError: no room to unpack a compressed tar or to fetch, or no answer from a store.
    """
    with contextlib.ExitStack() as stack:
        if is_url(asked.source):
            if fetching is None:
                temporary = stack.enter_context(tempfile.TemporaryDirectory(prefix="scoremix-"))
                fetching = remote.FetchOptions(Path(temporary), Silent())
            found = _open_url(asked, key, stack, fetching)
        else:
            found = _open(asked, key, stack)
        yield replace(found, inputs=[_marked(item, asked) for item in found.inputs])


def _marked(item: Input, asked: SourceSpec) -> Input:
    if asked.license is None and asked.label is None and asked.classes:
        return item
    label = (asked.label or item.label) if asked.classes else None
    return replace(item, license=item.license or asked.license, label=label)


def expand(source: str) -> list[str]:
    """The files that a pattern names, as shards-{000..146}.tar or shards/*.tar; else [source]."""
    if os.path.exists(source) or not set(source) & set("{*?["):
        return [source]
    from webdataset.shardlists import braceexpand

    spelled = [str(path) for path in braceexpand.braceexpand(source)]
    return [path for name in spelled for path in sorted(glob.glob(name)) or [name]]


def _open(asked: SourceSpec, key: str, stack: contextlib.ExitStack) -> Source:
    source = asked.source
    if source in bundled.BUNDLED:
        return bundled.open_bundled(source, asked.path)
    paths = expand(source)
    missing = [path for path in paths if not os.path.exists(path)]
    if missing:
        among = f"{source}, but {missing[0]}" if len(paths) > 1 else f"{source}, which"
        raise ConfigError(
            f"{key} is {among} does not exist; the nearest folder that does is"
            f" {_existing_parent(Path(missing[0]))}. Correct the path, or use one of the bundled"
            f" sets ({', '.join(bundled.BUNDLED)})."
        )
    if os.path.isdir(paths[0]) and len(paths) == 1:
        return _open_folder(Path(source).resolve(), asked, stack)
    return _open_files(paths, asked, key, stack)


def _open_files(
    paths: list[str], asked: SourceSpec, key: str, stack: contextlib.ExitStack
) -> Source:
    source = asked.source
    if all(path.lower().endswith(tars.SUFFIXES) for path in paths):
        what = f"the tar {source}" if len(paths) == 1 else f"{len(paths)} tars {source}"
        return tars.open_tars(paths, asked.path, what, asked.classes, stack)
    if all(path.lower().endswith(tables.SUFFIXES) for path in paths):
        return _tables(paths, source, asked)
    if len(paths) == 1 and source.lower().endswith(arrays.HDF5_SUFFIXES):
        _no_path(asked, "an HDF5 file")
        return arrays.open_hdf5(source, f"the HDF5 file {source}", asked.classes)
    if len(paths) == 1 and (source.endswith(".zip") or zipfile.is_zipfile(source)):
        return zips.open_zip(source, asked.path, asked.classes)
    if len(paths) == 1 and names_image(source):
        return Source(f"the image {source}", [folders.file_input(Path(source).name, source)])
    raise ConfigError(f"{key} is {source}, which is none of: {_KINDS}.")


def _open_folder(top: Path, asked: SourceSpec, stack: contextlib.ExitStack) -> Source:
    root = folders.find_folder(top, asked.path)
    names = sorted(os.listdir(root))
    plain = [name for name in names if not name.startswith(".")]
    if any(names_image(name) for name in plain) or LABELS in plain:
        return folders.open_folder(root, top, asked.classes)
    if "data.mdb" in plain:
        return arrays.open_lmdb(str(root), f"the LMDB folder {root}")
    found = [str(root / name) for name in plain if name.lower().endswith(tars.SUFFIXES)]
    if found:
        what = f"{len(found)} tars in {root}"
        return tars.open_tars(found, None, what, asked.classes, stack)
    found = tables.saved_files(root)  # by save_to_disk, beside which map() leaves its caches
    found = found or [str(root / name) for name in plain if name.lower().endswith(tables.SUFFIXES)]
    found = found or sorted(map(str, root.glob("data/*.parquet")))  # a Hugging Face repository
    if found:
        _one_part(found, root)
        return _tables(found, str(root), asked)
    return folders.open_folder(root, top, asked.classes)


def _tables(paths: list[str], source: str, asked: SourceSpec) -> Source:
    what = f"the table {source}" if len(paths) == 1 else f"{len(paths)} tables of {source}"
    return tables.open_tables(paths, what, asked.image_column, asked.label_column, asked.classes)


def _one_part(paths: list[str], root: Path) -> None:
    """Refuses train-*.parquet beside test-*.parquet: parts of a dataset are told by their names."""
    parts = {os.path.basename(path).split("-")[0].split(".")[0].lower() for path in paths}
    if len(parts) > 1 and parts <= SPLITS:
        train = (path for path in paths if os.path.basename(path).lower().startswith("train"))
        first = next(train, paths[0])
        pattern = f"{os.path.dirname(first)}/{os.path.basename(first).split('-')[0]}*"
        raise ConfigError(
            f"{root} has the parts {', '.join(sorted(parts))}. Name the one to train on, as in"
            f" source: {pattern}, and another one in ingest.reference."
        )


def _no_path(asked: SourceSpec, kind: str) -> None:
    if asked.path is not None:
        raise ConfigError(
            f"ingest.path is {asked.path!r}, but {asked.source} is {kind}, which has no folders."
            " Leave it out."
        )


# --- at a URL


def _open_url(
    asked: SourceSpec, key: str, stack: contextlib.ExitStack, fetching: remote.FetchOptions
) -> Source:
    there = remote.probe(asked.source)
    if there is None:
        raise ConfigError(
            f"{key} is {asked.source}, and there is nothing at that URL. Correct it: a file, a"
            " pattern of files, or a prefix that holds images (not over http, which cannot list)."
        )
    if there.folder and asked.path is not None:
        inside = remote.probe(asked.source, asked.path)
        if inside is None:
            tops = (name.split("/")[0] for name in there.facts if "/" in name)
            raise no_such_path(asked.path, asked.source, tops)
        there = inside
    if there.folder:
        chosen = _archives(there, asked)
        if not chosen:
            what, inputs = f"the prefix {there.base}", remote.inputs(there, fetching)
            return folders.as_source(what, inputs, asked.classes)
        there = there.within(chosen)
    names = list(there.facts)
    if not there.folder and all(name.lower().endswith(tars.SUFFIXES) for name in names):
        there = there.beside("index.json")  # of a corpus of ours: the names of its classes
    folder = remote.fetch(there, fetching)
    local = [str(folder / there.file_of(name)) for name in names]
    try:
        if there.folder:
            found = _open_folder(folder, replace(asked, path=None), stack)
        else:
            one = asked if len(local) > 1 else replace(asked, source=local[0])
            found = _open_files(local, one, key, stack)
    except (ConfigError, InputError) as error:
        raise type(error)(str(error).replace(str(folder), str(there.base))) from error
    return replace(found, what=found.what.replace(str(folder), str(there.base)), folder=None)


def _archives(there: remote.RemoteFiles, asked: SourceSpec) -> list[str]:
    """Files of a prefix that hold the images, with what belongs to them; [] for images alone."""
    top = [name for name in there.facts if "/" not in name and not name.startswith(".")]
    if any(names_image(name) for name in top) or LABELS in top:
        return []
    if "data.mdb" in top:
        raise ConfigError(f"{asked.source} is an LMDB folder. Copy it to a disk and name it there.")
    for suffixes, beside in ((tars.SUFFIXES, "index.json"), (tables.SUFFIXES, "state.json")):
        found = [name for name in top if name.lower().endswith(suffixes)]
        if found:
            return found + [name for name in top if name == beside]
    return [name for name in there.facts if fnmatch.fnmatchcase(name, "data/*.parquet")]


def _existing_parent(path: Path) -> Path:
    return next((parent for parent in path.absolute().parents if parent.is_dir()), Path("/"))
