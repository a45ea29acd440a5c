"""The unpaired target: trainA/ and trainB/, with testA/ and testB/ for testing.

The loader goes into sub-folders and takes endings in lower or upper case.
"""

from typing import Any

from ..file_index import FileIndex, in_hidden_folder
from ..image_facts import ImageFacts, claims_image, ending
from ..images import judge_images, judge_names
from ..needs import Need
from ..report import CheckFindings
from .imagefolder import takes

_SIDES = ("trainA", "trainB")
_TEST_SIDES = ("testA", "testB")


def judge_unpaired(
    listing: FileIndex, facts: dict[str, ImageFacts], need: Need, findings: CheckFindings
) -> dict[str, Any]:
    """Adds what is wrong; returns the facts of the corpus."""
    tops = listing.folders_in("")
    names: list[str] = []
    counts: dict[str, int] = {}
    for side in _SIDES:
        if side not in tops:
            there = ", ".join(tops[:5]) or "no folders"
            findings.add("split-missing", f"{side}/", f"there are: {there}")
            continue
        inside = _side(listing, facts, side, need, findings)
        counts[side] = len(inside)
        names += inside
        if not inside:
            findings.add("side-empty", f"{side}/")
        for name in inside if need.one_a_side and len(inside) > 1 else ():
            findings.add("one-image-a-side", name, f"{len(inside):,} images in {side}/")
    for side in _TEST_SIDES:
        if side in tops:
            inside = _side(listing, facts, side, need, findings)
            counts[side] = len(inside)
            names += inside
        else:
            findings.add("no-test-folders", f"{side}/")
    judge_names(names, findings)
    sound = [(name, facts.get(name) or ImageFacts(problem="not-an-image")) for name in names]
    return judge_images(sound, need, findings) | {"classes": counts, "class_count": len(counts)}


def _side(
    listing: FileIndex, facts: dict[str, ImageFacts], side: str, need: Need, findings: CheckFindings
) -> list[str]:
    names = []
    for one in listing.below(f"{side}/"):
        if takes(need, one.name):
            names.append(one.name)
            if in_hidden_folder(one.name):
                findings.add("hidden-images", one.name)
        elif claims_image(one.name, facts):
            findings.add("ending-ignored", one.name, f"ending {ending(one.name)}")
    return names
