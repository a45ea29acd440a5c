"""Finds images that belong to another one of the same name: 0.depth.png of 0.jpg.

Names alone say so: a role that is known, as depth or mask, beside an image without one. Where that
is not certain, all are taken for images, and a note says what they look like.
"""

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace

from ..images.input import SECOND_IMAGE, Input, names_image

ROLES = frozenset(
    "albedo alpha annotation canny depth disparity edge edges gt instance instances label labels"
    " mask masks matte normal normals openpose panoptic parsing seg segm segmentation semantic"
    " thumb thumbnail trimap".split()
)
_REMEDY = "To train on them, put them into a folder or archive of their own."


def leave_out_second_images(inputs: list[Input], title: str) -> tuple[list[Input], list[str]]:
    """The inputs, second images among them refused, and notes on those and on what may be some."""
    images = [i for i in inputs if names_image(i.name) and not i.hidden and not i.refused]
    second = second_images(item.name for item in images)
    rest = [item.name for item in images if item.name not in second]
    notes = [*_left_out(second, title), *_of_one_name(rest, title), *_of_one_role(rest, title)]
    if not second:
        return inputs, notes
    marked = [
        replace(item, refused=SECOND_IMAGE) if item.name in second else item for item in inputs
    ]
    return marked, notes


def second_images(names: Iterable[str]) -> dict[str, str]:
    """Names of images that have a known role -> that of the image that they belong to.

    0.mask.png belongs to 0.png, 0.image.jpg or 0.rgb.png, in the same folder.
    """
    firsts: dict[str, str] = {}
    roles: dict[str, str] = {}
    for name in names:
        owner, role = _owner_and_role(name, ".")
        if role.lower() in ROLES:
            roles[name] = owner
            continue
        firsts[os.path.splitext(name)[0]] = name
        if role:
            firsts.setdefault(owner, name)
    return {name: firsts[owner] for name, owner in roles.items() if owner in firsts}


def _owner_and_role(name: str, separator: str) -> tuple[str, str]:
    """("a/0", "depth") of a/0.depth.png; the role is empty without the separator."""
    stem = os.path.splitext(name)[0]
    folder, slash, last = stem.rpartition("/")
    owner, found, role = last.rpartition(separator)
    return (f"{folder}{slash}{owner}", role) if found and owner else (stem, "")


def _left_out(second: dict[str, str], title: str) -> Iterator[str]:
    if second:
        name, first = next(iter(second.items()))
        yield (
            f"{title}: {len(second)} images that belong to others of the same name are left out,"
            f" such as {name} of {first}. {_REMEDY}"
        )


def _of_one_name(names: list[str], title: str) -> Iterator[str]:
    """A note where names differ in their endings alone."""
    by_stem = defaultdict(list)
    for name in names:
        by_stem[os.path.splitext(name)[0]].append(name)
    several = [same for same in by_stem.values() if len(same) > 1]
    if several:
        yield (
            f"{title}: {len(several)} names have several images, such as"
            f" {' and '.join(several[0][:2])}, and all are taken. If one is a copy or a mask of"
            " the other, move it out, or name the others by a pattern, as in source:"
            f" FOLDER/**/*{os.path.splitext(several[0][0])[1]}."
        )


def _of_one_role(names: list[str], title: str) -> Iterator[str]:
    """A note where 0_mask.png lies beside 0.png, or where every image has the same role beside it.

    The second may be any role: 0.v2.png beside 0.png, 1.v2.png beside 1.png.
    """
    stems = {os.path.splitext(name)[0] for name in names}
    beside: dict[str, list[str]] = defaultdict(list)  # by separator and role
    owned = set()
    for name in names:
        for separator in "._-":
            owner, role = _owner_and_role(name, separator)
            if role and owner in stems:
                beside[separator + role].append(name)
                owned.add(name)
    firsts = len(names) - len(owned)
    for ending, found in beside.items():
        if ending[1:].lower() in ROLES or len(found) == firsts > 1:
            yield (
                f"{title}: {len(found)} images lie beside others whose names they have with"
                f" {ending}, such as {found[0]}, and all are taken. If they are masks or copies of"
                " the others, move them out."
            )
