"""Images read at random: the same bytes, no more read than asked for, some tars kept open."""

import io
from pathlib import Path
from typing import Any

import made
import numpy as np
import pyarrow.parquet as pq
import pytest

from scoremix.manifests.errors import VerifyError
from scoremix.manifests.storage.store import LocalStore
from scoremix.manifests.trainers.image_bytes import ShardImages
from scoremix.manifests.trainers.layout import Slice


class Counted(LocalStore):
    """Counts openings and bytes; a raw file gives at most 100 bytes at a time, as one may."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.opened: list[str] = []
        self.bytes = 0

    def open_raw(self, name: str) -> io.RawIOBase:
        self.opened.append(name)
        file, store = super().open_raw(name), self

        class Few(io.RawIOBase):
            def seek(self, offset: int, whence: int = 0) -> int:
                return file.seek(offset, whence)

            def readable(self) -> bool:
                return True

            def readinto(self, buffer: Any) -> int:
                data = file.read(min(len(buffer), 100)) or b""
                buffer[: len(data)] = data
                store.bytes += len(data)
                return len(data)

            def close(self) -> None:
                file.close()
                super().close()

        return Few()


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty images in twenty tars."""
    return made.make_corpus(tmp_path_factory.mktemp("corpus"), images=20, ratio=1, shard_size=2)


def slices(corpus: Path) -> list[tuple[str, Slice]]:
    rows = pq.read_table(corpus / "manifest.parquet", columns=["key", *Slice._fields]).to_pylist()
    return [(row.pop("key"), Slice(**row)) for row in rows]


def test_the_bytes_are_those_of_reads_in_order(corpus: Path) -> None:
    store, images = Counted(corpus), slices(corpus)
    in_order, at_random = ShardImages(corpus), ShardImages(store, at_random=True)
    order = np.random.default_rng(0).permutation(len(images))
    found = {images[row][0]: at_random.read(*images[row]) for row in order}
    assert found == {key: in_order.read(key, where) for key, where in images}
    assert store.bytes == sum(where.size for _, where in images)


def test_tars_used_lately_stay_open(corpus: Path) -> None:
    store = Counted(corpus)
    images, reader = slices(corpus), ShardImages(store, at_random=True)
    tars = list({where.shard: (key, where) for key, where in images}.values())
    assert len(tars) == 20
    for key, where in [*tars[:16], *tars[:16]]:
        reader.read(key, where)
    assert len(store.opened) == 16
    reader.read(*tars[16])  # the first one is closed for it
    reader.read(*tars[1])
    assert len(store.opened) == 17
    reader.read(*tars[0])
    assert len(store.opened) == 18
    reader.close()
    reader.read(*tars[0])
    assert len(store.opened) == 19


def test_a_tar_that_ends_too_early_is_damaged(corpus: Path, tmp_path: Path) -> None:
    key, where = slices(corpus)[0]
    (tmp_path / f"{where.shard}.tar").write_bytes(
        (corpus / f"{where.shard}.tar").read_bytes()[: where.offset + where.size - 1]
    )
    with pytest.raises(VerifyError, match="is damaged"):
        ShardImages(tmp_path, at_random=True).read(key, where)
