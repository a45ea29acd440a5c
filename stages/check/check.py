"""Checks whether trainers can read a corpus; decodes every image once, for all of them."""

import re
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ...manifests.errors import ConfigError
from ...manifests.published.index import INDEX
from ...manifests.published.sums import SUMS
from ...manifests.trainers.requirements import (
    fitting_batch,
    network_configuration,
    network_side,
    readable_side,
    specs_of,
)
from ...manifests.trainers.spec import Target, TrainerSpec
from ..common.progress import Progress
from ..sources.arrays import HDF5_SUFFIXES
from .batches import check_batches, trained_images, with_batch
from .file_index import FileIndex, open_index
from .image_facts import ImageFacts, read_image_facts
from .readers.hdf5 import MAGIC, check_hdf5, read_hdf5
from .readers.imagefolder import check_imagefolder
from .readers.lmdb import DATA, check_lmdb, read_lmdb
from .readers.stylegan import check_stylegan
from .readers.unpaired import check_unpaired
from .report import USUAL_SIDE, CheckFindings, CheckResult, printable_path

_READERS = {
    "stylegan": check_stylegan,
    "imagefolder": check_imagefolder,
    "unpaired": check_unpaired,
}


@dataclass(frozen=True)
class CorpusPath:
    """What is at the path: a folder or zip of files, or a database."""

    path: Path
    kind: str  # folder | zip | hdf5 | lmdb
    data: Path  # the file to open: of a folder with one HDF5 file in it, that file


def check_corpus(
    path: Path, reader: str | None, progress: Progress, *, batch: int | None = None
) -> list[CheckResult]:
    """Checks `path` for the target or trainer `reader`, or for every trainer that might read it.

    Of a trainer that reads two targets, the one that fits the path is checked.

    batch: images of a batch that the trainer will be given; None: its usual ones.

    Raises:
        ConfigError: no such path, an unknown kind of file, a package that is missing.
    """
    corpus = find_corpus(path, reader)
    specs = [with_batch(spec, batch) for spec in _specs_to_check(corpus, reader)]
    if not specs:
        return [_wrong_kind(corpus, spec) for spec in specs_of(reader)[:1]]
    if corpus.kind in ("hdf5", "lmdb"):
        return _check_database(corpus, specs, progress)
    try:
        with open_index(corpus.path) as index:
            facts = read_image_facts(index, progress)
            return [_check_files(index, facts, spec) for spec in specs]
    except (zipfile.BadZipFile, OSError) as error:
        rule = "damaged-zip" if isinstance(error, zipfile.BadZipFile) else "unreadable"
        return [_single_finding(corpus, spec, rule, str(error)) for spec in specs]


def find_corpus(path: Path, reader: str | None) -> CorpusPath:
    """The corpus at `path`, its kind found by content. Raises ConfigError where there is none."""
    try:
        return _corpus_at(path, reader)
    except OSError as error:
        raise ConfigError(
            f"{printable_path(path)} cannot be opened: {error.strerror}. Give yourself the right to"
            " read it."
        ) from error


def is_shards(path: Path) -> bool:
    """Whether `path` is a folder of published shards, which no trainer reads as they are."""
    return (path / INDEX).is_file() and (path / SUMS).is_file()


def _corpus_at(path: Path, reader: str | None) -> CorpusPath:
    shown = printable_path(path)
    if not path.exists():
        parent = next((one for one in path.absolute().parents if one.is_dir()), Path("/"))
        raise ConfigError(
            f"{shown} does not exist; the nearest folder that does is {printable_path(parent)}."
            " Correct the path."
        )
    if path.is_dir():
        return _corpus_in_folder(path, reader)
    if not path.is_file():
        raise ConfigError(f"{shown} is neither a file nor a folder. Name a corpus.")
    with open(path, "rb") as file:
        begin = file.read(len(MAGIC))
    if begin == MAGIC or path.suffix.lower() in HDF5_SUFFIXES:
        return CorpusPath(path, "hdf5", path)
    if path.suffix.lower() in (".mdb", ".lmdb"):
        return CorpusPath(path, "lmdb", path)
    if path.suffix.lower() == ".zip" or zipfile.is_zipfile(path):
        return CorpusPath(path, "zip", path)
    raise ConfigError(
        f"{shown} is of no known kind of corpus: it begins with {begin!r}. Name a folder, a"
        " .zip, an HDF5 file or a folder with data.mdb; a .tar is exported or unpacked first."
    )


def _corpus_in_folder(path: Path, reader: str | None) -> CorpusPath:
    if (path / DATA).is_file() or reader == "lmdb":
        return CorpusPath(path, "lmdb", path)
    files = sorted(one for one in path.iterdir() if one.suffix.lower() in HDF5_SUFFIXES)
    targets = {spec.target for spec in specs_of(reader)} if reader else set()
    # Trainers of HDF5 files are given the folder; other folders may contain an HDF5 file by chance.
    if files and (targets == {"hdf5"} or ("hdf5" in targets and not _has_folders(path))):
        named = _file_by_pattern(files, reader)
        return CorpusPath(path, "hdf5", named)
    return CorpusPath(path, "folder", path)


def _has_folders(path: Path) -> bool:
    return any(one.is_dir() for one in path.iterdir())


def _file_by_pattern(files: list[Path], reader: str | None) -> Path:
    for spec in specs_of(reader or "hdf5"):
        pattern = spec.file_pattern.format(resolution=r"\d+")
        for file in files:
            if pattern and re.fullmatch(pattern, file.name):
                return file
    return files[0]


def _specs_to_check(corpus: CorpusPath, reader: str | None) -> Iterator[TrainerSpec]:
    """The rows of `reader`, or of all trainers, that can open such a corpus."""
    possible: dict[str, tuple[Target, ...]] = {
        "folder": ("stylegan", "imagefolder", "unpaired"),
        "zip": ("stylegan",),
        "hdf5": ("hdf5",),
        "lmdb": ("lmdb",),
    }
    for spec in specs_of(reader):
        if spec.target not in possible[corpus.kind]:
            continue
        if reader is None and spec.target == "unpaired" and not _has_sides(corpus.path):
            continue
        yield spec


def _has_sides(path: Path) -> bool:
    return any((path / side).is_dir() for side in ("trainA", "trainB"))


def _check_files(index: FileIndex, facts: dict[str, ImageFacts], spec: TrainerSpec) -> CheckResult:
    findings = CheckFindings(index.path, "zip" if index.is_zip else "folder")
    for name, reason in index.unreadable:
        findings.add("unreadable", f"{name}/", reason)
    known = _READERS[spec.target](index, facts, spec, findings)
    return _result(index.path, spec, findings, known)


def _check_database(
    corpus: CorpusPath, specs: list[TrainerSpec], progress: Progress
) -> list[CheckResult]:
    """Reads an HDF5 or LMDB file once and checks it for each reader."""
    known: Callable[[TrainerSpec, CheckFindings], dict[str, Any]]
    if corpus.kind == "hdf5":
        file = read_hdf5(corpus.data, progress)
        known = partial(check_hdf5, file)
    else:
        database = read_lmdb(corpus.data, progress)
        known = partial(check_lmdb, database)
    results = []
    for spec in specs:
        findings = CheckFindings(corpus.data, "database")
        facts = known(spec, findings)
        if spec.path_word and spec.path_word not in str(corpus.path.absolute()):
            found = f"`{spec.path_word}` is not in the path, so it is read as a folder of images"
            findings.add("wrong-kind", corpus.path.name, found)
        results.append(_result(corpus.path, spec, findings, facts))
    return results


def _result(
    path: Path, spec: TrainerSpec, findings: CheckFindings, known: dict[str, Any]
) -> CheckResult:
    check_batches(spec, known, findings)
    options = [] if findings.errors else _options(path, spec, known)
    side = readable_side(spec, known.get("side") or USUAL_SIDE)
    listed = findings.sorted(side, fitting_batch(spec, trained_images(spec, known)))
    return CheckResult(spec.trainer, spec.target, listed, known, options)


def _options(path: Path, spec: TrainerSpec, known: dict[str, Any]) -> list[str]:
    """The options that are easily forgotten, filled in for a corpus that can be read."""
    lines = list(spec.remember)
    if spec.target == "stylegan" and known.get("labels") in (None, "none"):
        lines = ["no labels: leave --cond out"]
    if spec.target == "imagefolder" and not spec.trainer and known.get("class_count"):
        lines.append("{classes} classes, numbered in this order: --num_domains {classes} and such")
    if spec.target == "hdf5" and not spec.trainer:
        reader = "BigGAN and LeCam" if "NCHW" in known["mode"] else "StudioGAN"
        lines.append(f"its axis order is that of {reader}")
    if spec.target == "unpaired" and not spec.trainer and known.get("images", 0) > 2:
        lines.append("SinCUT: --dataset_mode unaligned --preprocess none, with a batch that fills")
    side = known.get("side")
    values = {
        "resolution": side,
        "network": side and network_side(spec, side),
        "configuration": network_configuration(
            spec, side or 0, labelled=known.get("class_count", 0) > 1
        ),
        "batch": fitting_batch(spec, trained_images(spec, known)),
        "classes": known.get("class_count", 0),
        "parent": printable_path(path if path.is_dir() else path.parent),
    }
    return [line.format(**values) for line in lines]


def _wrong_kind(corpus: CorpusPath, spec: TrainerSpec) -> CheckResult:
    found = f"a {corpus.kind}; {spec.trainer or spec.target} reads {_what_it_opens(spec.target)}"
    return _single_finding(corpus, spec, "wrong-kind", found)


def _single_finding(corpus: CorpusPath, spec: TrainerSpec, rule: str, found: str) -> CheckResult:
    findings = CheckFindings(corpus.path)
    findings.add(rule, corpus.path.name or ".", found)
    return CheckResult(spec.trainer, spec.target, findings.sorted(), {}, [])


def _what_it_opens(target: Target) -> str:
    return {
        "stylegan": "a folder or a .zip",
        "imagefolder": "a folder",
        "unpaired": "a folder with trainA/ and trainB/",
        "hdf5": "an HDF5 file",
        "lmdb": "a folder with data.mdb",
        "parquet": "Parquet files",
    }[target]
