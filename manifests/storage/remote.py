"""A prefix of an object store, through fsspec.

Objects are atomic: they appear whole, under their final names. Every upload is of finished bytes
(leaving `with fs.open(.., "wb")` by an exception would commit half of them) and is read back before
it counts. What fails is tried again for a while (patience.py).
"""

import contextlib
import errno
import hashlib
import io
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from ..errors import ConfigError
from ..extras import require
from ..files.atomic import sha256_file
from .location import URL
from .retry import ReadBackMismatch, RetryPolicy, one_line

_BLOCK = 1 << 20  # bytes of a read
PART = 16 << 20  # bytes of one part of a larger upload; S3 takes no fewer than 5 MiB
_AT_ONCE = 4  # parts of one upload: with PART, what an upload holds in memory
_VERSIONS = ("ETag", "etag", "md5Hash", "version_id", "LastModified", "mtime", "updated", "created")
logger = logging.getLogger(__name__)
_Result = TypeVar("_Result")


def open_remote(url: URL, patience: RetryPolicy | None = None) -> "RemoteStore":
    """The store at `url`; nothing is asked of it yet.

    Raises ConfigError for a protocol that nobody knows or whose package is missing.
    """
    import fsspec

    try:
        fs, root = fsspec.url_to_fs(str(url), **_options(url))
    except ImportError as error:
        if url.is_s3:
            require("s3fs", "s3", str(url))
        raise ConfigError(f"{url} needs a package that is not installed: {error}.") from error
    except ValueError as error:
        raise ConfigError(
            f"{url} cannot be opened: {error}. Use s3://bucket/prefix or another URL that fsspec"
            " knows, or a folder."
        ) from error
    if url.is_s3:
        fs.retries = 1
    return RemoteStore(fs, root.rstrip("/"), url, patience or RetryPolicy.from_environment())


def _options(url: URL) -> dict[str, Any]:
    """Beside what fsspec's own configuration says."""
    from fsspec.config import conf

    # A listing that was kept would hide what other workers did.
    options: dict[str, Any] = {"use_listings_cache": False}
    if url.is_s3:
        # Botocore tries 5 times and s3fs 5 times that, half a minute in which nobody hears a stop.
        asked = conf.get(url.protocol, {}).get("config_kwargs", {})
        options["config_kwargs"] = {"retries": {"total_max_attempts": 1}, **asked}
        options["max_concurrency"] = _AT_ONCE
    return options


class RemoteStore:
    """A Store of objects below `root` of the file system `fs`."""

    def __init__(
        self, fs: Any, root: str, url: URL, patience: RetryPolicy, part: int = PART
    ) -> None:
        self.fs, self.root, self.url, self.patience = fs, root, url, patience
        self._part = part

    def __str__(self) -> str:
        return str(self.url)

    def where(self, name: str) -> str:
        return f"{self.url}/{name}"

    # --- reading

    def names(self) -> list[str]:
        return sorted(self.sizes())

    def sizes(self) -> dict[str, int]:
        return {name: int(facts["size"]) for name, facts in self.listing().items()}

    def listing(self) -> dict[str, dict[str, Any]]:
        """Name -> what the store says of it, of every object: one request for a thousand of them.

        Raises ConfigError where there is no such bucket.
        """

        def listed() -> dict[str, dict[str, Any]]:
            self.fs.invalidate_cache()
            try:
                found: dict[str, dict[str, Any]] = self.fs.find(self.root, detail=True)
                return found
            except FileNotFoundError as error:
                if any(word in str(error).lower() for word in ("bucket", "container")):
                    raise self._no_bucket(error) from error
                return {}

        found = self.patience.retry(f"listing {self.url}", listed)
        prefix = f"{self.root}/"
        return {
            path.removeprefix(prefix): facts
            for path, facts in sorted(found.items())
            if path.startswith(prefix) and not path.endswith("/")  # consoles make such "folders"
        }

    def facts(self, name: str) -> dict[str, Any] | None:
        """What the store says of one object; None where there is none."""

        def looked() -> dict[str, Any] | None:
            self.fs.invalidate_cache()
            try:
                facts: dict[str, Any] = self.fs.info(self._path(name))
            except FileNotFoundError:
                return None
            return facts if facts.get("type") == "file" else None

        return self._retry("looking at", name, looked)

    def size(self, name: str) -> int | None:
        facts = self.facts(name)
        return None if facts is None else int(facts["size"])

    def open(self, name: str) -> io.BufferedReader:
        size = self.size(name)
        if size is None:
            raise FileNotFoundError(errno.ENOENT, "No such object", self.where(name))
        return io.BufferedReader(_Reading(self, name, size), _BLOCK)

    def read(self, name: str) -> bytes:
        data: bytes = self._retry("reading", name, lambda: self.fs.cat_file(self._path(name)))
        return data

    def read_range(self, name: str, start: int, end: int) -> bytes:
        def read() -> bytes:
            data: bytes = self.fs.cat_file(self._path(name), start=start, end=end)
            if len(data) != end - start:
                raise ReadBackMismatch(errno.EIO, f"{len(data)} of {end - start} bytes came", name)
            return data

        return self._retry("reading", name, read)

    def sha256(self, name: str) -> str:
        with self.open(name) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def fetch(self, name: str, path: Path) -> None:
        """Downloads a whole object to the local file `path`."""
        self._retry("fetching", name, lambda: self.fs.get_file(self._path(name), str(path)))

    # --- writing

    def write(self, name: str, data: bytes) -> None:
        """One object, read back before it counts."""

        def sent() -> None:
            with self._uploading():
                self.fs.pipe_file(self._path(name), data)
            if self.fs.cat_file(self._path(name)) != data:
                raise ReadBackMismatch(errno.EIO, "the object reads back otherwise", name)

        self._retry("writing", name, sent)

    def put(self, name: str, path: Path, sha256: str) -> bool:
        """Uploads a finished local file and reads it back; False if it was there already.

        Raises ConfigError if the file itself is not what `sha256` says.
        """
        size = path.stat().st_size
        if self.size(name) == size and self.sha256(name) == sha256:
            return False

        def sent() -> None:
            if sha256_file(path) != sha256:
                raise ConfigError(f"{path} changed while it was uploaded. Remove it and run again.")
            with self._uploading():
                self.fs.put_file(str(path), self._path(name), **self._parts())
            if self.size(name) != size or self.sha256(name) != sha256:
                raise ReadBackMismatch(errno.EIO, "the object reads back otherwise", name)

        self._retry("uploading", name, sent)
        return True

    def remove(self, name: str) -> None:
        def removed() -> None:
            with contextlib.suppress(FileNotFoundError):
                self.fs.rm_file(self._path(name))

        self._retry("removing", name, removed)

    def abort_unfinished(self) -> int:
        """Takes away the parts of uploads that were cut off, where the store lists them.

        They are no objects and nobody sees them, but they are paid for. Only for who is alone.
        Where that is not allowed, or not known, a warning is all.
        """
        if not hasattr(self.fs, "list_multipart_uploads"):
            return 0
        bucket, _, prefix = self.root.partition("/")

        below = f"{prefix}/" if prefix else ""
        try:
            listed = self.fs.list_multipart_uploads(bucket)
            ours = [upload for upload in listed if upload["Key"].startswith(below)]
            for upload in ours:
                with contextlib.suppress(FileNotFoundError):  # gone meanwhile
                    self.fs.abort_mpu(bucket, upload["Key"], upload["UploadId"])
        except Exception as error:  # stores and their packages raise what they like
            logger.warning(
                "%s: parts of uploads that were cut off, if any, stay (%s)",
                self.url,
                one_line(error),
            )
            return 0
        return len(ours)

    def _path(self, name: str) -> str:
        return f"{self.root}/{name}"

    def _parts(self) -> dict[str, int]:
        return {"chunksize": self._part} if self.url.is_s3 else {}

    def _retry(self, doing: str, name: str, action: Callable[[], _Result]) -> _Result:
        return self.patience.retry(f"{doing} {self.where(name)}", action)

    @contextlib.contextmanager
    def _uploading(self) -> Iterator[None]:
        """An object that is being written needs nothing but its bucket."""
        try:
            yield
        except FileNotFoundError as error:
            if "upload" in str(error).lower():  # somebody aborted it
                raise OSError(errno.EIO, str(error)) from error
            raise self._no_bucket(error) from error

    def _no_bucket(self, error: Exception) -> ConfigError:
        bucket = self.root.strip("/").partition("/")[0]
        return ConfigError(
            f"{self.url} was asked for, but there is no {bucket}: {error}. Make it with your"
            " cloud's own tools (as in `aws s3 mb`), or correct the name."
        )


def version(facts: dict[str, Any]) -> list[Any]:
    """What changes when an object does: its size, and its hash or time as far as there is one."""
    known = next((str(facts[key]) for key in _VERSIONS if facts.get(key) is not None), None)
    return [facts.get("size"), known]


class _Reading(io.RawIOBase):
    """An object as a seekable file; every read is a request."""

    def __init__(self, store: RemoteStore, name: str, size: int) -> None:
        super().__init__()
        self._store, self._name, self._size, self._place = store, name, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._size}[whence]
        if start + offset < 0:
            raise OSError(errno.EINVAL, "seek before the start", self._name)
        self._place = start + offset
        return self._place

    def tell(self) -> int:
        return self._place

    def readinto(self, buffer: Any) -> int:
        end = min(self._place + len(buffer), self._size)
        if end <= self._place:
            return 0
        data = self._store.read_range(self._name, self._place, end)
        buffer[: len(data)] = data
        self._place += len(data)
        return len(data)
