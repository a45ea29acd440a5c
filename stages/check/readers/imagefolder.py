"""Checks the imagefolder target: <split>/<class>/image, classes numbered in the order of names."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ....manifests.trainers.spec import TrainerSpec
from ...images.input import Input
from ..file_index import FileIndex, in_hidden_folder
from ..image_facts import ImageFacts, ending, is_meant_as_image
from ..images import check_images, check_names
from ..report import CheckFindings

_SPLITS = ("train", "training", "val", "valid", "validation", "test")
_NUMBERED = re.compile(r"(\D*)(\d+)")


@dataclass(frozen=True)
class _FolderCheck:
    index: FileIndex
    facts: dict[str, ImageFacts]
    spec: TrainerSpec
    findings: CheckFindings

    def is_image(self, member: Input) -> bool:
        return is_meant_as_image(member.name, self.facts)

    def taken(self, members: Sequence[Input]) -> list[str]:
        """Names of the members that the loader takes, by their ending."""
        return [one.name for one in members if takes(self.spec, one.name)]


def takes(spec: TrainerSpec, name: str) -> bool:
    """Whether a loader takes a file of this name."""
    found = ending(name)
    return (found.lower() if spec.any_case else found) in spec.endings


def check_imagefolder(
    index: FileIndex, facts: dict[str, ImageFacts], spec: TrainerSpec, findings: CheckFindings
) -> dict[str, Any]:
    """Adds what is wrong; returns the facts of the corpus."""
    corpus = _FolderCheck(index, facts, spec, findings)
    names, classes = (_flat_images(corpus), None) if spec.classless else _check_splits(corpus)
    check_names(names, findings)
    known = check_images([(name, _facts(facts, name)) for name in names], spec, findings)
    if not names:
        findings.add("no-images", ".", f"files at any depth: {len(index.members):,}")
    if classes is not None:
        known |= {"labels": "class folders", "classes": classes, "class_count": len(classes)}
    return known


def _facts(facts: dict[str, ImageFacts], name: str) -> ImageFacts:
    return facts.get(name) or ImageFacts(problem="not-an-image")


def _flat_images(corpus: _FolderCheck) -> list[str]:
    """A trainer that has no classes: every image below the folder, or directly in it."""
    members = corpus.index.members
    for name in corpus.index.links if corpus.spec.any_depth else ():
        corpus.findings.add("linked-folder", name)
    _check_ignored(corpus, members)
    names = corpus.taken([one for one in members if one.name not in corpus.index.linked])
    if corpus.spec.any_depth:
        return names
    for name in names:
        if "/" in name:
            corpus.findings.add("images-too-deep", name)
    return [name for name in names if "/" not in name]


def _check_ignored(corpus: _FolderCheck, members: Sequence[Input]) -> None:
    """Images that the loader does not take because of their ending."""
    for one in members:
        if corpus.is_image(one) and not takes(corpus.spec, one.name):
            found = f"ending {ending(one.name)}; it takes {' '.join(corpus.spec.endings)}"
            corpus.findings.add("ending-ignored", one.name, found)


def _check_splits(corpus: _FolderCheck) -> tuple[list[str], dict[str, int]]:
    """Every split and its classes; counts are those of the first split, the training one."""
    names: list[str] = []
    first: dict[str, int] | None = None
    for prefix in _split_prefixes(corpus):
        inside, counts = _check_split(corpus, prefix)
        names += inside
        if first is None:
            first = counts
        elif corpus.spec.splits and list(counts) != list(first):
            odd = sorted(set(counts) ^ set(first))
            corpus.findings.add("split-classes", prefix.rstrip("/"), f"differ: {', '.join(odd)}")
    return names, first or {}


def _split_prefixes(corpus: _FolderCheck) -> list[str]:
    """Prefixes of the folders that hold the class folders."""
    spec, index = corpus.spec, corpus.index
    top_folders = index.folders_in("")
    if spec.splits:
        for name in spec.splits:
            if name not in top_folders:
                there = ", ".join(top_folders[:5]) or "no folders"
                corpus.findings.add("split-missing", f"{name}/", f"there are: {there}")
        return [f"{name}/" for name in spec.splits if name in top_folders]
    if spec.fixed_split and spec.split in top_folders:
        return [f"{spec.split}/"]
    if spec.fixed_split and index.path.name != spec.split:
        there = ", ".join(top_folders[:5]) or "no folders"
        corpus.findings.add("split-missing", f"{spec.split}/", f"there are: {there}")
        return []
    shown = [name for name in top_folders if not name.startswith(".")]
    if shown and set(shown) <= set(_SPLITS):
        return [f"{name}/" for name in sorted(shown, key=_SPLITS.index)]
    return [""]


def _check_split(corpus: _FolderCheck, prefix: str) -> tuple[list[str], dict[str, int]]:
    """One split: names of its images, class -> count in the order of class numbers."""
    index, spec, findings = corpus.index, corpus.spec, corpus.findings
    where = prefix.rstrip("/") or "."
    classes = index.folders_in(prefix)
    members = index.below(prefix)
    _check_stray_files(
        corpus, [one for one in members if "/" not in one.name[len(prefix) :]], bool(classes)
    )
    if not classes:
        findings.add("no-classes", where, f"files: {len(members):,}, no folders")
        return [], {}
    names: list[str] = []
    counts: dict[str, int] = {}
    inside: dict[str, list[Input]] = {name: [] for name in classes}
    for one in members:
        first, slash, _ = one.name[len(prefix) :].partition("/")
        if slash:
            inside[first].append(one)
    for name in classes:
        counts[name] = _check_class(corpus, f"{prefix}{name}", inside[name], names)
    _check_class_names([name for name in classes if not name.startswith(".")], prefix, findings)
    if spec.max_classes is not None and len(classes) > spec.max_classes:
        findings.add("too-many-classes", where, f"{len(classes):,} classes")
    if len(classes) == 1:
        findings.add("one-class", f"{prefix}{classes[0]}")
    is_training = prefix.rstrip("/") in ("", "train")
    if is_training and 0 < len(names) < spec.least_images:
        findings.add("too-few-images", where, f"{len(names)} images")
    return names, counts


def _check_stray_files(corpus: _FolderCheck, files: Sequence[Input], has_classes: bool) -> None:
    """Plain files where class folders should be."""
    for one in files:
        if corpus.spec.lists_files:
            corpus.findings.add("file-at-class-root", one.name)
        elif corpus.is_image(one):
            if has_classes:
                corpus.findings.add("image-at-class-root", one.name)
        elif has_classes:
            corpus.findings.add("stray-file", one.name)


def _check_class(corpus: _FolderCheck, path: str, members: list[Input], names: list[str]) -> int:
    """Adds the class's images to `names`; returns how many they are."""
    findings, name = corpus.findings, path.rsplit("/", 1)[-1]
    taken = corpus.taken(members)
    if name.startswith("."):
        findings.add("hidden-folder", path, f"{len(taken)} images inside")
    elif not taken:
        findings.add("empty-folder", path, f"files inside: {len(members):,}, none that it takes")
    _check_ignored(corpus, members)
    for one in taken:
        if in_hidden_folder(one[len(path) + 1 :]):
            findings.add("hidden-images", one)
    names += taken
    return len(taken)


def _check_class_names(classes: list[str], prefix: str, findings: CheckFindings) -> None:
    numbered = [_NUMBERED.fullmatch(name) for name in classes]
    stems = {match[1] for match in numbered if match}
    if all(numbered) and len(stems) == 1:
        by_number = sorted(classes, key=lambda name: int(name[len(next(iter(stems))) :]))
        for text, number in zip(classes, by_number, strict=True):
            if text != number:
                found = f"{text!r} stands where {number!r} would by number"
                findings.add("unpadded-classes", f"{prefix}{text}", found)
    seen: dict[str, str] = {}
    for name in classes:
        other = seen.setdefault(name.casefold(), name)
        if other != name:
            findings.add("case-collision", f"{prefix}{name}", f"and {prefix}{other}")
