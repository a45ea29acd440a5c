"""No source reads data from outside its own file or folder: it could name any file of a machine."""

import io
import os
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import lmdb
import numpy as np
import pyarrow.parquet as pq
import pytest
from source_kinds import (
    COUNT,
    FILES,
    NAMES,
    PIXELS,
    as_parquet,
    as_shards,
    as_tar,
    column,
    png,
    take,
)

from scoremix.manifests.errors import ConfigError, InputError, ScoreMixError

SECRET = np.full((COUNT, 8, 8, 3), 77, np.uint8)


def hdf5_file(tmp_path: Path, key: str, kind: str) -> Path:
    """An HDF5 file whose `key`, imgs or labels, leads to other files."""
    (tmp_path / "secret.bin").write_bytes(SECRET.tobytes())
    values = SECRET if key == "imgs" else np.zeros(COUNT, np.int64)
    with h5py.File(tmp_path / "other.hdf5", "w") as other:
        other[key] = values
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        if key == "labels":
            file["imgs"] = PIXELS
        if kind == "external link":
            file[key] = h5py.ExternalLink("other.hdf5", f"/{key}")
        elif kind == "soft link":
            file["there"] = h5py.ExternalLink("other.hdf5", f"/{key}")
            file[key] = h5py.SoftLink("/there")
        elif kind == "virtual":
            layout = h5py.VirtualLayout(values.shape, values.dtype)
            layout[:] = h5py.VirtualSource(str(tmp_path / "other.hdf5"), key, values.shape)
            file.create_virtual_dataset(key, layout)
        else:
            outside = [(str(tmp_path / "secret.bin"), 0, values.nbytes)]
            file.create_dataset(key, values.shape, values.dtype, external=outside)
    return tmp_path / "a.hdf5"


@pytest.mark.parametrize("key", ["imgs", "labels"])
@pytest.mark.parametrize("kind", ["external link", "soft link", "virtual", "external storage"])
def test_hdf5(tmp_path: Path, key: str, kind: str) -> None:
    source = str(hdf5_file(tmp_path, key, kind))
    with h5py.File(source) as file:
        assert file[key].shape[0] == COUNT  # h5py itself follows it
    with pytest.raises(ConfigError, match=f"under {key}.*h5repack"):
        take(tmp_path, source)


def lmdb_folder(root: Path) -> Path:
    root.mkdir()
    with lmdb.open(str(root), map_size=1 << 20) as environment:
        with environment.begin(write=True) as writing:
            for index, data in enumerate(FILES):
                writing.put(f"8-{index:05d}".encode(), data)
    return root / "data.mdb"


@pytest.mark.parametrize("kind", ["a.tar", "a.parquet", "data.mdb", "data/a.parquet"])
def test_an_archive_in_a_folder_is_no_link_out_of_it(tmp_path: Path, kind: str) -> None:
    """As images are: by choice alone."""
    make: dict[str, Callable[[Path], object]] = {"tar": as_tar, "parquet": as_parquet}
    outside = tmp_path / "outside"
    suffix = kind.split(".")[-1]
    if suffix == "mdb":
        target = lmdb_folder(outside)
    else:
        outside.mkdir()
        target = Path(str(make[suffix](outside)))
    link = tmp_path / "in" / kind
    link.parent.mkdir(parents=True)
    link.symlink_to(os.path.relpath(target, link.parent))
    with pytest.raises(ConfigError, match="leaves the source's folder.*follow_links: true"):
        take(tmp_path, str(tmp_path / "in"))
    assert len(take(tmp_path, str(tmp_path / "in"), follow_links=True).images) == COUNT
    link.unlink()
    target.rename(link.parent / target.name)
    if target.name != link.name:
        link.symlink_to(target.name)
    assert len(take(tmp_path, str(tmp_path / "in")).images) == COUNT  # inside it, a link may be


def test_parquet_columns_that_name_other_files(tmp_path: Path) -> None:
    """The file_path of a column chunk is not followed (parquet.thrift, ColumnChunk)."""
    (tmp_path / "outside").mkdir()
    data = as_parquet(tmp_path / "outside")
    facts = pq.read_metadata(data)
    facts.set_file_path(os.path.relpath(data, tmp_path))
    facts.write_metadata_file(str(tmp_path / "a.parquet"))
    with pytest.raises(ScoreMixError):
        take(tmp_path, str(tmp_path / "a.parquet"))


def test_paths_of_table_rows_are_not_followed(tmp_path: Path) -> None:
    import pyarrow as pa

    (tmp_path / "secret.png").write_bytes(png(SECRET[0]))
    rows = [{"bytes": data, "path": None} for data in FILES]
    rows.append({"bytes": None, "path": str(tmp_path / "secret.png")})
    pq.write_table(pa.table({"image": rows}), tmp_path / "a.parquet")
    corpus = take(tmp_path, str(tmp_path / "a.parquet"))
    assert (corpus.images == PIXELS).all()
    assert column(corpus, "reason", "rejected") == [
        f"row without image bytes; it names {tmp_path / 'secret.png'}"
    ]


@pytest.mark.parametrize("link", [tarfile.SYMTYPE, tarfile.LNKTYPE])
def test_tar_links(tmp_path: Path, link: bytes) -> None:
    source = Path(as_tar(tmp_path))
    (tmp_path / "secret.png").write_bytes(png(SECRET[0]))
    with tarfile.open(source, "a") as archive:
        info = tarfile.TarInfo(f"{NAMES[0]}/link.png")
        info.type, info.linkname = link, str(tmp_path / "secret.png")
        archive.addfile(info)
    corpus = take(tmp_path, str(source))
    assert len(corpus.images) == COUNT
    assert column(corpus, "reason", "rejected") == ["link in an archive"]


def test_zip_links(tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes(png(SECRET[0]))
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for index, data in enumerate(FILES):
            archive.writestr(f"{index}.png", data)
        info = zipfile.ZipInfo("link.png")
        info.create_system, info.external_attr = 3, 0o120777 << 16
        archive.writestr(info, str(tmp_path / "secret.png"))
    corpus = take(tmp_path, str(tmp_path / "a.zip"))
    assert (corpus.images == PIXELS).all()
    assert column(corpus, "reason", "rejected") == ["symbolic link in an archive"]


def test_an_npz_of_objects_is_not_unpickled(tmp_path: Path) -> None:
    from scoremix.stages.sources.numpy_files import open_numpy

    class Payload:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return open, (str(tmp_path / "ran"), "w")  # type: ignore[return-value]

    buffer = io.BytesIO()
    np.savez(buffer, images=np.array([Payload()], dtype=object))
    (tmp_path / "a.npz").write_bytes(buffer.getvalue())
    with pytest.raises(InputError, match="arrays of objects are not opened"):
        open_numpy(tmp_path / "a.npz")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["index.json", "state.json"])
def test_a_pipe_beside_archives_does_not_hang(tmp_path: Path, name: str) -> None:
    make = as_shards if name == "index.json" else as_parquet
    make(tmp_path)
    os.mkfifo(tmp_path / name)
    assert len(take(tmp_path, str(tmp_path)).images) == COUNT
