"""Readers x bombs: a small file that claims much is refused within seconds and little memory."""

import io
import lzma
import re
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import hostile
import lmdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from source_kinds import FILES, add

LARGE = 1 << 40
_Make = Callable[[Path], Path]


def large_png(side: int = 50_000) -> bytes:
    """A PNG of 2.5 gigapixels in a few bytes; Pillow reads its header without complaint."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    data = chunk(b"IDAT", zlib.compress(bytes(1 << 16)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + data + chunk(b"IEND", b"")


def hdf5(**arrays: Any) -> _Make:
    """An array of each name: its value, or the keywords of one that is never written."""

    def make(root: Path) -> Path:
        with h5py.File(root / "a.hdf5", "w") as file:
            for name, value in arrays.items():
                if isinstance(value, dict):
                    file.create_dataset(name, **{"dtype": np.uint8, "chunks": True} | value)
                else:
                    file[name] = value
        return root / "a.hdf5"

    return make


IMAGES = np.stack([np.full((8, 8, 3), n, np.uint8) for n in range(4)])


def hdf5_of_zeros(root: Path) -> Path:
    """Labels of 8 bytes that unpack a thousandfold, and images as many."""
    rows = 90_000
    with h5py.File(root / "a.hdf5", "w") as file:
        shape, chunk = (rows, 3, 64, 64), (500, 3, 64, 64)
        images = file.create_dataset("imgs", shape, np.uint8, chunks=chunk, compression=9)
        images[:500] = 1
        file.create_dataset("labels", (rows,), np.int64, chunks=(rows,), compression=9)
    return root / "a.hdf5"


def parquet(table: Callable[[], pa.Table], **options: Any) -> _Make:
    def make(root: Path) -> Path:
        pq.write_table(
            table(),
            root / "a.parquet",
            **{"compression": "zstd", "write_statistics": False} | options,
        )
        return root / "a.parquet"

    return make


def times(count: int, value: bytes | str) -> pa.ChunkedArray:
    """A column of one value, which is in memory once."""
    return pa.chunked_array([pa.array([value])] * count)


def dictionary_of(value: bytes | str, rows: int = 3) -> pa.DictionaryArray:
    """The same value in every row, once in the file."""
    return pa.DictionaryArray.from_arrays(np.zeros(rows, np.int32), pa.array([value]))


LABEL = 400 << 20
ONE: dict[str, Any] = {"dictionary_pagesize_limit": 2 * LABEL, "store_schema": False}


def dictionary(rows: int, size: int) -> _Make:
    """One value of `size` bytes in every row: the footer does not say what they unpack to."""
    return parquet(lambda: pa.table({"image": dictionary_of(bytes(size), rows)}), **ONE)


def arrow(claims: int) -> _Make:
    """A compressed buffer whose prefix claims so many bytes."""

    def make(root: Path) -> Path:
        size = 1 << 20
        table = pa.table({"image": pa.array([bytes(size)] * 3)})
        with pa.OSFile(str(root / "a.arrow"), "wb") as sink:
            options = pa.ipc.IpcWriteOptions(compression="zstd")
            with pa.ipc.new_stream(sink, table.schema, options=options) as writer:
                writer.write_table(table)
        data = (root / "a.arrow").read_bytes()
        prefix = struct.pack("<q", 3 * size)
        assert prefix in data
        (root / "a.arrow").write_bytes(data.replace(prefix, struct.pack("<q", claims)))
        return root / "a.arrow"

    return make


def arrow_of_zeros(root: Path) -> Path:
    """A small file that unpacks to 1.5 GiB."""
    schema = pa.schema([("image", pa.large_binary())])
    with pa.OSFile(str(root / "a.arrow"), "wb") as sink:
        options = pa.ipc.IpcWriteOptions(compression="zstd")
        with pa.ipc.new_stream(sink, schema, options=options) as writer:
            rows = pa.array([bytes(128 << 20)], pa.large_binary())
            for _ in range(12):
                writer.write_batch(pa.record_batch([rows], schema=schema))
    return root / "a.arrow"


def lmdb_folder(damage: Callable[[bytearray], None], value: bytes = FILES[0]) -> _Make:
    def make(root: Path) -> Path:
        with lmdb.open(str(root / "db"), map_size=1 << 20) as environment:
            with environment.begin(write=True) as writing:
                for index in range(4):
                    writing.put(f"8-{index:05d}".encode(), value + bytes([index]))
        path = root / "db" / "data.mdb"
        data = bytearray(path.read_bytes())
        damage(data)
        path.write_bytes(data)
        return root / "db"

    return make


def many_entries(data: bytearray) -> None:
    """md_entries of the main database, in both meta pages (lmdb.h: 16 + 24 + 48 + 8 + 3 * 8)."""
    for page in (0, 4096):
        place = page + 16 + 24 + 48 + 32
        assert struct.unpack_from("<Q", data, place)[0] in (0, 4)
        struct.pack_into("<Q", data, place, LARGE)


def long_value(data: bytearray) -> None:
    """The size of a value: the node is size (low, high), flags, key size, key."""
    place = data.index(b"8-00002")
    struct.pack_into("<HH", data, place - 8, 0xFFFF, 0x3FFF)


def npy_header(shape: tuple[int, ...]) -> bytes:
    buffer = io.BytesIO()
    facts = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(buffer, facts)
    return buffer.getvalue()


def npz(shape: tuple[int, ...], data: int) -> _Make:
    def make(root: Path) -> Path:
        packed = Packed(npy_header(shape)).then(bytes(1 << 20), data >> 20)
        write_zip(root / "a.npz", {"images.npy": packed})
        return root / "a.npz"

    return make


def npy(shape: tuple[int, ...]) -> _Make:
    def make(root: Path) -> Path:
        (root / "a.npy").write_bytes(npy_header(shape) + bytes(100))
        return root / "a.npy"

    return make


class Packed:
    """Bytes as a zip holds them. What is repeated is packed once: each part stands by itself."""

    def __init__(self, first: bytes) -> None:
        self.data, self.size, self.crc = b"", 0, 0
        self.then(first, 1)

    def then(self, part: bytes, times: int) -> "Packed":
        """With `part` added so many times."""
        packing = zlib.compressobj(9, zlib.DEFLATED, -15)
        self.data += (packing.compress(part) + packing.flush(zlib.Z_FULL_FLUSH)) * times
        self.size += len(part) * times
        for _ in range(times):
            self.crc = zlib.crc32(part, self.crc)
        return self

    def ended(self) -> bytes:
        """Its data, and the block that ends them."""
        return self.data + zlib.compressobj(9, zlib.DEFLATED, -15).flush()


def write_zip(path: Path, members: dict[str, Packed]) -> None:
    """By hand: Python's own would pack every byte of each."""
    with open(path, "wb") as file:
        entries = b""
        for text, packed in members.items():
            name, data, place = text.encode(), packed.ended(), file.tell()
            sizes = struct.pack("<III", packed.crc, len(data), packed.size)
            facts = struct.pack("<HHHHH", 20, 0, 8, 0, 33) + sizes
            file.write(b"PK\x03\x04" + facts + struct.pack("<HH", len(name), 0) + name + data)
            entries += b"PK\x01\x02\x14\x00" + facts
            entries += struct.pack("<HHHHHII", len(name), 0, 0, 0, 0, 0, place) + name
        start, count = file.tell(), len(members)
        ends = struct.pack("<HHHHIIH", 0, 0, count, count, len(entries), start, 0)
        file.write(entries + b"PK\x05\x06" + ends)


def zip_of(members: int, size: int) -> _Make:
    """Members that unpack a thousandfold: each below the bound of one input."""

    def make(root: Path) -> Path:
        packed = Packed(b"").then(bytes(1 << 20), size >> 20)
        write_zip(root / "a.zip", {f"{number}.png": packed for number in range(members)})
        return root / "a.zip"

    return make


def labels_of(name: str, start: bytes, entry: bytes) -> _Make:
    """A file of labels of 12 MiB in a zip of a few kilobytes, beside four images."""

    def make(root: Path) -> Path:
        with zipfile.ZipFile(root / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            for number, data in enumerate(FILES):
                archive.writestr(f"{number}.png", data)
            archive.writestr(name, start + entry * ((12 << 20) // len(entry)))
        return root / "a.zip"

    return make


def wide_table(root: Path) -> Path:
    """A row of a byte has, filled up, a value for every column of the header."""
    (root / "in").mkdir()
    for number, data in enumerate(FILES):
        (root / "in" / f"{number}.png").write_bytes(data)
    columns = "".join(f",c{number}" for number in range(100_000))
    (root / "in" / "metadata.csv").write_text(f"file_name,label{columns}\n" + "a,b\n" * 20_000)
    return root / "in"


def keys_in_line(root: Path) -> Path:
    """One line of JSON with many keys."""
    row = '{"file_name": "0.png", "label": 1' + "".join(f',"{n}":0' for n in range(1_000_000))
    with zipfile.ZipFile(root / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("0.png", FILES[0])
        archive.writestr("metadata.jsonl", row + "}")
    return root / "a.zip"


def json_beside(root: Path) -> Path:
    """A sample in a tar whose JSON has a million keys."""
    with tarfile.open(root / "a.tar", "w") as archive:
        for number, data in enumerate(FILES):
            add(archive, f"{number}.png", data)
            add(archive, f"{number}.json", b"{" + b'"":0,' * 3_000_000 + b'"label":0}')
    return root / "a.tar"


def tar_of_rows(root: Path) -> Path:
    """Empty members, 120,000 of them, in a few kilobytes."""
    with lzma.open(root / "a.tar.xz", "wb", preset=0) as packed:
        packed.write(tar_header("0.png", 0) * 120_000 + bytes(1024))
    return root / "a.tar.xz"


def tar_header(name: str, size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.type = size, kind
    return info.tobuf(tarfile.GNU_FORMAT)


def tar(*headers: bytes) -> _Make:
    def make(root: Path) -> Path:
        with tarfile.open(root / "a.tar", "w") as archive:
            for number, data in enumerate(FILES):
                add(archive, f"{number}.png", data)
        whole = (root / "a.tar").read_bytes().rstrip(b"\0")
        whole += bytes(-len(whole) % 512)
        (root / "a.tar").write_bytes(whole + b"".join(headers) + bytes(1024))
        return root / "a.tar"

    return make


def in_every(data: bytes) -> dict[str, _Make]:
    """A bad image among good ones, in each container."""
    files = [*FILES, data]

    def folder(root: Path) -> Path:
        (root / "in").mkdir()
        for number, one in enumerate(files):
            (root / "in" / f"{number}.png").write_bytes(one)
        return root / "in"

    def zipped(root: Path) -> Path:
        with zipfile.ZipFile(root / "a.zip", "w") as archive:
            for number, one in enumerate(files):
                archive.writestr(f"{number}.png", one)
        return root / "a.zip"

    def tarred(root: Path) -> Path:
        with tarfile.open(root / "a.tar", "w") as archive:
            for number, one in enumerate(files):
                add(archive, f"{number}.png", one)
        return root / "a.tar"

    def database(root: Path) -> Path:
        with lmdb.open(str(root / "db"), map_size=1 << 20) as environment:
            with environment.begin(write=True) as writing:
                for index, one in enumerate(files):
                    writing.put(f"8-{index:05d}".encode(), one)
        return root / "db"

    return {
        "folder": folder,
        "zip": zipped,
        "tar": tarred,
        "lmdb": database,
        "parquet": parquet(lambda: pa.table({"image": files})),
    }


REFUSED: dict[str, tuple[_Make, str]] = {
    "hdf5 rows": (hdf5(imgs={"shape": (LARGE, 3, 1, 1)}), "says that it holds"),
    "hdf5 bytes": (hdf5(imgs={"shape": (1000, 3, 5000, 5000)}), "unpacks to more than"),
    "hdf5 image": (
        hdf5(imgs={"shape": (1, 3, 1 << 15, 1 << 13), "chunks": (1, 3, 64, 64)}),
        "one image of imgs",
    ),
    "hdf5 chunk": (
        hdf5(imgs={"shape": (300, 3, 1024, 1024), "chunks": (300, 3, 1024, 1024)}),
        "one chunk of imgs",
    ),
    "hdf5 labels": (
        hdf5(imgs=IMAGES, labels={"shape": (LARGE,), "dtype": np.int64}),
        "has labels of shape",
    ),
    "hdf5 labels of text": (
        hdf5(imgs=IMAGES, labels={"shape": (4,), "dtype": h5py.string_dtype()}),
        "has labels of",
    ),
    "hdf5 zeros": (hdf5_of_zeros, "unpacks to more than"),
    "parquet rows": (
        parquet(lambda: pa.table({"image": pa.nulls(3_000_000, pa.binary())})),
        "says that it holds",
    ),
    "parquet bytes": (
        parquet(lambda: pa.table({"image": times(11, bytes(100 << 20))}), use_dictionary=False),
        "unpacks to more than",
    ),
    "parquet dictionary": (dictionary(1000, 8 << 20), "more memory than"),
    "parquet labels": (
        parquet(lambda: pa.table({"image": FILES[:3], "label": dictionary_of("0" * LABEL)}), **ONE),
        "MiB of memory",
    ),
    "arrow claim": (arrow(6 << 30), "could not be read|memory"),
    "arrow claim of all": (arrow(1 << 62), "could not be read|memory"),
    "arrow zeros": (arrow_of_zeros, "memory"),
    "lmdb entries": (lmdb_folder(many_entries), "says that it holds"),
    "lmdb value": (lmdb_folder(long_value), "could not be opened"),
    "npz rows": (npz((LARGE, 8, 8, 1), 0), "its header says"),
    "npz bytes": (npz((1 << 16, 132, 128, 1), (1 << 30) + (60 << 20)), "unpacks to more than"),
    "npy": (npy((LARGE, 8, 8, 1)), "says that it holds"),
    "zip": (zip_of(40, 64 << 20), "unpacks to more than"),
    "zip labels": (labels_of("dataset.json", b'{"labels": [', b"[],"), "no labels do that"),
    "zip label keys": (
        labels_of("dataset.json", b'{"labels": {', b'"":0,'),
        "keys, for .* files: no labels do that",
    ),
    "zip label values": (
        labels_of("dataset.json", b'{"labels": [["0.png", [', b"0,"),
        "values, for .* files: no labels do that",
    ),
    "columns": (wide_table, "has more than 10,000 columns"),
    "keys of a line": (keys_in_line, "A line of .* has .* commas and colons"),
    "json of a sample": (json_beside, "keys, for 1 files: no labels do that"),
    "zip metadata": (labels_of("metadata.csv", b"file_name,label\n", b"a,\n"), "no labels do that"),
    "tar rows": (tar_of_rows, "says that it holds"),
    "tar size": (tar(tar_header("big.png", 1 << 62)), "could not be read"),
    "tar name": (tar(tar_header("././@LongLink", 200 << 20, b"L")), "a header of 209,715,200"),
    "tar pax": (tar(tar_header("x", 1 << 40, tarfile.XHDTYPE)), "a header of"),
}
# One bad input, and the others are read.
READ: dict[str, _Make] = {
    **{f"{kind} pixels": make for kind, make in in_every(large_png()).items()},
    "tar member of 300 MB": tar(tar_header("big.png", 300 << 20) + bytes(300 << 20)),
}


SLOW = {"parquet bytes", "parquet labels", "npz bytes"}  # to make


@pytest.fixture(scope="module")
def endings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, hostile.Ending]:
    """How each of them ends, one after the other in one process."""
    makers = {name: make for name, (make, _) in REFUSED.items() if name not in SLOW} | READ
    paths = [make(tmp_path_factory.mktemp("bomb")) for make in makers.values()]
    return dict(zip(makers, hostile.read_all(paths), strict=False))


@pytest.mark.parametrize("bomb", sorted(REFUSED.keys() - SLOW))
def test_a_bomb_is_refused(endings: dict[str, hostile.Ending], bomb: str) -> None:
    check_refused(endings[bomb], bomb)


@pytest.mark.slow
@pytest.mark.parametrize("bomb", sorted(SLOW))
def test_a_bomb_that_takes_long_to_make_is_refused(tmp_path: Path, bomb: str) -> None:
    (ending,) = hostile.read_all([REFUSED[bomb][0](tmp_path)])
    check_refused(ending, bomb)


def check_refused(ending: hostile.Ending, bomb: str) -> None:
    assert ending.clean and ending.outcome != "read", ending
    assert re.search(REFUSED[bomb][1], ending.message), ending.message


@pytest.mark.parametrize("bomb", READ)
def test_a_bomb_among_good_images_is_one_bad_input(
    endings: dict[str, hostile.Ending], bomb: str
) -> None:
    assert endings[bomb].clean and endings[bomb].outcome == "read", endings[bomb]
