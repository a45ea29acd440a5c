"""Translations between classes: which folder is which pair, which outputs are of one source image.

Folders are named A2B, as StarGAN v2 writes them, A and B being classes of the corpus, or their
folders in an export. Its files are named SOURCE_OUTPUT, four digits and two.
"""

import re
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...manifests.errors import InputError
from ...manifests.trainers.layout import class_folder
from ...models.metrics.perceptual import Lpips, diversity_by_source, perceptual_diversity
from ..evaluate.optional_metrics import PAIRS, takes_images_of

ONE_SOURCE = "outputs of one source image"
ANY_SOURCE = "outputs of different source images"

_OUTPUT = re.compile(r"(\d{4,})_\d{2}")  # 0001_03.png is the third output of the first image

Pair = tuple[int, int]  # class ids: source, target
Images = NDArray[np.uint8]


def pair_of_folder(name: str, classes: Sequence[str]) -> Pair | None:
    """The pair that a folder's name gives; None where it is no A2B of two of the classes.

    Raises InputError where it can be read as two pairs, as 121 of the classes 1, 12 and 21.
    """
    folders = [class_folder(tuple(classes), k) for k in range(len(classes))]
    places = {folder.partition("_")[2]: k for k, folder in enumerate(folders)}
    places |= {text: k for texts in (folders, classes) for k, text in enumerate(texts)}
    found = set()
    for match in re.finditer("2", name):
        parts = name[: match.start()], name[match.end() :]
        source, target = (
            places.get(part, places.get(re.sub(r"^\d+_", "", part))) if part else None
            for part in parts
        )
        if source is not None and target is not None and source != target:
            found.add((source, target))
    if len(found) > 1:
        readings = " or ".join(f"{classes[a]} to {classes[b]}" for a, b in sorted(found))
        raise InputError(
            f"The folder {name} of translations can be read as {readings}. Name the classes as an"
            f" export does, as in {'2'.join(class_folder(tuple(classes), k) for k in min(found))}."
        )
    return found.pop() if found else None


def rows_by_pair(
    names: Sequence[str], classes: Sequence[str], above: str = ""
) -> dict[Pair, NDArray[np.int64]]:
    """Pair -> rows of its images; {} where an image lies in no folder of a pair.

    A name of digits alone, as 120 of classes that are digits, is a pair only where the files are
    named as StarGAN v2 names them: snapshots have such names, too.

    names: paths of the images below the set's folder. above: the name of that folder, which may be
        the pair itself.
    """
    above = re.sub(r"\.(zip|npz|npy)$", "", above)
    known: dict[str, Pair | None] = {}
    rows: dict[Pair, list[int]] = {}
    for row, name in enumerate(names):
        folder = PurePath(name).parent.name or above
        if folder not in known:
            known[folder] = pair_of_folder(folder, classes)
        pair = known[folder]
        if pair is None or (folder.isdecimal() and not _OUTPUT.fullmatch(PurePath(name).stem)):
            return {}  # 120 may be from 1 to 0, or a snapshot
        rows.setdefault(pair, []).append(row)
    return {pair: np.asarray(rows[pair]) for pair in sorted(rows)}


def output_diversity(
    measure: Lpips, images: Images, names: Sequence[str], seed: int
) -> dict[str, Any]:
    """LPIPS of translations (N, H, W, C) of one pair: how varied they are.

    Of the outputs of one source image where the names say that some have several, as StarGAN v2's
    own evaluation; else of seeded pairs of all. `of` says which.

    Raises FeaturesError for images that are too small.
    """
    sources = [_source_of(name) for name in names]
    with takes_images_of(images.shape[1]):
        found, of = diversity_by_source(measure, images, sources, seed), ONE_SOURCE
        if found is None:
            found, of = perceptual_diversity(measure, images, PAIRS, seed), ANY_SOURCE
    return {
        "name": measure.name,
        "value": found.mean,
        "standard_error": found.standard_error,
        "pairs": found.pairs,
        "of": of,
    }


def _source_of(name: str) -> str:
    """What the outputs of one source image have in common; the name itself for others."""
    path = PurePath(name)
    match = _OUTPUT.fullmatch(path.stem)
    return str(path.with_name(match[1])) if match else name
