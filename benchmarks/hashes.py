"""HASHES: our perceptual hash beside that of the package imagehash, in one run.

    pip install imagehash
    python benchmarks/hashes.py --source cats.zip --side 64

Images a second of each; how many altered copies (JPEG at 50, a tenth brighter, three quarters of
the size) each finds within its bits; and how many pairs of different images it takes for copies.
"""

import argparse
import io
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import imagehash
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance

from scoremix.stages.common.progress import Silent
from scoremix.stages.corpus.store import open_corpus
from scoremix.stages.images.similarity import MAX_DISTANCE, perceptual_hashes
from scoremix.stages.ingest.ingest import IngestConfig, ingest

Hashes = Callable[[list[Image.Image]], NDArray[np.uint64]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", required=True)
    parser.add_argument("--side", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with TemporaryDirectory() as folder:
        config = IngestConfig(source=options.source, resolution=options.side, holdout=0)
        ingest(config, Path(folder), seed=0, progress=Silent())
        images = [Image.fromarray(image.squeeze()) for image in open_corpus(Path(folder)).images]
    kinds: dict[str, Hashes] = {"ours": _ours, "imagehash.phash": _theirs}
    rates: dict[str, list[float]] = {name: [] for name in kinds}
    for _ in range(options.rounds):
        for name, hashes in kinds.items():
            begin = time.perf_counter()
            hashes(images)
            rates[name].append(len(images) / (time.perf_counter() - begin))
    changes = {"JPEG at 50": _jpeg, "a tenth brighter": _brighter, "3/4 of the size": _smaller}
    for name, hashes in kinds.items():
        own = hashes(images)
        print(f"{name}: {np.median(rates[name]):,.0f} images/s")
        for change, altered in changes.items():
            bits = np.bitwise_count(own ^ hashes([altered(image) for image in images]))
            found = (bits <= MAX_DISTANCE).mean()
            print(f"  {change}: {found:.1%} found, median {np.median(bits):g} bits")
        pairs = np.bitwise_count(own[:, None] ^ own)[np.triu_indices(len(own), 1)]
        print(
            f"  of {len(pairs):,} pairs, {(pairs <= MAX_DISTANCE).sum()} within {MAX_DISTANCE} bits"
        )


def _ours(images: list[Image.Image]) -> NDArray[np.uint64]:
    pixels = np.stack([np.asarray(image) for image in images])
    pixels = pixels if pixels.ndim == 4 else pixels[..., None]
    return np.array(perceptual_hashes(pixels), dtype=np.uint64)


def _theirs(images: list[Image.Image]) -> NDArray[np.uint64]:
    bits: Iterable[NDArray[np.uint8]] = (np.packbits(imagehash.phash(i).hash) for i in images)
    return np.array([int.from_bytes(row.tobytes(), "big") for row in bits], dtype=np.uint64)


def _jpeg(image: Image.Image) -> Image.Image:
    data = io.BytesIO()
    image.save(data, "JPEG", quality=50)
    return Image.open(data)


def _brighter(image: Image.Image) -> Image.Image:
    return ImageEnhance.Brightness(image).enhance(1.1)


def _smaller(image: Image.Image) -> Image.Image:
    resize = partial(image.resize, resample=Image.Resampling.LANCZOS)
    return resize((image.width * 3 // 4, image.height * 3 // 4)).resize(image.size)


if __name__ == "__main__":
    main()
