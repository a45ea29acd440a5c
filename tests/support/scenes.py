"""Pictures of one distribution, a run on them, and `evaluate --generated` of samples."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import tiny
from in_process import cli
from numpy.typing import NDArray
from PIL import Image, ImageFilter

Images = NDArray[np.uint8]

SIDE = 16


def scenes(count: int, seed: int) -> Images:
    """RGB pictures (count, 16, 16, 3) of one distribution: a bright blob on a sloping ground."""
    random = np.random.default_rng(seed)
    centres = random.uniform(3.0, 12.0, (count, 2, 1, 1))
    across, down = np.meshgrid(np.arange(SIDE), np.arange(SIDE))
    blob = 150 * np.exp(-((across - centres[:, 0]) ** 2 + (down - centres[:, 1]) ** 2) / 6)
    slope = random.uniform(0, 4, (count, 1, 1)) * across
    colour = random.uniform(0.5, 1.0, (count, 1, 1, 3))
    grain = random.normal(0, 6, (count, SIDE, SIDE, 3))
    pixels = (blob + slope)[..., None] * colour + grain + 20
    return pixels.round().clip(0, 255).astype(np.uint8)


def save(images: Images, folder: Path, suffix: str = "png", blur: float = 0.0) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number, pixels in enumerate(images):
        image = Image.fromarray(pixels)
        if blur:
            image = image.filter(ImageFilter.GaussianBlur(blur))
        image.save(folder / f"seed{number:04d}.{suffix}")
    return folder


def make_run(root: Path) -> Path:
    """A run of mixup on 90 scenes, 80 others held out."""
    source, others = save(scenes(90, 1), root / "photos"), save(scenes(80, 2), root / "others")
    changed = tiny.options(
        generate__method="mixup",
        generate__ratio=1,
        ingest__resolution=SIDE,
        ingest__holdout=None,
        ingest__reference=str(others),
    )
    command = ["augment", "--data", source, "--out", root / "run" / "shards", "--run", root / "run"]
    assert cli(*command, "--quiet", *changed) == 0
    return root / "run"


def judged(run: Path, path: Path, *more: str | Path, name: str = "samples") -> dict[str, Any]:
    assert cli("evaluate", run, "--generated", path, "--name", name, "--quiet", *more) == 0
    report: dict[str, Any] = json.loads((run / "report" / "generated" / f"{name}.json").read_text())
    return report


def value(records: list[dict[str, Any]], name: str, subset: str | None = None) -> float:
    found = [
        record["value"]
        for record in records
        if record["name"] == name and subset in (None, record["subset"])
    ]
    assert len(found) == 1, (name, found)
    return float(found[0])
