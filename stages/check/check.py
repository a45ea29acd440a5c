"""judge: can the trainers read what is at a path? Every image is decoded once, for all of them."""

import re
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ...manifests.errors import ConfigError
from ...manifests.trainers.requirements import network_side, specs_of
from ...manifests.trainers.spec import Target, TrainerSpec
from ..common.progress import Progress
from .file_index import FileIndex, open_index
from .image_facts import ImageFacts, survey
from .readers.hdf5 import MAGIC, judge_hdf5, read_hdf5
from .readers.imagefolder import judge_imagefolder
from .readers.lmdb import DATA, judge_lmdb, read_lmdb
from .readers.stylegan import judge_stylegan
from .readers.unpaired import judge_unpaired
from .report import CheckFindings, CheckResult, shell_name

_HDF5_ENDINGS = (".hdf5", ".h5", ".hdf")
_READERS = {
    "stylegan": judge_stylegan,
    "imagefolder": judge_imagefolder,
    "unpaired": judge_unpaired,
}


@dataclass(frozen=True)
class CorpusPath:
    """What lies at the path: a folder or zip of files, or a database."""

    path: Path
    kind: str  # folder | zip | hdf5 | lmdb
    data: Path  # the file to open: of a folder with one HDF5 file in it, that file


def check_corpus(path: Path, wanted: str | None, progress: Progress) -> list[CheckResult]:
    """A verdict for the target or trainer `wanted`, or for all that might read `path`.

    A trainer that reads two targets is judged by the one that the path is.

    Raises:
        ConfigError: no such path, a kind that cannot be told, a package that is missing.
    """
    place = find_place(path, wanted)
    specs = list(_fitting(place, wanted))
    if not specs:
        return [_wrong_kind(place, spec) for spec in specs_of(wanted)[:1]]
    if place.kind in ("hdf5", "lmdb"):
        return _judge_database(place, specs, progress)
    try:
        with open_index(place.path) as listing:
            facts = survey(listing, progress)
            return [_judge_files(listing, facts, spec) for spec in specs]
    except (zipfile.BadZipFile, OSError) as error:
        rule = "damaged-zip" if isinstance(error, zipfile.BadZipFile) else "unreadable"
        return [_failed(place, spec, rule, str(error)) for spec in specs]


def find_place(path: Path, wanted: str | None) -> CorpusPath:
    """What lies at `path`, told by content. Raises ConfigError if there is nothing, or no kind."""
    try:
        return _found(path, wanted)
    except OSError as error:
        raise ConfigError(
            f"{shell_name(path)} cannot be opened: {error.strerror}. Give yourself the right to"
            " read it."
        ) from error


def _found(path: Path, wanted: str | None) -> CorpusPath:
    shown = shell_name(path)
    if not path.exists():
        parent = next((one for one in path.absolute().parents if one.is_dir()), Path("/"))
        raise ConfigError(
            f"{shown} does not exist; the nearest folder that does is {shell_name(parent)}."
            " Correct the path."
        )
    if path.is_dir():
        return _folder(path, wanted)
    if not path.is_file():
        raise ConfigError(f"{shown} is neither a file nor a folder. Name a corpus.")
    with open(path, "rb") as file:
        begin = file.read(len(MAGIC))
    if begin == MAGIC or path.suffix.lower() in _HDF5_ENDINGS:
        return CorpusPath(path, "hdf5", path)
    if path.suffix.lower() in (".mdb", ".lmdb"):
        return CorpusPath(path, "lmdb", path)
    if path.suffix.lower() == ".zip" or zipfile.is_zipfile(path):
        return CorpusPath(path, "zip", path)
    raise ConfigError(
        f"{shown} is no corpus whose kind can be told: it begins with {begin!r}. Name a folder, a"
        " .zip, an HDF5 file or a folder with data.mdb; a .tar is exported or unpacked first."
    )


def _folder(path: Path, wanted: str | None) -> CorpusPath:
    if (path / DATA).is_file() or wanted == "lmdb":
        return CorpusPath(path, "lmdb", path)
    files = sorted(one for one in path.iterdir() if one.suffix.lower() in _HDF5_ENDINGS)
    targets = {spec.target for spec in specs_of(wanted)} if wanted else set()
    # The trainers of HDF5 files are given the folder; another folder may hold one by the way.
    if files and (targets == {"hdf5"} or ("hdf5" in targets and not _has_folders(path))):
        named = _named_as_wanted(files, wanted)
        return CorpusPath(path, "hdf5", named)
    return CorpusPath(path, "folder", path)


def _has_folders(path: Path) -> bool:
    return any(one.is_dir() for one in path.iterdir())


def _named_as_wanted(files: list[Path], wanted: str | None) -> Path:
    for spec in specs_of(wanted or "hdf5"):
        pattern = spec.file_pattern.format(resolution=r"\d+")
        for file in files:
            if pattern and re.fullmatch(pattern, file.name):
                return file
    return files[0]


def _fitting(place: CorpusPath, wanted: str | None) -> Iterator[TrainerSpec]:
    """The rows to judge: of those wanted the ones that can open such a place."""
    possible: dict[str, tuple[Target, ...]] = {
        "folder": ("stylegan", "imagefolder", "unpaired"),
        "zip": ("stylegan",),
        "hdf5": ("hdf5",),
        "lmdb": ("lmdb",),
    }
    for spec in specs_of(wanted):
        if spec.target not in possible[place.kind]:
            continue
        if wanted is None and spec.target == "unpaired" and not _has_sides(place.path):
            continue
        yield spec


def _has_sides(path: Path) -> bool:
    return any((path / side).is_dir() for side in ("trainA", "trainB"))


def _judge_files(
    listing: FileIndex, facts: dict[str, ImageFacts], spec: TrainerSpec
) -> CheckResult:
    findings = CheckFindings(listing.path)
    for name, reason in listing.unreadable:
        findings.add("unreadable", f"{name}/", reason)
    known = _READERS[spec.target](listing, facts, spec, findings)
    return _verdict(listing.path, spec, findings, known)


def _judge_database(
    place: CorpusPath, specs: list[TrainerSpec], progress: Progress
) -> list[CheckResult]:
    """HDF5 and LMDB: read once, judged for each reader."""
    known: Callable[[TrainerSpec, CheckFindings], dict[str, Any]]
    if place.kind == "hdf5":
        file = read_hdf5(place.data, progress)
        known = partial(judge_hdf5, file)
    else:
        database = read_lmdb(place.data, progress)
        known = partial(judge_lmdb, database)
    verdicts = []
    for spec in specs:
        findings = CheckFindings(place.path)
        facts = known(spec, findings)
        if spec.path_word and spec.path_word not in str(place.path.absolute()):
            found = f"`{spec.path_word}` is not in the path, so it is read as a folder of images"
            findings.add("wrong-kind", place.path.name, found)
        verdicts.append(_verdict(place.path, spec, findings, facts))
    return verdicts


def _verdict(
    path: Path, spec: TrainerSpec, findings: CheckFindings, known: dict[str, Any]
) -> CheckResult:
    options = [] if findings.errors else _options(path, spec, known)
    return CheckResult(spec.trainer, spec.target, findings.sorted(), known, options)


def _options(path: Path, spec: TrainerSpec, known: dict[str, Any]) -> list[str]:
    """The exact options to remember, for a corpus that can be read."""
    lines = list(spec.remember)
    if spec.target == "stylegan" and known.get("labels") in (None, "none"):
        lines = ["no labels: leave --cond out"]
    if spec.target == "imagefolder" and not spec.trainer and known.get("class_count"):
        lines.append("{classes} classes, numbered in this order: --num_domains {classes} and such")
    if spec.target == "hdf5" and not spec.trainer:
        reader = "BigGAN and LeCam" if "NCHW" in known["mode"] else "StudioGAN"
        lines.append(f"its axis order is that of {reader}")
    if spec.target == "unpaired" and not spec.single_image and known.get("images", 0) > 2:
        lines.append("SinCUT: --dataset_mode unaligned --preprocess none --batch_size 16")
    side = known.get("side")
    values = {
        "resolution": side,
        "network": side and network_side(spec, side),
        "classes": known.get("class_count", 0),
        "parent": shell_name(path if path.is_dir() else path.parent),
    }
    return [line.format(**values) for line in lines]


def _wrong_kind(place: CorpusPath, spec: TrainerSpec) -> CheckResult:
    found = f"a {place.kind}; {spec.trainer or spec.target} reads {_opens(spec.target)}"
    return _failed(place, spec, "wrong-kind", found)


def _failed(place: CorpusPath, spec: TrainerSpec, rule: str, found: str) -> CheckResult:
    findings = CheckFindings(place.path)
    findings.add(rule, place.path.name or ".", found)
    return CheckResult(spec.trainer, spec.target, findings.sorted(), {}, [])


def _opens(target: Target) -> str:
    return {
        "stylegan": "a folder or a .zip",
        "imagefolder": "a folder",
        "unpaired": "a folder with trainA/ and trainB/",
        "hdf5": "an HDF5 file",
        "lmdb": "a folder with data.mdb",
    }[target]
