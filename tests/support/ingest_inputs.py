"""Inputs of ingest made from seeds, and what an ingested corpus says of each."""

import hashlib
import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from scoremix.stages.corpus.store import Corpus


def png(seed: int, size: tuple[int, int] = (8, 8), mode: str = "RGB") -> bytes:
    shape = (size[1], size[0], 3) if mode == "RGB" else (size[1], size[0])
    pixels = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def folder(root: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return root


def archive(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as file:
        for name, data in files.items():
            file.writestr(name, data)
    return path


def flat(count: int, **options: Any) -> dict[str, bytes]:
    return {f"{i:04d}.png": png(i, **options) for i in range(count)}


def classed(**counts: int) -> dict[str, bytes]:
    return {
        f"{name}/{i:03d}.png": png(1000 * place + i)
        for place, (name, count) in enumerate(counts.items())
        for i in range(count)
    }


def names(corpus: Corpus, status: str) -> list[str]:
    """In the order of their rows, checking that rows count up from 0."""
    rows = [row for row in corpus.sources.to_pylist() if row["status"] == status]
    if status in ("train", "reference"):
        assert [row["row"] for row in rows] == list(range(len(rows)))
    return [row["name"] for row in rows]


def reasons(corpus: Corpus, status: str = "rejected") -> dict[str, str]:
    return {r["name"]: r["reason"] for r in corpus.sources.to_pylist() if r["status"] == status}


def tree(path: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in path.iterdir()}
