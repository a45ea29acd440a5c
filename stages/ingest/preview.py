"""Predicts what ingest makes of its sources, from their listing and a few decoded images."""

import time
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ...manifests.plan.schema import SOURCES
from ..common.progress import Progress
from ..sources.remote import FetchOptions
from .config import IngestConfig
from .inventory import (
    hold_out_share,
    note_sources,
    open_inventory,
    reference_candidates,
    source_rows,
)
from .reader import no_images

_SAMPLES = 32  # images that are decoded


@dataclass(frozen=True)
class IngestPreview:
    """The corpus that ingest would write, as far as a few decoded images show."""

    inputs: int  # files of the sources, and of ingest.reference
    training: int  # images to train on, if none of them is bad or a duplicate
    reference: int  # images held out
    resolution: int  # side in pixels
    channels: int  # 1 gray or 3 RGB, as the decoded images are
    seconds_per_image: float  # wall time, with all workers decoding
    classes: int  # of the training images; 0 without any
    samples: NDArray[np.uint8]  # (n, H, W, C), a few training images spread over the names
    sources: pa.Table  # schema SOURCES: as ingest would write it, without what decoding shows

    @property
    def colours(self) -> str:
        """gray or RGB"""
        return "gray" if self.channels == 1 else "RGB"


def preview_ingest(
    config: IngestConfig,
    *,
    seed: int,
    progress: Progress,
    workers: int | None = None,
    fetching: FetchOptions | None = None,
) -> IngestPreview:
    """Lists the sources as `ingest` would and decodes a few images; writes nothing.

    Sources at URLs are downloaded all the same: into a temporary folder, or where `ingest` then
    finds them.

    Raises what `ingest` raises, but for images that only decoding shows to be bad.
    """
    with open_inventory(config, seed, workers, decode_all=False, fetching=fetching) as inventory:
        note_sources(inventory, progress)
        train = [record for group in inventory.groups for record in group.next_batch()]
        candidates = reference_candidates(config, inventory)[: config.reference_limit]
        train, reference = hold_out_share(config, train, candidates, seed)
        train.sort(key=lambda record: record.index)
        some = train[:: -(-len(train) // _SAMPLES)]
        inputs = [record.input for record in some]
        begin = time.perf_counter()
        with progress.task("survey", len(some), "images") as advance:
            decoded = []
            for result in inventory.pool.decode(inputs, inventory.preparation):
                decoded.append(result)
                advance(1)
        seconds = (time.perf_counter() - begin) / len(some)
    good = [image.pixels for image in decoded if image.pixels is not None]
    if not good:
        for record, image in zip(some, decoded, strict=True):
            record.reason = image.reason
        raise no_images(inventory.title, some)
    samples = np.stack(good)
    if config.colour == "auto" and all(image.gray for image in decoded if not image.reason):
        samples = samples[..., :1]
    rows = source_rows(config, inventory, inventory.classes, train, reference)
    return IngestPreview(
        inputs=len(inventory.records) + len(inventory.reference_records),
        training=len(train),
        reference=len(reference),
        resolution=inventory.preparation.resolution,
        channels=samples.shape[3],
        seconds_per_image=seconds,
        classes=len({record.class_name for record in train} - {None}),
        samples=samples,
        sources=pa.Table.from_pylist(rows, schema=SOURCES),
    )
