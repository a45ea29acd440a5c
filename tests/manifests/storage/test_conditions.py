"""A conditional create: only a store that refuses conditions gets the object without one."""

import errno
from typing import Any

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from scoremix.manifests.errors import ConfigError, StorageError
from scoremix.manifests.storage.conditions import refuses_conditions
from scoremix.manifests.storage.location import URL
from scoremix.manifests.storage.remote import RemoteStore, open_remote
from scoremix.manifests.storage.retry import RetryPolicy

SHORT = RetryPolicy(seconds=1.0)


class Conditional(MemoryFileSystem):
    """Raises `errors`, one after the other, for conditional writes; counts those without."""

    cachable = False

    def __init__(self, *errors: Exception) -> None:
        super().__init__()
        self.store, self.pseudo_dirs = {}, [""]
        self.errors, self.plain = list(errors), 0

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **more: Any) -> None:
        self.plain += mode != "create"
        if mode == "create" and self.errors:
            raise self.errors.pop(0)
        super().pipe_file(path, value, mode=mode, **more)


def store_of(*errors: Exception) -> RemoteStore:
    return RemoteStore(Conditional(*errors), "/x", URL("memory://x"), SHORT)


def of_s3(code: str, status: int, **more: str) -> Exception:
    """What s3fs makes of an answer of a server."""
    from botocore.exceptions import ClientError
    from s3fs.errors import translate_boto_error

    answer = {"Error": {"Code": code, "Message": "its words", **more}}
    facts = {"ResponseMetadata": {"HTTPStatusCode": status}}
    error: Exception = translate_boto_error(ClientError({**answer, **facts}, "PutObject"))
    return error


def of_botocore(text: str) -> Exception:
    from botocore.exceptions import ParamValidationError

    error: Exception = ParamValidationError(report=text)
    return error


@pytest.mark.parametrize(
    "error",
    [
        NotImplementedError("mode create"),
        TypeError("pipe_file() got an unexpected keyword argument 'mode'"),
        ValueError("mode must be overwrite"),
        OSError(errno.ENOSYS, "no such thing"),
        of_s3("NotImplemented", 501),
        of_s3("501", 501),
        of_s3("InvalidArgument", 400),
        of_s3("InvalidRequest", 400),
        of_botocore('Unknown parameter in input: "IfNoneMatch"'),
    ],
    ids=repr,
)
def test_a_store_that_refuses_conditions_gets_the_object_without_one(error: Exception) -> None:
    store = store_of(error)
    assert store.create("owner", b"mine") and store.read("owner") == b"mine"
    assert store.fs.plain == 1 and store.fs.errors == []


@pytest.mark.parametrize(
    "error",
    [
        TimeoutError("slow"),
        ConnectionResetError(errno.ECONNRESET, "reset"),
        OSError(errno.EIO, "unknown"),
        of_s3("InternalError", 500),
        of_s3("SlowDown", 503),
        of_s3("ServiceUnavailable", 503),
        of_s3("ConditionalRequestConflict", 409),
        of_s3("IncompleteBody", 400),
        of_s3("BadDigest", 400),
    ],
    ids=repr,
)
def test_what_passes_is_tried_again_with_the_condition(error: Exception) -> None:
    """Without it, what another process wrote meanwhile would be overwritten."""
    store = store_of(error)
    assert store.create("owner", b"mine") and store.read("owner") == b"mine"
    assert store.fs.plain == 0 and store.fs.errors == []
    lasting = store_of(*[error] * 50)
    lasting.retry_policy = RetryPolicy(seconds=0.1)
    with pytest.raises(StorageError, match="writing memory://x/owner failed"):
        lasting.create("owner", b"mine")
    assert lasting.fs.plain == 0 and lasting.size("owner") is None


@pytest.mark.parametrize(
    "error",
    [
        PermissionError("not yours"),
        of_s3("AccessDenied", 403),
        of_s3("SignatureDoesNotMatch", 403),
        of_botocore('Invalid length for parameter Bucket, value: ""'),
    ],
    ids=repr,
)
def test_a_refusal_of_the_write_is_reported_at_once(error: Exception) -> None:
    store = store_of(error)
    with pytest.raises(ConfigError):
        store.create("owner", b"mine")
    assert store.fs.plain == 0 and store.size("owner") is None


@pytest.mark.parametrize("error", [TypeError("NoneType"), ValueError("no JSON")], ids=repr)
def test_a_mistake_is_no_refusal(error: Exception) -> None:
    store = store_of(error)
    with pytest.raises(type(error)):
        store.create("owner", b"mine")
    assert store.fs.plain == 0


@pytest.mark.parametrize(
    "error",
    [
        FileExistsError("owner"),
        of_s3("PreconditionFailed", 412),
        of_s3("PreconditionFailed", 412, Condition="If-None-Match"),
    ],
    ids=repr,
)
def test_an_object_that_appeared_meanwhile_is_kept(error: Exception) -> None:
    store = store_of(error)
    real, before = store.facts, iter([True])  # it saw nothing yet when the other wrote
    store.facts = lambda name: None if next(before, False) else real(name)  # type: ignore[method-assign]
    MemoryFileSystem.pipe_file(store.fs, "/x/owner", b"theirs")
    assert not store.create("owner", b"mine") and store.read("owner") == b"theirs"
    assert store.fs.plain == 0
    gone = store_of(error)  # and was removed again
    assert gone.create("owner", b"mine") and gone.read("owner") == b"mine"
    assert gone.fs.plain == 0


def test_a_server_that_knows_no_conditions(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real package against a server that answers 501, as some do for the header."""
    import boto3
    import s3
    from moto.s3 import responses

    seen = []

    def put_object(self: Any) -> Any:
        seen.append(self.headers.get("If-None-Match"))
        if seen[-1]:
            raise responses.S3ClientError("NotImplemented", "A header you provided is not.")
        return real(self)

    name = "put_object"
    real = getattr(responses.S3Response, name)
    monkeypatch.setattr(responses.S3Response, name, put_object)
    with s3.serving_here() as address, s3.reached_at(address):
        boto3.client("s3").create_bucket(Bucket=bucket)
        store = open_remote(URL(f"s3://{bucket}/prefix"), SHORT)
        assert store.create("owner", b"mine") and store.read("owner") == b"mine"
    assert seen == ["*", None]


@pytest.mark.parametrize("error", [ValueError("unknown model"), TypeError("a module was given")])
def test_words_that_hold_mode_say_nothing_of_conditions(error: Exception) -> None:
    assert not refuses_conditions(error)
