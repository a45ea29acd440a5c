"""Published corpora made directly, without a run: any size, mode, classes and labels."""

import atexit
import functools
import hashlib
import io
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from PIL import Image

from scoremix.manifests.plan.plan import (
    PlanOptions,
    build_plan,
    group_by_shard,
    rows_digest,
    soft_label,
)
from scoremix.manifests.plan.schema import SOURCES
from scoremix.manifests.published.card import CorpusFacts
from scoremix.manifests.published.publish import publish
from scoremix.manifests.shards.shard import Sample, commit_shard

RECIPE = "r" * 64


def pixels_of(key: str, side: int, channels: int) -> NDArray[np.uint8]:
    """(side, side, channels): smooth colours and some grain, all from the key."""
    random = np.random.default_rng(list(hashlib.sha256(key.encode()).digest()))
    coarse = random.integers(0, 256, (4, 4, channels), np.uint8)
    image = Image.fromarray(coarse[:, :, 0] if channels == 1 else coarse)
    smooth = np.asarray(image.resize((side, side), Image.Resampling.BICUBIC), np.int16)
    grain = random.integers(-6, 7, (side, side, channels), np.int16)
    return np.clip(smooth.reshape(grain.shape) + grain, 0, 255).astype(np.uint8)


def make_corpus(root: Path, **values: Any) -> Path:
    """As build_corpus; a copy of the one that was built first with these values."""
    made = _built(tuple(sorted(values.items())))
    shutil.copytree(made, root / "shards", dirs_exist_ok=True)
    return root / "shards"


@functools.cache
def _built(values: tuple[tuple[str, Any], ...]) -> Path:
    root = Path(tempfile.mkdtemp(prefix="scoremix-made-"))
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    return build_corpus(root, **dict(values))


def build_corpus(
    root: Path,
    *,
    images: int = 6,
    side: int = 8,
    channels: int = 3,
    classes: tuple[str, ...] = ("cat", "dog"),
    ratio: int = 2,
    soft: bool = False,
    shard_size: int = 4,
) -> Path:
    """root/shards, published: `images` real ones, `ratio` rounds; classes in turn."""
    ids = [row % len(classes) if classes else -1 for row in range(images)]
    plan = _plan(ids, classes, PlanOptions(
        ratio, 0.2, "any" if soft else "auto", "self", "mixup", shard_size
    ))  # fmt: skip
    expected = {}
    for name, rows in group_by_shard(plan).items():
        expected[name] = (rows_digest(rows), RECIPE)
        commit_shard(
            root / "shards",
            root / "tmp",
            name,
            _samples(rows, side, channels, ids if soft else [], len(classes)),
            rows_digest=expected[name][0],
            recipe_digest=RECIPE,
            environment={},
        )
    facts = CorpusFacts("pets & co", classes, side, channels, recipe={})
    publish(root / "shards", plan, expected=expected, facts=facts, temporary=root / "tmp")
    return root / "shards"


def _plan(ids: list[int], classes: tuple[str, ...], options: PlanOptions) -> pa.Table:
    rows = [
        dict.fromkeys(SOURCES.names)
        | {"status": "train", "row": row, "key": f"{row:06d}", "class_id": id_}
        | {"class_name": classes[id_] if classes else None}
        for row, id_ in enumerate(ids)
    ]
    return build_plan(pa.Table.from_pylist(rows, schema=SOURCES), options, seed=3)


def _samples(
    rows: pa.Table, side: int, channels: int, ids: list[int], classes: int
) -> Iterator[Sample]:
    for row in rows.to_pylist():
        pixels = pixels_of(row["key"], side, channels)
        file = io.BytesIO()
        Image.fromarray(pixels[:, :, 0] if channels == 1 else pixels).save(file, "PNG")
        label = None
        if ids:
            label = soft_label(ids[row["row_1"]], ids[row["row_2"]], row["lambda"], classes)
        yield Sample(
            row=row,
            image=file.getvalue(),
            pixel_sha256=hashlib.sha256(pixels.tobytes()).hexdigest(),
            width=side,
            height=side,
            norms=None,
            soft_label=label,
            source_sha256=("1" * 64, "2" * 64),
            license=None,
        )
