"""Checks the stylegan target: a folder or .zip of images, with labels in dataset.json at its root.

The reader takes every file whose ending Pillow calls an image's, at any depth.
"""

import re
from typing import Any

from ....manifests.trainers.spec import TrainerSpec
from ...images.input import Input
from ...images.unusable import Unusable
from ...sources.labels import LABELS_FILE
from ..file_index import FileIndex, in_hidden_folder
from ..image_facts import ImageFacts, ending, is_meant_as_image, pillow_endings
from ..images import check_images, check_names
from ..labels import check_labels, is_misnamed
from ..report import CheckFindings

_SPREAD = re.compile(r"\d{3}|\d{5}")


def check_stylegan(
    index: FileIndex, facts: dict[str, ImageFacts], spec: TrainerSpec, findings: CheckFindings
) -> dict[str, Any]:
    """Adds what is wrong; returns the facts of the corpus."""
    if index.is_zip and index.path.suffix.lower() != ".zip":
        findings.add("zip-name", index.path.name)
    for name in index.duplicates:
        findings.add("duplicate-members", name)
    for name in index.links:
        findings.add("linked-folder", name)
    endings = pillow_endings()
    names = [
        one.name
        for one in index.members
        if ending(one.name).lower() in endings and one.name not in index.linked
    ]
    for one in index.members:
        if ending(one.name).lower() not in endings and is_meant_as_image(one.name, facts):
            findings.add("ending-ignored", one.name, f"ending {ending(one.name)}")
    check_names(names, findings)
    _check_files(names, facts, findings)
    known = check_images([(name, facts[name]) for name in names], spec, findings)
    if not names:
        findings.add("no-images", ".", f"files: {len(index.members):,}, none named like an image")
        return known
    return known | _labels(index, names, spec, findings)


def _check_files(names: list[str], facts: dict[str, ImageFacts], findings: CheckFindings) -> None:
    for name in names:
        found = facts[name]
        if found.problem is None and name.lower().endswith(".png") and found.format != "PNG":
            findings.add("not-png-inside", name, f"holds {found.format}")
        if in_hidden_folder(name):
            findings.add("hidden-images", name)


def _labels(
    index: FileIndex, images: list[str], spec: TrainerSpec, findings: CheckFindings
) -> dict[str, Any]:
    at_root = next((one for one in index.members if one.name == LABELS_FILE), None)
    if at_root is not None:
        data = _read(at_root, findings)
        if data is None:
            return {}
        return check_labels(data, images, findings, captions=spec.text_labels)
    deeper = [one.name for one in index.members if one.name.endswith(f"/{LABELS_FILE}")]
    other = [one.name for one in index.members if is_misnamed(one.name)]
    for name in deeper:
        findings.add("labels-in-subfolder", name)
    for name in other:
        findings.add("labels-misnamed", name)
    # The trainers' own tool spreads images over folders 00000, 00001, our export over 000, 001:
    # those mean nothing.
    inside = sorted({name.rpartition("/")[0].strip("/") for name in images} - {""})
    meant = [name for name in inside if not _SPREAD.fullmatch(name) and name[0] not in "._"]
    if len(meant) > 1 and not deeper and not other:
        for name in meant:
            findings.add("folders-are-no-labels", name)
    return {"labels": "none"}


def _read(member: Input, findings: CheckFindings) -> bytes | None:
    try:
        if member.refused:
            raise Unusable(member.refused)
        return member.read()
    except Exception as error:  # a broken zip member raises its codec's many types
        findings.add("unreadable", member.name, str(error))
        return None
