"""A published corpus as torch Datasets: map-style, and as an iterable over its tars."""

import operator
import os
import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset, IterableDataset, get_worker_info

from ...manifests.errors import ConfigError
from ...manifests.published.index import read_index
from ...manifests.published.inspect import read_manifest
from ...manifests.published.subset import last_round
from ...manifests.published.sums import SUMS
from ...manifests.storage.location import place
from ...manifests.storage.store import Store, store_of
from ...manifests.trainers.image_bytes import ShardImages, open_tars
from ...manifests.trainers.layout import Slice
from ..ledger import find_shards

Label = int | Tensor
Sample = tuple[Any, Label, str]  # image, label, key
Transform = Callable[[Tensor], Any]

_COLUMNS = ["key", "round", "shard", "offset", "size", "sha256", "class_id", "soft_label"]
_ROWS = 256  # that are Python objects at a time


class CorpusDataset(Dataset[Sample]):
    """(image, label, key) of every image of a corpus, real ones first; `scoremix.Corpus`.

    image: uint8 (C, H, W), or what `transform` makes of it. label: the class id, -1 without
    classes; weights, float32 (classes,), where images of different classes were mixed. key: as
    `inspect` takes it.

    Every image is compared with its sha256 in the manifest. For DataLoader workers, but not for
    several threads of one process.
    """

    def __init__(
        self,
        corpus: str | os.PathLike[str],
        ratio: int | None = None,
        transform: Transform | None = None,
    ) -> None:
        """corpus: a run folder, a folder of shards, or the URL of one. ratio: augmented images per
        real one, 0 for the real ones alone; None: all there are.

        Raises:
            ConfigError: no finished corpus is there, or none of that ratio.
            VerifyError: its index or manifest is damaged.
        """
        self.place = find_shards(place(os.fspath(corpus)))
        self.transform = transform
        if self.store.size(SUMS) is None:
            raise ConfigError(
                f"{self.place} is no published corpus: it has no {SUMS}. It is being changed, or"
                " was left so: run the command that made it once more."
            )
        manifest = read_manifest(self.store)
        index = read_index(self.store)
        last = last_round(index["ratio"], ratio)
        self.classes: list[str] = list(index["classes"])
        self.ratio = last
        rows = manifest.select(_COLUMNS)
        self.rows: pa.Table = rows.filter(pc.less_equal(rows["round"], last)).combine_chunks()
        # One chunk each: a value is found at once.
        self._columns = {name: self.rows[name].combine_chunks() for name in _COLUMNS}
        self.soft = self.rows.num_rows > 0 and self.rows["soft_label"].null_count == 0
        self._images: tuple[int, ShardImages] | None = None  # with the process that opened it

    @property
    def store(self) -> Store:
        """The files; opened anew, since connections to an object store belong to one process."""
        return store_of(self.place)

    def __len__(self) -> int:
        return int(self.rows.num_rows)

    def __getitem__(self, index: int) -> Sample:
        """Raises IndexError, and VerifyError for an image that is damaged or gone."""
        index, count = operator.index(index), len(self)
        if not -count <= index < count:
            raise IndexError(f"image {index} of a corpus of {count:,}")
        row = {name: self._columns[name][index % count].as_py() for name in _COLUMNS}
        return self.sample(row, self._opened())

    def sample(self, row: dict[str, Any], images: ShardImages) -> Sample:
        """The sample of a row of `rows`, read through `images`."""
        where = Slice(row["shard"], row["offset"], row["size"], row["sha256"])
        image = torch.from_numpy(images.pixels(row["key"], where)).permute(2, 0, 1).contiguous()
        label = torch.tensor(row["soft_label"]) if self.soft else int(row["class_id"])
        return image if self.transform is None else self.transform(image), label, row["key"]

    def stream(self, *, shuffle: int = 0, seed: int = 0) -> "CorpusStream":
        """The same samples as an iterable: as CorpusStream describes its options."""
        return CorpusStream(self, shuffle=shuffle, seed=seed)

    def _opened(self) -> ShardImages:
        """The tars, opened in this process: forked workers would share the place in a file."""
        if self._images is None or self._images[0] != os.getpid():
            self._images = os.getpid(), ShardImages(self.store, at_random=True)
        return self._images[1]

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_images": None}


class CorpusStream(IterableDataset[Sample]):
    """Reads the tars of a corpus in order: for disks and object stores where seeking is slow.

    Each image comes once a pass: DataLoader workers, and the processes of torch.distributed where
    it is initialised, each read a part of their own, equal to within one image. A worker that was
    not forked knows no process group: it takes the rank of the process that started it.
    """

    _process = 0, 1  # rank and number of processes, where this one belongs to no group

    def __init__(self, corpus: CorpusDataset, *, shuffle: int = 0, seed: int = 0) -> None:
        """shuffle: images among which the next one is drawn; 0: in the order of the tars. With it,
        the order of the shards changes too. seed: of both, together with the pass: `set_epoch`.

        Raises ConfigError for a negative `shuffle`.
        """
        super().__init__()
        if shuffle < 0:
            raise ConfigError(f"shuffle is {shuffle}; give a number of images, 0 for none.")
        self.corpus, self.shuffle, self.seed = corpus, shuffle, seed
        # In shared memory: workers that stay between passes (persistent_workers) see it change.
        self._epoch = torch.zeros((), dtype=torch.int64)
        self._epoch.share_memory_()  # type: ignore[no-untyped-call]

    @property
    def epoch(self) -> int:
        """The number of the pass, on which the order depends."""
        return int(self._epoch)

    def set_epoch(self, epoch: int) -> None:
        """The number of the next pass. Call it before each pass."""
        self._epoch.fill_(epoch)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_process": self._rank()}

    def _rank(self) -> tuple[int, int]:
        if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
            return self._process
        return torch.distributed.get_rank(), torch.distributed.get_world_size()

    def __len__(self) -> int:
        return len(self.corpus)

    def __iter__(self) -> Iterator[Sample]:
        """Raises VerifyError for an image that is damaged or gone."""
        part, parts = self._part()
        order = self._order()
        mine = order[part * len(order) // parts : (part + 1) * len(order) // parts]
        samples = self._read(mine)
        if self.shuffle < 2:
            yield from samples
            return
        draw = random.Random(f"{self.seed}/{self.epoch}/{part}")
        held: list[Sample] = []
        for sample in samples:
            held.append(sample)
            if len(held) == self.shuffle:
                place = draw.randrange(len(held))
                held[place], held[-1] = held[-1], held[place]
                yield held.pop()
        draw.shuffle(held)
        yield from held

    def _part(self) -> tuple[int, int]:
        """The part that this process reads, and of how many: workers within ranks."""
        worker = get_worker_info()
        number, workers = (0, 1) if worker is None else (worker.id, worker.num_workers)
        rank, world = self._rank()
        return rank * workers + number, world * workers

    def _order(self) -> NDArray[np.int64]:
        """Rows of the corpus, shard by shard; the shards shuffled where the images are."""
        shards = self.corpus.rows["shard"].to_numpy(zero_copy_only=False)
        _, first, of_row = np.unique(shards, return_index=True, return_inverse=True)
        ranks = np.argsort(np.argsort(first))  # in the order of the manifest
        if self.shuffle >= 2:
            ranks = np.random.default_rng([self.seed, self.epoch]).permutation(len(first))
        return np.lexsort((self.corpus.rows["offset"].to_numpy(), ranks[of_row]))

    def _read(self, places: NDArray[np.int64]) -> Iterator[Sample]:
        with open_tars(self.corpus.store) as images:
            for start in range(0, len(places), _ROWS):
                for row in self.corpus.rows.take(places[start : start + _ROWS]).to_pylist():
                    yield self.corpus.sample(row, images)
