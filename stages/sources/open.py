"""Detects what kind a source is, from what is there, and opens it."""

import contextlib
import fnmatch
import os
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from ...manifests.errors import ConfigError, InputError
from ...manifests.storage.location import is_url
from ..common.progress import Silent
from ..images.input import Input, names_image
from . import arrays, beside, bundled, folders, isolation, parts, remote, tables, tars, zips
from .base import (
    Source,
    SourceFile,
    no_such_folder,
    source_file,
)
from .find import find_source
from .labels import LABEL_FILES, LABELS_FILE, labels_beside, source_of_files
from .patterns import expand_pattern, fixed_part, is_pattern
from .spec import BUNDLED, SourceSpec
from .unused_options import OPTIONS, refuse_unused

_KINDS = (
    "an image, a folder of images, a zip or tar of them, WebDataset shards, Parquet or Arrow files,"
    f" an HDF5 file, an LMDB folder, or one of the bundled sets ({', '.join(BUNDLED)})"
)


@contextlib.contextmanager
def open_source(
    spec: SourceSpec, key: str, fetching: remote.FetchOptions | None = None
) -> Iterator[Source]:
    """Opens a source; its inputs can be read as long as it is open.

    key: its name in stages.yaml, for messages.
    fetching: how to download what lies at a URL; into a temporary folder by default.

    Raises:
        ConfigError: nothing there, of no known kind, no such `path` or column in it, labels that
            do not say which class, a package that is not installed.
        InputError: a damaged archive.
        StorageError: no room to unpack a compressed tar or to download, no answer from a store.
    """
    if spec.label is not None and spec.label_column is not None:
        raise ConfigError(
            f"{key} has label {spec.label!r} and label_column {spec.label_column!r}: both say what"
            " the class is. Give one of them."
        )
    with contextlib.ExitStack() as stack:
        if is_url(spec.source):
            if fetching is None:
                temporary = stack.enter_context(tempfile.TemporaryDirectory(prefix="scoremix-"))
                fetching = remote.FetchOptions(Path(temporary), Silent())
            found = _open_url(spec, key, stack, fetching)
        else:
            found = _open_local(spec, key, stack)
        stack.callback(isolation.close)
        found = beside.noting_hidden(beside.noting_archives(found))
        if spec.classes and spec.label is None:
            found = beside.noting_label_tables(found)
        yield replace(found, inputs=[_with_spec(item, spec) for item in found.inputs])


def _with_spec(item: Input, spec: SourceSpec) -> Input:
    """The input with the label and the license that its source's options give it."""
    if spec.license is None and spec.label is None and spec.classes:
        return item
    label = (spec.label or item.label) if spec.classes else None
    return replace(item, license=item.license or spec.license, label=label)


def files_beside(source: str) -> list[Path]:
    """Files that a source's labels may come from, and that its path or pattern does not name.

    Of images by a pattern the files of labels above them, of tars the index.json beside them.
    """
    paths = expand_pattern(source)
    if len(paths) == 1 and os.path.isdir(paths[0]):
        return []
    found: list[Path] = []
    if all(path.lower().endswith(tars.SUFFIXES) for path in paths):
        found += {Path(path).with_name("index.json") for path in paths}
    elif is_pattern(source):
        root = Path(fixed_part(source))
        found += map(Path, folders.label_files(paths, root))
        found += [root.parent / name for name in LABEL_FILES]
    return sorted(path for path in set(found) - set(map(Path, paths)) if path.is_file())


def _open_local(spec: SourceSpec, key: str, stack: contextlib.ExitStack) -> Source:
    source = spec.source
    if source in BUNDLED:
        refuse_unused(spec, f"the bundled {source!r}", *OPTIONS)
        return bundled.open_bundled(source)
    paths = find_source(source, key)
    if os.path.isdir(paths[0]) and len(paths) == 1:
        return _open_folder(Path(paths[0]).resolve(), spec, stack)
    root = None if os.path.exists(source) else Path(fixed_part(source))
    return _open_files([source_file(path) for path in paths], spec, key, stack, root)


def _open_files(
    files: list[SourceFile],
    spec: SourceSpec,
    key: str,
    stack: contextlib.ExitStack,
    root: Path | None,
) -> Source:
    """root: the folder below which a pattern names images; None where one file is named."""
    shown = files[0].shown if len(files) == 1 else spec.source
    if _all_end_in(tars.SUFFIXES, files):
        title = f"the tar {shown}" if len(files) == 1 else f"{len(files)} tars {shown}"
        found = tars.open_tars(files, spec, title, stack)
        found = _noting_labels(found, files, spec)
        return found if _listed_by_name(spec) else _noting_gaps(found, files)
    if _all_end_in(tables.SUFFIXES, files):
        refuse_unused(spec, f"the table {shown}", "path")
        found = _open_tables(files, shown, spec)
        return found if _listed_by_name(spec) else _noting_gaps(found, files)
    if len(files) == 1:
        (file,) = files
        if _all_end_in(arrays.HDF5_SUFFIXES, files):
            refuse_unused(spec, f"the HDF5 file {shown}", *OPTIONS)
            return arrays.open_hdf5(file, spec.classes)
        if file.path.endswith(".zip") or zipfile.is_zipfile(file.path):
            found = zips.open_zip(file, spec)
            return _noting_labels(found, files, spec)
        if names_image(file.path) and root is None:
            refuse_unused(spec, f"the image {shown}", *OPTIONS)
            image = folders.file_input(Path(file.path).name, os.path.realpath(file.path))
            return Source(f"the image {shown}", [image])
    if root is not None and all(names_image(file.path) for file in files):
        paths, title = [file.path for file in files], f"{len(files)} images {shown}"
        return folders.open_files(paths, root, title, spec)
    raise ConfigError(f"{key} is {shown}, which is none of: {_KINDS}.")


def _noting_labels(source: Source, archives: list[SourceFile], spec: SourceSpec) -> Source:
    if not spec.classes or spec.label is not None:
        return source
    folder = os.path.dirname(archives[0].path)
    noted = labels_beside(folder, source)
    return noted if noted is not source else beside.noting_tables_beside(archives, source)


def _listed_by_name(spec: SourceSpec) -> bool:
    """Whether the user named every file, or the range of their numbers."""
    return "{" in spec.source or not set(spec.source) & set("*?[")


def _all_end_in(suffixes: tuple[str, ...], files: Iterable[SourceFile]) -> bool:
    return all(file.path.lower().endswith(suffixes) for file in files)


def _open_folder(top: Path, spec: SourceSpec, stack: contextlib.ExitStack) -> Source:
    root = folders.find_folder(top, spec.path)
    visible = [name for name in sorted(os.listdir(root)) if not name.startswith(".")]
    if any(map(names_image, visible)) or LABELS_FILE in visible:
        return folders.open_folder(root, top, spec)
    boundary = None if spec.follow_links else top
    archives = [root / "data.mdb"] if "data.mdb" in visible else _archives_in(root)
    image = beside.image_below(root, follow_links=spec.follow_links) if archives else None
    if not archives or (image and all(beside.is_metadata(path.name) for path in archives)):
        return folders.open_folder(root, top, spec)
    if image is not None and archives[0].parent == root:
        beside.refuse_both(str(root), archives[0].name, image)
    if "data.mdb" in visible:
        if boundary is not None:
            folders.require_inside(root / "data.mdb", boundary)
        refuse_unused(spec, f"the LMDB folder {root}", "image_column", "label_column")
        return arrays.open_lmdb(root)
    found = _open_archives(archives, root, str(root), spec, stack, boundary)
    return beside.noting_images(found, image)


def _archives_in(root: Path) -> list[Path]:
    """The tars in a folder, else its tables."""
    visible = sorted(path for path in root.iterdir() if not path.name.startswith("."))
    paths = [path for path in visible if path.name.lower().endswith(tars.SUFFIXES)]
    paths = paths or tables.saved_files(root)  # by save_to_disk; map() leaves its caches beside
    paths = paths or [path for path in visible if path.name.lower().endswith(tables.SUFFIXES)]
    return paths or sorted(root.glob("data/*.parquet"))  # a Hugging Face repository


def _open_archives(
    paths: list[Path],
    root: Path,
    shown: str,
    spec: SourceSpec,
    stack: contextlib.ExitStack,
    boundary: Path | None = None,
) -> Source:
    """All tars of a folder as one source, or all of its tables.

    shown: the folder in messages, which may have been downloaded.
    boundary: links must not lead out of this folder.
    """
    files = _shown_below(root, shown, paths, boundary)
    _refuse_mixed_splits(files, shown)
    if _all_end_in(tars.SUFFIXES, files):
        title = f"{len(files)} tars in {shown}"
        found = tars.open_tars(files, replace(spec, path=None), title, stack)
        return _noting_gaps(_noting_labels(found, files, spec), files)
    return _noting_gaps(_open_tables(files, shown, spec), files)


def _shown_below(
    root: Path, shown: str, paths: list[Path], boundary: Path | None
) -> list[SourceFile]:
    files = []
    for path in paths:
        if boundary is not None:
            folders.require_inside(path, boundary)
        name = f"{shown}/{path.relative_to(root)}"
        try:
            files.append(source_file(str(path), name))
        except OSError as error:  # a link to nothing, a file that state.json promises
            raise InputError(
                f"{name} could not be read ({error.strerror}). Fetch or make it again."
            ) from error
    return files


def _open_tables(files: list[SourceFile], shown: str, spec: SourceSpec) -> Source:
    title = f"the table {shown}" if len(files) == 1 else f"{len(files)} tables of {shown}"
    return tables.open_tables(files, title, spec.image_column, spec.label_column, spec.classes)


def _refuse_mixed_splits(files: list[SourceFile], folder: str) -> None:
    """Refuses train-*.parquet beside test-*.parquet, whose names say that they are splits."""
    splits = parts.splits_of(os.path.basename(file.path) for file in files)
    if splits:
        first = next(iter(splits.values()))
        raise ConfigError(
            f"{folder} has the parts {', '.join(splits)}. Name the one to train on, as in"
            f" source: {os.path.dirname(files[0].shown)}/{first}*, and another one in"
            " ingest.reference."
        )


def _noting_gaps(source: Source, files: list[SourceFile]) -> Source:
    """The source with a note where files are missing by the numbers in the names of the others."""
    names = [os.path.basename(file.path) for file in files]
    return replace(source, notes=(*source.notes, *parts.missing_parts(names, source.title)))


# --- at a URL


def _open_url(
    spec: SourceSpec, key: str, stack: contextlib.ExitStack, fetching: remote.FetchOptions
) -> Source:
    found = remote.probe(spec.source)
    if found is None:
        raise ConfigError(
            f"{key} is {spec.source}, and there is nothing at that URL. Correct it: a file, a"
            " pattern of files in one folder, or a prefix that holds images (not over http, which"
            " cannot list)."
        )
    if found.is_folder and spec.path is not None:
        inside = remote.probe(spec.source, spec.path)
        if inside is None:
            tops = (name.split("/")[0] for name in found.entries if "/" in name)
            raise no_such_folder(spec.path, spec.source, tops)
        found = inside
    shown = str(found.base)
    if found.is_folder:
        archives = _archive_names(found, spec)
        if not archives:
            inputs = remote.inputs(found, fetching)
            refuse_unused(spec, f"the prefix {shown}", "image_column")
            column = spec.label_column
            return source_of_files(f"the prefix {shown}", inputs, spec.classes, column=column)
        image = beside.first_image(sorted(found.entries))
        if image is not None and "/" not in archives[0]:
            beside.refuse_both(shown, archives[0], image)
        folder = remote.fetch(found.select(archives), fetching)
        opened = _open_archives(_archives_in(folder), folder, shown, spec, stack)
        return beside.noting_images(opened, image)
    names = [found.file_name(name) for name in found.entries]
    if all(name.lower().endswith(tars.SUFFIXES) for name in found.entries):
        found = found.with_sibling("index.json")  # beside our own shards: the names of classes
    folder = remote.fetch(found, fetching)
    files = [source_file(str(folder / name), f"{shown}/{name}") for name in names]
    return _open_files(files, spec, key, stack, folder if len(files) > 1 else None)


def _archive_names(found: remote.RemoteFiles, spec: SourceSpec) -> list[str]:
    """Files of a prefix that hold the images, with what belongs to them; [] for images alone."""
    top = [name for name in found.entries if "/" not in name and not name.startswith(".")]
    if any(map(names_image, top)) or LABELS_FILE in top:
        return []
    if "data.mdb" in top:
        raise ConfigError(f"{spec.source} is an LMDB folder. Copy it to a disk and name it there.")
    for suffixes, sibling in ((tars.SUFFIXES, "index.json"), (tables.SUFFIXES, "state.json")):
        archives = [name for name in top if name.lower().endswith(suffixes)]
        if all(map(beside.is_metadata, archives)) and beside.first_image(found.entries):
            continue
        if archives:
            return archives + [name for name in top if name == sibling]
    return [name for name in found.entries if fnmatch.fnmatchcase(name, "data/*.parquet")]
