"""Finds the sample sets at a path: one set of images, or the snapshots of a training in order."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from ...manifests.errors import ConfigError, InputError
from ...manifests.foreign_text import first_names
from ..images.input import Input, is_hidden, names_image
from ..sources.base import Source
from ..sources.folders import open_folder
from ..sources.numpy_files import SUFFIXES, open_numpy
from ..sources.open import open_source
from ..sources.spec import SourceSpec
from .parts import kind_of_folders
from .place import check_place
from .roles import (
    FakesBesideReal,
    file_role,
    find_fakes_beside_real,
    list_folder,
    list_members,
)

_SOME = 20  # images of a folder whose names are looked at
_LISTED = 5  # names in an error
_ARCHIVES = (".zip", *SUFFIXES)


@dataclass(frozen=True)
class SampleSet:
    """One set of images: its name in the report, and its folder or archive."""

    name: str
    path: Path
    notes: tuple[str, ...] = ()  # how it was recognised, for the report
    role: str | None = None  # of the files in the folder itself whose names end so: 0001_fake_B.png
    inside: str = ""  # the folder in a zip that is read
    option: str = "--generated"  # that named it, for messages


def find_sets(
    given: Path,
    snapshots: bool | None,
    classes: tuple[str, ...],
    option: str = "--generated",
) -> list[SampleSet]:
    """The sets at `given`, in the natural order of their names; more than one are snapshots.

    snapshots: True: every sub-folder with images and every archive in the folder is one. None: so
        where no image lies in the folder itself and the names differ in their numbers alone, unless
        they are the corpus's `classes`, pairs of them, or chunks of one set. Real images
        that a trainer put beside its samples are left out. option: that named `given`.

    Raises:
        ConfigError: nothing there, no two snapshots where they were asked for, or several sorts of
            samples.
    """
    check_place(given, option)
    one = [SampleSet(given.resolve().name, given, option=option)]
    if beside_real := _beside_real(one[0]):
        return beside_real
    if snapshots is False:
        return one
    parts = [replace(part, option=option) for part in _parts(given)] if given.is_dir() else []
    if snapshots is None:
        kind = "" if len(parts) < 2 or any(_images_in(given)) else _kind(parts, classes)
        if kind == "snapshots":
            return _without_real(parts)
        note = f"its {len(parts)} folders hold {kind} of one set"
        note += "; --snapshots evaluates each" * (option == "--generated")
        return [replace(one[0], notes=(note,) if kind else ())]
    if len(parts) < 2:
        raise ConfigError(
            f"--snapshots asks for sub-folders of images, or zip and .npz files, in {given}; there"
            f" are {len(parts)}. Name the folder above them, or leave --snapshots out."
        )
    return _without_real(parts)


def natural_sort_key(name: str) -> list[tuple[int, str]]:
    """A sort key that puts step-200 before step-1000."""
    return [
        (int(part), "") if part.isdigit() else (-1, part)
        for part in re.split(r"([0-9]+)", name)
        if part
    ]


def _files_below(path: Path, boundary: Path) -> list[Input]:
    return open_folder(path, boundary, SourceSpec(str(path), classes=False)).inputs


def _parts(folder: Path) -> list[SampleSet]:
    sets = []
    for path in folder.iterdir():
        if path.name.startswith("."):
            continue
        if path.is_dir() and any(map(is_image_input, _files_below(path, folder))):
            sets.append(SampleSet(path.name, path))
        elif path.is_file() and path.suffix.lower() in _ARCHIVES:
            sets.append(SampleSet(path.stem, path))
    names = Counter(one.name for one in sets)
    unique = [one if names[one.name] == 1 else SampleSet(one.path.name, one.path) for one in sets]
    return sorted(unique, key=lambda one: (natural_sort_key(one.name), one.name))


def _kind(parts: list[SampleSet], classes: tuple[str, ...]) -> str:
    """What the parts are, by their names and those of some files in them."""
    files = {
        part.name: [*islice(_images_in(part.path), _SOME)] for part in parts if part.path.is_dir()
    }
    return kind_of_folders([part.name for part in parts], files, classes)


def _beside_real(given: SampleSet) -> list[SampleSet]:
    """The samples of every folder or zip in which real images lie beside them; [] without any."""
    if given.path.is_dir():
        found, others = find_fakes_beside_real(list_folder(given.path))
    elif given.path.suffix.lower() == ".zip":
        members = _open_zip(given).inputs
        found, others = find_fakes_beside_real(list_members(item.name for item in members))
    else:
        return []
    more = ""
    if others:
        more = f"; others were left out: {first_names(others, _LISTED)}"
    sets = [_fakes_alone(given, each, more) for each in found]
    return sorted(sets, key=lambda one: (natural_sort_key(one.name), one.name))


def _fakes_alone(given: SampleSet, found: FakesBesideReal, more: str) -> SampleSet:
    """The samples of one folder, without the real images beside them. more: of the note."""
    (fake, *other), is_folder = found.sorts, given.path.is_dir()
    if other:
        place = given.path / found.folder
        sorts = " and ".join(found.sorts)
        if found.are_folders:
            what = f"{place} holds {sorts}, samples of several sorts."
            do = "Name one of these folders." if is_folder else "Unpack one of these folders."
        else:
            what = f"the files in {place} end in {sorts}, samples of several sorts."
            do = "Put those of one sort into a folder of their own."
        raise ConfigError(f"{given.option} {given.path}: {what} {do}")
    if found.are_folders:
        note = f"only {fake}/ was evaluated: real images lie beside it{more}"
        inside = f"{found.folder}/{fake}".lstrip("/")
    else:
        note = f"only files that end in {fake} were evaluated: real images lie beside them{more}"
        inside = found.folder
    parts = [part for part in found.folder.split("/") if part not in ("", "images")]
    return SampleSet(
        "-".join(parts) or given.name,
        given.path / inside if is_folder else given.path,
        (note,),
        None if found.are_folders else fake,
        "" if is_folder else inside,
        given.option,
    )


def _without_real(parts: list[SampleSet]) -> list[SampleSet]:
    """The snapshots, of zips with real images in them the samples alone."""
    sets = []
    for part in parts:
        fakes = [] if part.path.is_dir() else _beside_real(part)
        if len(fakes) > 1:
            names = first_names([one.name for one in fakes], _LISTED)
            raise ConfigError(
                f"{part.option} {part.path}: it holds {len(fakes)} sets of samples beside real"
                f" images ({names}). Name this zip alone, or unpack it."
            )
        sets += [replace(fakes[0], name=part.name)] if fakes else [part]
    return sets


def _images_in(folder: Path) -> Iterator[str]:
    """Names of images in the folder itself."""
    return (path.name for path in folder.iterdir() if path.is_file() and _named_image(path.name))


def _named_image(name: str) -> bool:
    return names_image(name) and not is_hidden(name)


def is_image_input(item: Input) -> bool:
    """Whether its name is that of an image: checkpoints and logs lie beside samples."""
    return item.claims_image and not item.hidden


def open_set(sample_set: SampleSet) -> Source:
    """Lists the images of a set in a folder, zip or NumPy file; they are read later.

    Raises:
        ConfigError: no kind that can be read.
        InputError: a damaged archive, or no image in it.
    """
    path = sample_set.path
    if path.is_dir():
        source = open_folder(path.resolve(), path.resolve(), SourceSpec(str(path), classes=False))
    elif path.suffix.lower() in SUFFIXES:
        return open_numpy(path)
    elif path.suffix.lower() == ".zip":
        source = _open_zip(sample_set)
    else:
        raise ConfigError(
            f"{sample_set.option} {path} is no folder, zip, .npz or .npy. Name the one that holds"
            " the images that the GAN made."
        )
    prefix = f"{sample_set.inside}/" if sample_set.inside else ""
    images = [
        replace(item, name=item.name.removeprefix(prefix))
        for item in source.inputs
        if is_image_input(item) and item.name.startswith(prefix)
    ]
    if sample_set.role is not None:
        role = sample_set.role
        images = [one for one in images if "/" not in one.name and file_role(one.name) == role]
    if not images:
        raise InputError(
            f"{sample_set.option} {path} holds no image, among {len(source.inputs):,} files. Have"
            " the trainer write images, and name their folder."
        )
    return Source(source.title, images)


def _open_zip(given: SampleSet) -> Source:
    with open_source(SourceSpec(str(given.path), classes=False), given.option) as source:
        return source  # members of a zip are read by path, open or not
