"""Files in an object store: a prefix of a bucket, through fsspec.

Objects are atomic: they appear whole, under their final names. Every upload is of finished bytes
(leaving `with fs.open(.., "wb")` by an exception would commit half of them) and is read back before
it counts. Requests that fail are repeated for a while (retry.py).
"""

import contextlib
import errno
import hashlib
import io
import logging
from collections.abc import Callable, Iterator
from inspect import signature
from pathlib import Path
from typing import Any, TypeVar

from ..errors import ConfigError
from ..extras import require
from ..files.atomic import sha256_file
from .conditions import refuses_conditions, says_it_exists
from .location import URL
from .retry import ReadBackMismatch, RetryPolicy, one_line
from .settings import client_settings
from .web import failure_behind, get_bounded, raise_refusal

_BLOCK = 1 << 20  # bytes of a read
PART = 16 << 20  # bytes of one part of a larger upload; S3 takes no fewer than 5 MiB
_VERSIONS = ("ETag", "etag", "md5Hash", "version_id", "LastModified", "mtime", "updated", "created")
logger = logging.getLogger(__name__)
_Result = TypeVar("_Result")


def open_remote(url: URL, retry_policy: RetryPolicy | None = None) -> "RemoteStore":
    """The store at `url`; no request is made yet.

    Raises ConfigError for a protocol that fsspec does not know or whose package is missing.
    """
    import fsspec

    policy = retry_policy or RetryPolicy.from_environment()
    try:
        fs, root = fsspec.url_to_fs(str(url), **client_settings(url, policy.seconds))
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
    return RemoteStore(fs, root.rstrip("/"), url, policy)


class RemoteStore:
    """A Store of objects below `root` of the file system `fs`."""

    def __init__(
        self, fs: Any, root: str, url: URL, retry_policy: RetryPolicy, part: int = PART
    ) -> None:
        self.fs, self.root, self.url, self.retry_policy = fs, root, url, retry_policy
        self._part = part
        may_split = url.is_s3 and "max_concurrency" in signature(fs._cat_file).parameters
        self._at_once = {"max_concurrency": 1} if may_split else {}

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
        """Name -> size, hash, time, ... of every object; one request for each thousand.

        Raises ConfigError where there is no such bucket.
        """

        def find() -> dict[str, dict[str, Any]]:
            self.fs.invalidate_cache()
            try:
                found: dict[str, dict[str, Any]] = self.fs.find(self.root, detail=True)
                return found
            except FileNotFoundError as error:
                if any(word in str(error).lower() for word in ("bucket", "container")):
                    raise self._no_bucket(error) from error
                return {}

        found = self.retry_policy.retry(f"listing {self.url}", find)
        prefix = f"{self.root}/"
        return {
            path.removeprefix(prefix): facts
            for path, facts in sorted(found.items())
            if path.startswith(prefix)
            and not path.endswith("/")  # web consoles make such "folders"
        }

    def facts(self, name: str) -> dict[str, Any] | None:
        """The store's facts of one object (size, hash, time); None where there is none."""

        def read_info() -> dict[str, Any] | None:
            self.fs.invalidate_cache()
            try:
                facts: dict[str, Any] = self.fs.info(self._path(name))
            except FileNotFoundError as error:
                raise_refusal(error)
                failure = failure_behind(error) if self.url.is_web else None
            else:
                return facts if facts.get("type") == "file" else None
            if failure is not None:
                raise failure  # not while handling the error that it is the cause of: a circle
            return None

        return self._retry("reading facts of", name, read_info)

    def size(self, name: str) -> int | None:
        facts = self.facts(name)
        return None if facts is None else int(facts["size"])

    def open(self, name: str) -> io.BufferedReader:
        return io.BufferedReader(self.open_raw(name), _BLOCK)

    def open_raw(self, name: str) -> io.RawIOBase:
        size = self.size(name)
        if size is None:
            raise FileNotFoundError(errno.ENOENT, "No such object", self.where(name))
        return _RemoteFile(self, name, size)

    def read(self, name: str) -> bytes:
        return self._retry("reading", name, lambda: self._read_whole(name))

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

    def _holds(self, name: str, size: int, sha256: str) -> bool:
        """Whether an object of this content is there."""
        if self.size(name) != size:
            return False
        with io.BufferedReader(_RemoteFile(self, name, size), _BLOCK) as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == sha256

    def fetch(self, name: str, path: Path, limit: int | None = None) -> None:
        """Downloads a whole object to the local file `path`.

        limit: bytes that an HTTP server may send. Raises InputError where it sends more.
        """
        source, stopping = self._path(name), self.retry_policy.stopping

        def get() -> None:
            if self.url.is_web:
                get_bounded(self.fs, source, str(path), limit, stopping)
            else:
                self.fs.get_file(source, str(path))

        self._retry("fetching", name, get)

    # --- writing

    def write(self, name: str, data: bytes) -> None:
        """One object, read back before it counts."""

        def send() -> None:
            with self._uploading():
                self.fs.pipe_file(self._path(name), data)
            if self._read_whole(name) != data:
                raise ReadBackMismatch(errno.EIO, "other bytes were read back", name)

        self._retry("writing", name, send)

    def create(self, name: str, data: bytes) -> bool:
        """Writes an object that is not there yet; False where other bytes are there already.

        Exclusive where the store can refuse to overwrite. Elsewhere, of two processes at the same
        moment, the last to write has it: whoever relies on it reads it again before each write.
        """

        def send() -> bool:
            if self.facts(name) is None:
                with self._uploading():
                    self._send_new(name, data)
            return self._read_whole(name) == data

        return self._retry("writing", name, send)

    def _send_new(self, name: str, data: bytes) -> None:
        """Writes an object if there is none, by one request where the store knows the condition."""
        try:
            self.fs.pipe_file(self._path(name), data, mode="create")
        except Exception as error:  # packages raise errors of any class
            if says_it_exists(error):
                if self.facts(name) is None:  # removed meanwhile: from the start
                    raise OSError(errno.EAGAIN, "it was there, and is gone", name) from error
            elif not refuses_conditions(error):
                raise
            elif self.facts(name) is None:
                self.fs.pipe_file(self._path(name), data)

    def put(self, name: str, path: Path, sha256: str) -> bool:
        """Uploads a finished local file and reads it back; False if it was there already.

        Raises ConfigError if the file itself is not what `sha256` says.
        """
        size = path.stat().st_size
        if self._holds(name, size, sha256):
            return False

        def send() -> None:
            if sha256_file(path) != sha256:
                raise ConfigError(f"{path} changed while it was uploaded. Remove it and run again.")
            with self._uploading():
                self.fs.put_file(str(path), self._path(name), **self._parts())
            if not self._holds(name, size, sha256):
                raise ReadBackMismatch(errno.EIO, "other bytes were read back", name)

        self._retry("uploading", name, send)
        return True

    def remove(self, name: str) -> None:
        def remove_file() -> None:
            with contextlib.suppress(FileNotFoundError):
                self.fs.rm_file(self._path(name))

        self._retry("removing", name, remove_file)

    def abort_unfinished(self) -> int:
        """Removes the parts of uploads that were cut off, where the store lists them.

        Parts are no objects and are not listed, but they are paid for. Call it only where no other
        process uploads. Where the store does not allow it, logs a warning. Returns their number.
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
        except Exception as error:  # packages raise errors of any class
            logger.warning(
                "%s: parts of uploads that were cut off, if any, stay (%s)",
                self.url,
                one_line(error),
            )
            return 0
        return len(ours)

    def _path(self, name: str) -> str:
        return f"{self.root}/{name}"

    def _read_whole(self, name: str) -> bytes:
        """One request: to read in parallel parts, s3fs asks for the size first, and lists what
        lies below a name that is not there. Earlier versions do not read in parallel.
        """
        data: bytes = self.fs.cat_file(self._path(name), **self._at_once)
        return data

    def _parts(self) -> dict[str, int]:
        return {"chunksize": self._part} if self.url.is_s3 else {}

    def _retry(self, doing: str, name: str, action: Callable[[], _Result]) -> _Result:
        return self.retry_policy.retry(f"{doing} {self.where(name)}", action)

    @contextlib.contextmanager
    def _uploading(self) -> Iterator[None]:
        """Turns FileNotFoundError of an upload into the missing bucket that it means."""
        try:
            yield
        except FileNotFoundError as error:
            if "upload" in str(error).lower():  # somebody aborted it
                raise OSError(errno.EIO, str(error)) from error
            raise self._no_bucket(error) from error

    def _no_bucket(self, error: Exception) -> ConfigError:
        bucket = self.root.strip("/").partition("/")[0]
        return ConfigError(
            f"{self.url} is configured, but there is no bucket {bucket}: {error}. Make it with your"
            " cloud's own tools (as in `aws s3 mb`), or correct the name."
        )


def version(facts: dict[str, Any]) -> list[Any]:
    """Identifies an object's content: its size, and its hash or time if the store has one."""
    known = next((str(facts[key]) for key in _VERSIONS if facts.get(key) is not None), None)
    return [facts.get("size"), known]


class _RemoteFile(io.RawIOBase):
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
