"""survey: what ingest would make of its sources, as far as a look at a few images tells."""

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..common.progress import Progress
from ..sources.remote import FetchOptions
from .config import IngestConfig
from .inventory import hold_out_share, open_inventory, spares
from .reader import no_images

_PROBED = 32  # images that a survey decodes


@dataclass(frozen=True)
class Survey:
    """What ingest would make of the sources, as far as it can be told without decoding all."""

    inputs: int  # files of the sources, and of ingest.reference
    training: int  # images to train on, as long as none of them is bad or double
    reference: int  # images held out
    resolution: int  # side in pixels
    channels: int  # 1 gray or 3 RGB, as the probed images are
    seconds_per_image: float  # wall time, with all workers at it
    probed: NDArray[np.uint8]  # (n, H, W, C), a few training images spread over the names


def survey(
    config: IngestConfig,
    *,
    seed: int,
    progress: Progress,
    workers: int | None = None,
    fetching: FetchOptions | None = None,
) -> Survey:
    """Looks at the sources as `ingest` would, decodes a few images, writes nothing.

    But sources at URLs are fetched: into a temporary folder, or where `ingest` then finds them.

    Raises what `ingest` raises, but for images that only decoding shows to be bad.
    """
    with open_inventory(config, seed, workers, reading=False, fetching=fetching) as found:
        train = [record for group in found.groups for record in group.take()]
        left = spares(config, found)[: config.reference_limit]
        train, reference = hold_out_share(config, train, left, seed)
        train.sort(key=lambda record: record.index)
        some = train[:: -(-len(train) // _PROBED)]
        begin = time.perf_counter()
        with progress.task("survey", len(some), "images") as advance:
            decoded = []
            for result in found.pool.prepare([record.input for record in some], found.how):
                decoded.append(result)
                advance(1)
        seconds = (time.perf_counter() - begin) / len(some)
    good = [image.pixels for image in decoded if image.pixels is not None]
    if not good:
        for record, image in zip(some, decoded, strict=True):
            record.reason = image.reason
        raise no_images(found.what, some)
    probed = np.stack(good)
    if config.colour == "auto" and all(image.gray for image in decoded if not image.reason):
        probed = probed[..., :1]
    return Survey(
        inputs=len(found.records) + len(found.others),
        training=len(train),
        reference=len(reference),
        resolution=found.how.resolution,
        channels=probed.shape[3],
        seconds_per_image=seconds,
        probed=probed,
    )
