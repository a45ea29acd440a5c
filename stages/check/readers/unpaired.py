"""Checks the unpaired target: trainA/ and trainB/, with testA/ and testB/ for testing.

The loader goes into sub-folders and takes endings in lower or upper case.
"""

from typing import Any

from ....manifests.trainers.requirements import single_image_spec
from ....manifests.trainers.spec import TrainerSpec
from ..file_index import FileIndex, in_hidden_folder
from ..image_facts import ImageFacts, ending, is_meant_as_image
from ..images import Image, check_images, check_names
from ..report import CheckFindings
from .imagefolder import takes

_SIDES = ("trainA", "trainB")
_TEST_SIDES = ("testA", "testB")


def check_unpaired(
    index: FileIndex, facts: dict[str, ImageFacts], spec: TrainerSpec, findings: CheckFindings
) -> dict[str, Any]:
    """Adds what is wrong; returns the facts of the corpus."""
    top_folders = index.folders_in("")
    counts: dict[str, int] = {}
    training: list[str] = []
    test: list[str] = []
    for side in _SIDES:
        if side not in top_folders:
            there = ", ".join(top_folders[:5]) or "no folders"
            findings.add("split-missing", f"{side}/", f"there are: {there}")
            continue
        inside = _images_of_side(index, facts, side, spec, findings)
        counts[side] = len(inside)
        training += inside
        if not inside:
            findings.add("side-empty", f"{side}/")
        for name in inside if spec.single_image and len(inside) > 1 else ():
            findings.add("one-image-a-side", name, f"{len(inside):,} images in {side}/")
    if max(counts.values(), default=0) <= 1:
        spec = single_image_spec(spec)
    for side in _TEST_SIDES:
        if side in top_folders:
            inside = _images_of_side(index, facts, side, spec, findings)
            counts[side] = len(inside)
            test += inside
        else:
            findings.add("no-test-folders", f"{side}/")
    check_names([*training, *test], findings)
    known = _check_images(training, test, facts, spec, findings)
    return known | {"classes": counts, "class_count": len(counts)}


def _check_images(
    training: list[str],
    test: list[str],
    facts: dict[str, ImageFacts],
    spec: TrainerSpec,
    findings: CheckFindings,
) -> dict[str, Any]:
    """Test images are read one by one: any size will do, also where training asks for one."""

    def named(names: list[str]) -> list[Image]:
        return [(name, facts.get(name) or ImageFacts(problem="not-an-image")) for name in names]

    if not spec.exact:
        return check_images(named([*training, *test]), spec, findings)
    known = check_images(named(training), spec, findings)
    tested = check_images(named(test), single_image_spec(spec), findings)
    return known | {"images": known["images"] + tested["images"]}


def _images_of_side(
    index: FileIndex,
    facts: dict[str, ImageFacts],
    side: str,
    spec: TrainerSpec,
    findings: CheckFindings,
) -> list[str]:
    names = []
    for one in index.below(f"{side}/"):
        if takes(spec, one.name):
            names.append(one.name)
            if in_hidden_folder(one.name):
                findings.add("hidden-images", one.name)
        elif is_meant_as_image(one.name, facts):
            findings.add("ending-ignored", one.name, f"ending {ending(one.name)}")
    return names
