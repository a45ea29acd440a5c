"""check against an independent reader: what it calls readable is read to the end, and only that.

The reader follows the contract of the stylegan layout in its own words: images sorted by name, all
as arrays of one shape, a label for each looked up by its path.
"""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from broken import CUT_PNG, PNG, WIDE_PNG, encoded, png
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from scoremix.stages.check.check import check_corpus
from scoremix.stages.common.progress import Silent

KINDS = {
    "sound": PNG,
    "gray": png(mode="L"),
    "small": png(8),
    "wide": WIDE_PNG,
    "tall": png(16, 32),
    "odd": png(24),
    "alpha": png(mode="RGBA"),
    "index": png(mode="P"),
    "bits": png(mode="1"),
    "cut": CUT_PNG,
    "text": b"not an image",
    "empty": b"",
    "other format": encoded(form="BMP"),
}
LABELS = st.sampled_from(["none", "numbers", "lists", "one missing", "one longer", "one a list"])


def read_to_the_end(path: Path) -> None:
    """Raises whatever goes wrong in an epoch over the zip."""
    with zipfile.ZipFile(path) as archive:
        names = sorted(name for name in archive.namelist() if name.endswith((".png", ".bmp")))
        assert names, "no images"
        shapes = set()
        for name in names:
            with Image.open(io.BytesIO(archive.read(name))) as image:
                assert image.mode in ("L", "RGB"), "channels, or indices in place of colours"
                assert (image.format == "PNG") == name.endswith(".png"), "pyspng reads PNG alone"
                pixels = np.asarray(image)
            assert pixels.dtype == np.uint8
            shapes.add(pixels.shape)
        assert len(shapes) == 1, "a batch cannot be stacked"
        height, width = shapes.pop()[:2]
        assert height == width and height >= 4 and np.log2(height).is_integer()
        if "dataset.json" in archive.namelist():
            table = dict(json.loads(archive.read("dataset.json"))["labels"])
            labels = np.array([table[name] for name in names])  # raises for lists of two lengths
            assert labels.dtype.kind in "if"


def label_pairs(kind: str, names: list[str]) -> list[list[Any]]:
    value = [0.25, 0.75] if kind in ("lists", "one longer") else 0
    pairs: list[list[Any]] = [[name, value] for name in names]
    if kind == "one missing":
        return pairs[1:]
    if kind == "one longer":
        pairs[0][1] = [0.25, 0.5, 0.25]
    if kind == "one a list":
        pairs[0][1] = [1]
    return pairs


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    usual=st.sampled_from(["sound", "sound", "sound", "gray", "small", "odd", "other format"]),
    others=st.lists(st.sampled_from(list(KINDS)), max_size=2),
    labels=LABELS,
)
def test_readable_means_that_a_reader_comes_to_the_end(
    tmp_path: Path, usual: str, others: list[str], labels: str
) -> None:
    path = tmp_path / "corpus.zip"
    kinds = [*others, usual, usual, usual]
    endings = [".bmp" if kind == "other format" else ".png" for kind in kinds]
    names = [f"{place:03d}{ending}" for place, ending in enumerate(endings)]
    with zipfile.ZipFile(path, "w") as archive:
        for name, kind in zip(names, kinds, strict=True):
            archive.writestr(name, KINDS[kind])
        if labels != "none":
            archive.writestr("dataset.json", json.dumps({"labels": label_pairs(labels, names)}))
    try:
        read_to_the_end(path)
        failed = None
    except Exception as error:
        failed = error
    [verdict] = check_corpus(path, "stylegan2-ada", Silent())
    assert verdict.readable == (failed is None), (failed, verdict.findings)
