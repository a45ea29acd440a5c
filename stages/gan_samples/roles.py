"""Finds the samples that lie beside real images: by names of folders, or by how files' names end.

As CUT's real_A/, real_B/ and fake_B/, StudioGAN's real/ and fake/, CycleGAN's 0001_real_A.png and
0001_fake_B.png.
"""

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..images.input import is_hidden, names_image

_REAL = re.compile(r"reals?(_[AB])?", re.I)
_FAKE = re.compile(r"fakes?(_[AB])?", re.I)
_FILE = re.compile(r"(?P<stem>.*)_(?P<role>(real|fake|rec|idt)(_[AB])?)", re.I)


@dataclass(frozen=True)
class ListedFolder:
    """A folder on a disk or in an archive: its path below the top, "" for the top itself."""

    path: str
    folders: Sequence[str]
    images: Sequence[str]  # names of the images in the folder itself


@dataclass(frozen=True)
class FakesBesideReal:
    """The samples of one folder in which real images lie beside them."""

    folder: str  # below the top, "" for the top itself
    sorts: list[str]  # of samples: names of folders, or ends of files' names
    are_folders: bool

    def holds(self, folder: str) -> bool:
        """Whether images in `folder` are those samples, or the real ones beside them."""
        inside = self.are_folders and (
            not self.folder or f"{folder}/".startswith(self.folder + "/")
        )
        return inside or folder == self.folder


def list_folder(top: Path) -> Iterator[ListedFolder]:
    """Every folder from `top` down, those above others first; links to folders are not entered."""
    for root, folders, files in os.walk(top):
        folders[:] = sorted(name for name in folders if not is_hidden(name))
        below = os.path.relpath(root, top).replace(os.sep, "/")
        yield ListedFolder("" if below == "." else below, list(folders), _images_of(files))


def list_members(names: Iterable[str]) -> Iterator[ListedFolder]:
    """The same of the images of an archive, by their names with "/" between the parts."""
    images, folders = defaultdict[str, list[str]](list), defaultdict[str, set[str]](set)
    for name in names:
        if not is_hidden(name) and names_image(name):
            folder, _, file = name.rpartition("/")
            images[folder].append(file)
            while folder:
                folder, _, last = folder.rpartition("/")
                folders[folder].add(last)
    for path in sorted({*images, *folders}):
        yield ListedFolder(path, sorted(folders[path]), images[path])


def find_fakes_beside_real(
    listed: Iterable[ListedFolder],
) -> tuple[list[FakesBesideReal], list[str]]:
    """What lies beside real images, in the order of the folders; and the other images, by path.

    The others are those that no finding explains, as a sheet of all images beside CycleGAN's.
    """
    found: list[FakesBesideReal] = []
    others: list[str] = []
    for each in listed:
        if any(known.are_folders and known.holds(each.path) for known in found):
            continue
        prefix = f"{each.path}/" if each.path else ""
        fakes = [name for name in each.folders if _FAKE.fullmatch(name)]
        if fakes and any(map(_REAL.fullmatch, each.folders)):
            found.append(FakesBesideReal(each.path, fakes, are_folders=True))
            others += [prefix + name for name in each.images]
        elif ends := _ends_of_fakes(each.images):
            found.append(FakesBesideReal(each.path, ends, are_folders=False))
            others += [prefix + name for name in each.images if file_role(name) is None]
        else:
            others += [prefix + name for name in each.images]
    return found, others


def file_role(name: str) -> str | None:
    """How a file's name ends: "fake_B" of 0001_fake_B.png; None where it has no such end."""
    match = _FILE.fullmatch(_stem(name))
    return match and match["role"]


def _ends_of_fakes(names: Iterable[str]) -> list[str]:
    """The ends of samples' names, where files of other ends lie beside them.

    Files without such an end do not matter where a sample and a real image have the same stem.
    """
    matches = [_FILE.fullmatch(_stem(name)) for name in names]
    stems: dict[str, set[str]] = {"fake": set(), "real": set()}
    roles = set()
    for match in filter(None, matches):
        roles.add(match["role"])
        stems.setdefault(match["role"].lower()[:4], set()).add(match["stem"])
    is_paired = bool(stems["fake"] & stems["real"])
    if not (is_paired or (None not in matches and len(roles) > 1)):
        return []
    return sorted(role for role in roles if role.lower().startswith("fake"))


def _stem(name: str) -> str:
    return name.rpartition("/")[2].rpartition(".")[0]


def _images_of(files: Iterable[str]) -> list[str]:
    return sorted(name for name in files if names_image(name) and not is_hidden(name))
