"""The corpora of a comparison: training images, alone or with images that were made of them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ...manifests.errors import ConfigError
from ...manifests.files.atomic import canonical_digest
from ...manifests.published.index import read_index
from ...manifests.published.inspect import read_manifest
from ...manifests.storage.store import Store, store_of
from ...manifests.trainers.image_bytes import read_pixels
from ...stages.common.progress import Progress
from ...stages.corpus.store import Corpus
from ...stages.recognise.recognise import LabelledRows
from ...stages.recognition.arms import OWN
from ...stages.trial.arm_corpus import ArmCorpus, open_arm, write_arm
from ...stages.trial.locks import waiting_lock
from ..ledger import find_shards

COLUMNS = [  # of a manifest
    "key", "round", "shard", "offset", "size", "sha256", "class_id", "soft_label", "source_1",
    "source_2", "lambda", "seed", "recipe_digest",
]  # fmt: skip
_CHUNK = 256  # images that are copied or decoded at once

Images = NDArray[np.uint8]


def labelled_corpus(
    name: str,
    run: Path,
    corpus: Corpus,
    folder: Path,
    stopping: Callable[[], bool],
    progress: Progress,
) -> ArmCorpus:
    """The labelled training images, for OWN with the made images of the run's shards; on disk.

    Raises:
        ConfigError: no finished shards, or some whose labels are mixtures of classes.
        VerifyError: a shard is damaged.
    """
    made = MadeImages.of(run) if name == OWN else None
    made_of: list[object] = [corpus.digest, LabelledRows.of(corpus).rows.tolist()]
    if made is not None:
        made_of.append(canonical_digest(read_index(made.store)))
    return write_labelled(name, canonical_digest(made_of), corpus, made, folder, stopping, progress)


def write_labelled(
    name: str,
    digest: str,
    corpus: Corpus,
    made: "MadeImages | None",
    folder: Path,
    stopping: Callable[[], bool],
    progress: Progress,
) -> ArmCorpus:
    """The labelled training images, then `made`, in folder/arms/name; found there or written.

    digest: of what the images are made of.

    Raises:
        ConfigError: made images whose labels are mixtures of classes.
        VerifyError: a shard is damaged.
    """
    real, place = LabelledRows.of(corpus), folder / "arms" / name
    labels = real.labels
    if made is not None:
        labels = np.concatenate([labels, made.labels()])
    parts = _images(corpus, real, made)
    with waiting_lock(folder, f"arm.{name}", stopping):
        found = open_arm(name, place, digest)
        if found is not None:
            return found
        with progress.task(f"arm {name}", len(labels), "images") as advance:
            return write_arm(name, place, digest, parts, labels, {}, advance)


@dataclass(frozen=True)
class MadeImages:
    """Images of shards that are not real ones."""

    store: Store
    rows: pa.Table  # of the manifest, COLUMNS

    @classmethod
    def of(cls, run: Path) -> "MadeImages":
        """Raises ConfigError or VerifyError where the run has no finished shards."""
        store = store_of(find_shards(run))
        rows = read_manifest(store).select(COLUMNS)
        return cls(store, rows.filter(pc.greater(rows["round"], 0)).combine_chunks())

    def labels(self) -> NDArray[np.int64]:
        """(N,) classes, new ones after those of the corpus. Raises ConfigError unless each image
        has one."""
        if self.rows["soft_label"].null_count < self.rows.num_rows:
            raise ConfigError(
                "The run's images are of several classes each (generate.pairing: any), and a"
                " recogniser needs one. Leave the arm own out, or build with generate.pairing:"
                " within."
            )
        labels: NDArray[np.int64] = self.rows["class_id"].fill_null(-1).to_numpy().astype(np.int64)
        if len(labels) == 0 or labels.min() < 0:
            raise ConfigError(
                f"{len(labels)} images of the run's shards are made ones, and"
                f" {int((labels < 0).sum())} of them have no class: there is nothing to train the"
                " arm own on. Leave it out."
            )
        return labels

    def images(self) -> Iterator[Images]:
        """In parts (n, H, W, C), in the order of the rows; each is compared with its sha256."""
        yield from read_pixels(self.store, self.rows, _CHUNK)


def _images(corpus: Corpus, real: LabelledRows, made: MadeImages | None) -> Iterator[Images]:
    for start in range(0, len(real.rows), _CHUNK):
        yield np.asarray(corpus.images[real.rows[start : start + _CHUNK]])
    if made is not None:
        yield from made.images()


def images_digest(arm: ArmCorpus) -> str:
    """Equal for two arms of the same images with the same labels, in any order."""
    images, labels = arm.open()
    each = (
        sha256(int(label).to_bytes(8, "big", signed=True) + image.tobytes()).hexdigest()
        for image, label in zip(images, labels, strict=True)
    )
    return canonical_digest(sorted(each))


def classes_of(arm: ArmCorpus, corpus: Corpus) -> int:
    """Real classes, and new ones after them."""
    _, labels = arm.open()
    return max(len(corpus.classes), int(labels.max()) + 1)
