"""The images that a run held out, in a trainer's layout: in its folder for them, or alone.

They are in corpus/reference.npy of the run and in no shard, and are encoded here as the shards'
images are. A listing of them has rows as any other, whose images HeldOutImages reads.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ...manifests.errors import ConfigError
from ...manifests.run_folder import RunFolder
from ...manifests.trainers.image_bytes import ShardImages
from ...manifests.trainers.labels import LabelKind
from ...manifests.trainers.layout import (
    COLUMNS,
    Entry,
    ExportListing,
    Layout,
    Slice,
    corpus_name,
    domain_ids,
)
from ...manifests.trainers.spec import TrainerSpec
from ..corpus.store import Corpus, check_pixels, open_corpus
from ..images.png import encode_with_pillow

_SHARD = "reference.npy"  # in the place of a shard's name, which never has a dot


class HeldOutImages(ShardImages):
    """Reads images of shards, and held-out ones, which it encodes as PNG."""

    def __init__(self, shards: Path, reference: NDArray[np.uint8]) -> None:
        super().__init__(shards)
        self._reference = reference

    def read(self, key: str, image: Slice) -> bytes:
        if image.shard != _SHARD:
            return super().read(key, image)
        return encode_with_pillow(np.asarray(self._reference[image.offset]))


def open_held_out(run: Path | None, listing: ExportListing) -> Corpus:
    """The corpus of the run, whose held-out images fit the listing.

    Raises:
        ConfigError: no run is known, it held nothing out, or it is of other classes or sizes.
        VerifyError: its files are damaged.
    """
    if run is None:
        raise ConfigError(
            f"{listing.shards} are shards, and held-out images are in the run that made them. Name"
            " the run folder instead, as in `scoremix-pipeline export RUN --held-out`."
        )
    corpus = open_corpus(RunFolder(run).corpus)
    if not len(corpus.reference):
        raise ConfigError(
            f"{run} held no image out. Build it with ingest.holdout or ingest.reference."
        )
    check_pixels(corpus)
    names = listing.classes[: listing.real_classes]
    # Ingested anew, images that are held out now may be training images of these shards.
    same = corpus.digest == listing.corpus_digest
    if not same or tuple(corpus.classes) != names or corpus.images.shape[1] != listing.resolution:
        raise ConfigError(
            f"The corpus of {run} is not that of its shards: it was read again since, with other"
            " options or images, and what it holds out may be in the shards. Run"
            f" `scoremix-pipeline run {RunFolder(run).config}` to build the shards again."
        )
    return corpus


def with_held_out(spec: TrainerSpec) -> TrainerSpec:
    """The row whose second folder has held-out images in it, and no real ones.

    Raises ConfigError where the trainer reads no such folder.
    """
    if spec.target not in ("unpaired", "parquet") and spec.real_split is None:
        raise ConfigError(
            f"{spec.trainer or spec.target} reads no folder of held-out images. Export them by"
            " themselves with --held-out-only, for its evaluation."
        )
    return replace(spec, real_split=None)


def evaluation_layout(layout: Layout, spec: TrainerSpec) -> Layout:
    """The layout for held-out images: val/, valid/, testA/ and testB/, or the split test."""
    return replace(layout, split=spec.real_split or "test", real_split=None)


def held_out_listing(
    corpus: Corpus, listing: ExportListing, layout: Layout, run: Path
) -> ExportListing:
    """The held-out images of `corpus` as rows of round 0, under `layout`.

    Images of a class that the training images lack are left out of a layout with classes.

    Raises ConfigError where a class of the corpus has none.
    """
    ids = corpus.reference_ids
    labels: LabelKind = "none" if listing.labels == "none" else "hard"
    chosen = np.arange(len(ids)) if labels == "none" else np.flatnonzero(ids >= 0)
    if layout.target == "unpaired":
        chosen = np.flatnonzero(np.isin(ids, domain_ids(layout, listing.classes)))
    if labels == "hard":
        needed = set(listing.class_ids.tolist()) - {-1} or set(range(len(listing.classes)))
        missing = sorted(needed - set(ids[chosen].tolist()))
        if missing:
            named = ", ".join(repr(listing.classes[id_]) for id_ in missing[:5])
            raise ConfigError(
                f"No image of {named} was held out: a trainer would miss the folder, or number the"
                " other classes anew. Hold more out (ingest.holdout); of new classes nothing can"
                " be: leave them out with --real-classes-only."
            )
    count, size = len(chosen), int(np.prod(corpus.reference.shape[1:]))
    columns: dict[str, list[Any]] = {
        "key": [f"held-out-{row:06d}" for row in chosen],
        "round": [0] * count,
        "shard": [_SHARD] * count,
        "offset": chosen.tolist(),
        "size": [size] * count,
        "sha256": [""] * count,
        "class_id": ids[chosen].tolist(),
        "soft_label": [None] * count,
    }
    return replace(
        listing,
        layout=layout,
        rows=pa.table({name: columns[name] for name in COLUMNS}),
        class_ids=ids[chosen],
        labels=labels,
        name=f"{corpus_name(listing.shards, run)}-held-out",
    )


def entries_of_both(training: ExportListing, held_out: ExportListing | None) -> Iterator[Entry]:
    """Files of the training images, then those of the held-out ones, if there are any."""
    yield from training.entries()
    if held_out is not None:
        yield from held_out.entries()
