"""The stylegan target: a folder or a .zip of images, with dataset.json at its root for labels.

The reader takes every file whose ending Pillow calls an image's, at any depth.
"""

import re
from typing import Any

from ....manifests.trainers.spec import TrainerSpec
from ...images.decode import Unusable
from ...images.input import Input
from ...sources.labels import LABELS_FILE
from ..file_index import FileIndex, in_hidden_folder
from ..image_facts import ImageFacts, claims_image, ending, pillow_endings
from ..images import judge_images, judge_names
from ..labels import judge_labels, misnamed
from ..report import CheckFindings

_SPREAD = re.compile(r"\d{3}|\d{5}")


def judge_stylegan(
    listing: FileIndex, facts: dict[str, ImageFacts], spec: TrainerSpec, findings: CheckFindings
) -> dict[str, Any]:
    """Adds what is wrong; returns the facts of the corpus."""
    if listing.is_zip and listing.path.suffix.lower() != ".zip":
        findings.add("zip-name", listing.path.name)
    for name in listing.duplicates:
        findings.add("duplicate-members", name)
    for name in listing.links:
        findings.add("linked-folder", name)
    endings = pillow_endings()
    names = [
        one.name
        for one in listing.members
        if ending(one.name).lower() in endings and one.name not in listing.linked
    ]
    for one in listing.members:
        if ending(one.name).lower() not in endings and claims_image(one.name, facts):
            findings.add("ending-ignored", one.name, f"ending {ending(one.name)}")
    judge_names(names, findings)
    _judge_places(names, facts, findings)
    known = judge_images([(name, facts[name]) for name in names], spec, findings)
    if not names:
        findings.add("no-images", ".", f"{len(listing.members)} files, none named like an image")
        return known
    return known | _labels(listing, names, findings)


def _judge_places(names: list[str], facts: dict[str, ImageFacts], findings: CheckFindings) -> None:
    for name in names:
        found = facts[name]
        if found.problem is None and name.lower().endswith(".png") and found.format != "PNG":
            findings.add("not-png-inside", name, f"holds {found.format}")
        if in_hidden_folder(name):
            findings.add("hidden-images", name)


def _labels(listing: FileIndex, images: list[str], findings: CheckFindings) -> dict[str, Any]:
    at_root = next((one for one in listing.members if one.name == LABELS_FILE), None)
    if at_root is not None:
        data = _read(at_root, findings)
        return judge_labels(data, images, findings) if data is not None else {}
    deeper = [one.name for one in listing.members if one.name.endswith(f"/{LABELS_FILE}")]
    other = [one.name for one in listing.members if misnamed(one.name)]
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
    except Exception as error:  # a broken zip member raises what its codec likes
        findings.add("unreadable", member.name, str(error))
        return None
