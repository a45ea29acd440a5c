"""write: encodes images and commits them as a shard.

Encodes in threads while the device makes the next micro-batch. A shard is finished when its marker
agrees with its plan rows and recipe.
"""

import hashlib
import platform
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import PIL
import pyarrow as pa
import torch
from numpy.typing import NDArray

from ...manifests.plan.plan import soft_label
from ...manifests.shards.shard import Marker, Sample, commit_shard
from ..common.progress import Advance
from ..generate.generate import GeneratedBatch
from ..images.png import encode_with_pillow, encoder_version
from .tasks import ShardTask

_ENCODER_THREADS = 4  # Pillow releases the interpreter lock while it compresses
_IMAGES_PER_TASK = 64  # of an encoder thread
_TAR_BLOCK = 512
_MEMBERS_PER_SAMPLE = 3  # image, json, cls
_ROW_BYTES = 400  # of a sample in its shard's Parquet, in plan and manifest


Encode = Callable[[NDArray[np.uint8]], bytes]


@dataclass(frozen=True)
class SampleSources:
    """Facts of the parents that samples record, by row of images.npy."""

    sha256: list[str]
    license: list[str | None]
    class_id: list[int]
    classes: int  # 0: no soft labels


def write(
    task: ShardTask,
    batches: Iterable[GeneratedBatch],
    sources: SampleSources,
    shards: Path,
    temporary: Path,
    advance: Advance,
    environment: dict[str, str],
    encode: Encode = encode_with_pillow,
) -> Marker:
    """Encodes and commits one shard; returns its marker.

    batches: the images of `task.rows` in their order, as stages.generate yields them.
    temporary: a folder on the file system of `shards`. advance: called with images done.

    Raises:
        ScoreMixError: the images are not the planned ones.
        StorageError: the disk refuses; the same call makes the shard again.
    """
    with ThreadPoolExecutor(_ENCODER_THREADS) as pool:
        return commit_shard(
            shards,
            temporary,
            task.name,
            _encode(batches, sources, pool, advance, encode),
            rows_digest=task.rows_digest,
            recipe_digest=task.recipe_digest,
            environment=environment,
        )


def _encode(
    batches: Iterable[GeneratedBatch],
    sources: SampleSources,
    pool: ThreadPoolExecutor,
    advance: Advance,
    encode: Encode,
) -> Iterator[Sample]:
    """Samples in plan order; encoding runs a batch ahead of writing, generation ahead of both."""
    waiting: deque[list[Future[list[Sample]]]] = deque()

    def samples(items: list[_Item]) -> list[Sample]:
        return [_sample(*item, sources, encode) for item in items]

    for batch in batches:
        items = list(_items(batch))
        parts = [
            items[start : start + _IMAGES_PER_TASK]
            for start in range(0, len(items), _IMAGES_PER_TASK)
        ]
        waiting.append([pool.submit(samples, part) for part in parts])
        while len(waiting) > 1:
            yield from _results(waiting.popleft(), advance)
    while waiting:
        yield from _results(waiting.popleft(), advance)


def _results(futures: list[Future[list[Sample]]], advance: Advance) -> Iterator[Sample]:
    done = 0
    for future in futures:
        some = future.result()
        yield from some
        done += len(some)
    advance(done)


_Item = tuple[dict[str, Any], NDArray[np.uint8], tuple[float, float, float] | None]


def _items(batch: GeneratedBatch) -> Iterator[_Item]:
    norms = [None] * len(batch.final) if batch.norms is None else map(tuple, batch.norms.tolist())
    yield from zip(batch.rows.to_pylist(), batch.final, norms, strict=True)


def _sample(
    row: dict[str, Any],
    pixels: NDArray[np.uint8],
    norms: tuple[float, float, float] | None,
    sources: SampleSources,
    encode: Encode,
) -> Sample:
    first, second = row["row_1"], row["row_2"]
    licences = sorted({sources.license[first], sources.license[second]} - {None, ""})
    label = None
    if sources.classes:
        label = soft_label(
            sources.class_id[first], sources.class_id[second], row["lambda"], sources.classes
        )
    image = encode(pixels)
    return Sample(
        row=row,
        image=image,
        sha256=hashlib.sha256(image).hexdigest(),
        pixel_sha256=hashlib.sha256(pixels.tobytes()).hexdigest(),
        width=pixels.shape[1],
        height=pixels.shape[0],
        norms=norms,
        soft_label=label,
        source_sha256=(sources.sha256[first], sources.sha256[second]),
        license=" AND ".join(licences) or None,
    )


def _cpu_kernels() -> str:
    """The instruction set by which torch chooses its kernels, such as AVX2."""
    return str(torch.backends.cpu.get_cpu_capability())


def sample_bytes(images: Iterable[NDArray[np.uint8]], encode: Encode = encode_with_pillow) -> float:
    """About how many bytes a sample takes: headers, padding, and the mean PNG of some images."""
    image = float(np.mean([len(encode(pixels)) for pixels in images]))
    padded = (image // _TAR_BLOCK + 1) * _TAR_BLOCK
    return (
        _MEMBERS_PER_SAMPLE * _TAR_BLOCK
        + padded
        + (_MEMBERS_PER_SAMPLE - 1) * _TAR_BLOCK
        + _ROW_BYTES
    )


def describe_environment(device: torch.device) -> dict[str, str]:
    """Libraries and device, on which bytes may depend besides the recipe; markers record them."""
    cuda = device.type == "cuda"
    return {
        "device": torch.cuda.get_device_name(device) if cuda else f"cpu {_cpu_kernels()}",
        "python": platform.python_version(),
        "machine": platform.machine(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "pillow": PIL.__version__,
        "zlib": encoder_version("pillow"),
        "isal": encoder_version("isal"),
        "pyarrow": pa.__version__,
    }
