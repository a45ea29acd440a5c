"""Files that appear under their final name whole, or not at all.

write to a temporary name on the same file system - flush - fsync - rename - fsync the directory.
A full or read-only disk becomes a StorageError: exit code 6, and the same command resumes.
"""

import contextlib
import errno
import hashlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from ..errors import STORAGE_ERRNOS, StorageError
from .durable import make_folder, rename
from .processes import is_alive

if TYPE_CHECKING:  # the command line's help needs no pyarrow
    import pyarrow as pa


_TEMPORARY = re.compile(r"\..+\.(\d+)\.tmp")


@contextlib.contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turns the operating system's error of a failed write to `path` into a StorageError."""
    try:
        yield
    except OSError as error:
        if error.errno not in STORAGE_ERRNOS:
            raise
        remedy = "free some space or fix the permissions, then run the same command again."
        if error.errno == errno.EROFS:
            remedy = "name a place that can be written to."
        raise StorageError(
            f"Writing {path} failed: {error.strerror or error}. Nothing that was finished is lost: "
            f"{remedy}"
        ) from error


@contextlib.contextmanager
def replacing(path: Path, temporary: Path | None = None) -> Iterator[BinaryIO]:
    """A binary file that is renamed to `path` at the block's end, and removed on an error.

    `temporary` must be on the same file system; by default a dotted name beside `path`.
    """
    if temporary is None:  # containers that share a folder may have one process number
        name = f".{path.name}.{secrets.token_hex(4)}.{os.getpid()}.tmp"
        temporary = path.with_name(name)
    with storage_errors(path):
        make_folder(path.parent)
        make_folder(temporary.parent)
        try:
            with open(temporary, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            rename(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def break_hard_links(path: Path) -> None:
    """Makes the file one of its own, before it is written in place: a snapshot of hard links
    (`cp -al`, rsnapshot) shares its bytes. Raises StorageError."""
    if path.stat().st_nlink > 1:
        with replacing(path, path.with_name(f".{path.name}.tmp")) as file, open(path, "rb") as old:
            shutil.copyfileobj(old, file)


def remove_temporaries(folder: Path) -> None:
    """Removes temporary files of `replacing` in `folder` whose process was killed."""
    for path in folder.glob(".*.tmp"):
        found = _TEMPORARY.fullmatch(path.name)
        if found and not is_alive(int(found[1])):
            path.unlink(missing_ok=True)


def write_bytes(path: Path, data: bytes, temporary: Path | None = None) -> None:
    """Replaces `path` by `data`, durably; raises StorageError. See `replacing`."""
    with replacing(path, temporary) as file:
        file.write(data)


def json_bytes(value: Any) -> bytes:
    """JSON with sorted keys and a final newline: equal values give equal bytes.

    Raises ValueError for what JSON cannot hold, and for what is nested too deep.
    """
    return (_json_text(value, indent=2, ensure_ascii=False) + "\n").encode()


def write_json(path: Path, value: Any, temporary: Path | None = None) -> None:
    """Replaces `path` by `json_bytes(value)`."""
    write_bytes(path, json_bytes(value), temporary)


def parquet_bytes(table: "pa.Table") -> bytes:
    """Parquet with page checksums; equal tables give equal bytes under one pyarrow version."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd", write_page_checksum=True)
    return bytes(sink.getvalue())


def write_parquet(path: Path, table: "pa.Table", temporary: Path | None = None) -> None:
    """Replaces `path` by `parquet_bytes(table)`."""
    write_bytes(path, parquet_bytes(table), temporary)


def read_parquet(source: Path | bytes) -> "pa.Table":
    """Reads a Parquet file, or the bytes of one; page checksums are verified.

    Raises:
        pa.ArrowException, OSError, ValueError: it is damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    # read_table would import pandas, a third of a second, and gives the same table.
    found = pa.BufferReader(source) if isinstance(source, bytes) else source
    with pq.ParquetFile(found, page_checksum_verification=True) as file:
        # In this thread, as fast: after an error, threads of pyarrow's would be at work at exit.
        return file.read(use_threads=False)


def sha256_file(path: Path) -> str:
    """sha256 of a file's bytes, in hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def canonical_digest(value: Any) -> str:
    """sha256 of a JSON-able value in its canonical form: keys sorted, no spaces.

    Raises ValueError as `json_bytes`.
    """
    return hashlib.sha256(_json_text(value, separators=(",", ":")).encode()).hexdigest()


def _json_text(value: Any, **how: Any) -> str:
    try:
        return json.dumps(value, sort_keys=True, allow_nan=False, **how)
    except RecursionError:
        raise ValueError("it is nested too deep for JSON") from None
