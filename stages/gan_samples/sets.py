"""Finds the sample sets at a path: one set of images, or the snapshots of a training in order."""

import re
from collections import Counter
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from ...manifests.errors import ConfigError, InputError
from ..images.input import Input, is_hidden, names_image
from ..sources.base import Source
from ..sources.folders import open_folder
from ..sources.numpy_files import SUFFIXES, open_numpy
from ..sources.open import open_source
from ..sources.spec import SourceSpec
from .parts import file_role, folders_of_fakes, kind_of_folders, roles_of_files

_SOME = 20  # files of a folder whose names are looked at
_ARCHIVES = (".zip", *SUFFIXES)


@dataclass(frozen=True)
class SampleSet:
    """One set of images: its name in the report, and its folder or archive."""

    name: str
    path: Path
    notes: tuple[str, ...] = ()  # how it was recognised, for the report
    role: str | None = None  # of the files alone whose names end so, as in 0001_fake_B.png


def find_sets(given: Path, snapshots: bool | None, classes: tuple[str, ...]) -> list[SampleSet]:
    """The sets at `given`, in the natural order of their names; more than one are snapshots.

    snapshots: True: every sub-folder with images and every archive in the folder is one. None: so
        where no image lies in the folder itself and the names differ in their numbers alone, unless
        they are the corpus's `classes`, pairs of them, or chunks of one set. Real images
        that a trainer put beside its samples are left out.

    Raises:
        ConfigError: nothing there, no two snapshots where they were asked for, or several sorts of
            samples.
    """
    if not given.exists():
        raise ConfigError(
            f"--generated {given}: there is nothing there. Name a folder, zip, .npz or .npy of the"
            " images that the GAN made."
        )
    one = [SampleSet(given.resolve().name, given)]
    if given.is_dir() and (fakes := folders_of_fakes(given)):
        return _beside_real(given, fakes)
    if given.is_dir() and (role := _role(given)):
        note = f"only files that end in {role} were evaluated: real images lie beside them"
        return [SampleSet(one[0].name, given, (note,), role)]
    if snapshots is False:
        return one
    parts = _parts(given) if given.is_dir() else []
    if snapshots is None:
        kind = "" if len(parts) < 2 or any(_images_in(given)) else _kind(parts, classes)
        if kind == "snapshots":
            return parts
        note = f"its {len(parts)} folders hold {kind} of one set; --snapshots evaluates each"
        return [SampleSet(one[0].name, given, (note,) if kind else ())]
    if len(parts) < 2:
        raise ConfigError(
            f"--snapshots asks for sub-folders of images, or zip and .npz files, in {given}; there"
            f" are {len(parts)}. Name the folder above them, or leave --snapshots out."
        )
    return parts


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
        part.name: [path.name for path in islice(part.path.iterdir(), _SOME)]
        for part in parts
        if part.path.is_dir()
    }
    return kind_of_folders([part.name for part in parts], files, classes)


def _beside_real(given: Path, found: list[tuple[Path, list[str]]]) -> list[SampleSet]:
    """The fakes of every folder in which real images lie beside them; several are snapshots."""
    sets = []
    for folder, fakes in found:
        if len(fakes) > 1:
            raise ConfigError(
                f"--generated {given}: {folder} holds {' and '.join(fakes)}, samples of several"
                " sorts. Name one of these folders."
            )
        place = folder.relative_to(given).parts
        name = "-".join(part for part in place if part != "images") or given.resolve().name
        note = f"only {fakes[0]}/ was evaluated: real images lie beside it"
        sets.append(SampleSet(name, folder / fakes[0], (note,)))
    return sorted(sets, key=lambda one: (natural_sort_key(one.name), one.name))


def _role(folder: Path) -> str | None:
    """The role of the samples where files of a folder end in _real_A, _fake_B and such."""
    roles = roles_of_files(_images_in(folder))
    fakes = sorted(role for role in roles if role.lower().startswith("fake"))
    if len(fakes) > 1:
        raise ConfigError(
            f"--generated {folder}: its files end in {' and '.join(fakes)}, samples of several"
            " sorts. Put those of one sort into a folder of their own."
        )
    return fakes[0] if fakes and len(roles) > 1 else None


def _images_in(folder: Path) -> list[str]:
    """Names of images in the folder itself."""
    return [path.name for path in folder.iterdir() if path.is_file() and _named_image(path.name)]


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
        with open_source(SourceSpec(str(path), classes=False), "--generated") as archive:
            source = archive  # members of a zip are read by path, open or not
    else:
        raise ConfigError(
            f"--generated {path} is no folder, zip, .npz or .npy. Name the one that holds the"
            " images that the GAN made."
        )
    images = [
        item
        for item in source.inputs
        if is_image_input(item) and sample_set.role in (None, file_role(item.name))
    ]
    if not images:
        raise InputError(
            f"--generated {path} holds no image, among {len(source.inputs):,} files. Have the"
            " trainer write images, and name their folder."
        )
    return Source(source.title, images)
