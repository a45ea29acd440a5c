"""Stores: the same files under every protocol, uploads that are checked, failures that pass."""

import errno
import hashlib
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import made
import pytest
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem

from scoremix.manifests.errors import ConfigError, Interrupted, StorageError
from scoremix.manifests.published.inspect import PublishedCorpus
from scoremix.manifests.published.publish import is_published
from scoremix.manifests.published.sums import SUMS
from scoremix.manifests.published.verify import verify
from scoremix.manifests.storage.location import URL, is_url, place
from scoremix.manifests.storage.remote import RemoteStore, open_remote, version
from scoremix.manifests.storage.retry import RetryPolicy
from scoremix.manifests.storage.store import LocalStore, Store, store_of

SHORT = RetryPolicy(seconds=1.0)
FILES = {"a.json": b"{}", "deep/b.tar": bytes(range(256)) * 40, "empty": b""}


@pytest.fixture(autouse=True)
def forget_memory() -> Iterator[None]:
    """memory:// is one for the whole process."""
    yield
    MemoryFileSystem.store.clear()


@pytest.fixture(params=["memory", "file", "s3"])
def remote(request: pytest.FixtureRequest, tmp_path: Path) -> RemoteStore:
    if request.param == "s3":
        return open_remote(URL(f"s3://{request.getfixturevalue('bucket')}/some/prefix"), SHORT)
    if request.param == "file":
        root = tmp_path / "objects"
        fs = LocalFileSystem(auto_mkdir=True)
        return RemoteStore(fs, str(root), URL("objects://of-this/disk"), SHORT)
    return open_remote(URL("memory://some/prefix"), SHORT)


def filled(store: Store) -> Store:
    for name, data in FILES.items():
        store.write(name, data)
    return store


# --- places


@pytest.mark.parametrize(
    "text, wanted",
    [
        ("s3://bucket/prefix/", URL("s3://bucket/prefix")),
        ("S3://bucket", URL("S3://bucket")),
        ("memory:///a/b", URL("memory://a/b")),
        ("file:///data/x", Path("/data/x")),
        ("some/folder", Path("some/folder")),
        ("C:/of no use here", Path("C:/of no use here")),
    ],
)
def test_a_place_is_a_path_or_a_url(text: str, wanted: Path | URL) -> None:
    assert place(text) == wanted
    assert is_url(text) == isinstance(wanted, URL)


@pytest.mark.parametrize(
    "text, why",
    [
        ("s3://", "names no place"),
        ("zip://a.png::s3://bucket/a.zip", "chain of URLs"),
        ("https://me:secret@host/a.zip", "has a user or password"),
        ("nosuch://a/b", "is none of .*SCOREMIX_PROTOCOLS=nosuch"),
    ],
)
def test_urls_of_no_use_are_refused(text: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why) as caught:
        found = place(text)
        assert isinstance(found, URL)
        open_remote(found)
    assert "secret" not in str(caught.value)


def test_a_url_knows_its_name_and_what_it_lies_in() -> None:
    assert [URL("s3://b/x/y").name, URL("s3://b").name] == ["y", "b"]
    assert URL("s3://b/x/y").is_within(URL("s3://b/x"))
    assert not URL("s3://b/xy").is_within(URL("s3://b/x"))


def test_a_missing_package_is_named_with_its_extra() -> None:
    check = (
        "import sys; sys.modules['s3fs'] = None\n"
        "from scoremix.manifests.storage.remote import open_remote\n"
        "from scoremix.manifests.storage.location import URL\n"
        "from scoremix.pipeline.cli import exit_code\n"
        "sys.exit(exit_code(lambda: open_remote(URL('s3://bucket/prefix'))))"
    )
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True)
    assert done.returncode == 2
    assert 'pip install "scoremix-pipeline[s3]"' in done.stderr and "Traceback" not in done.stderr


# --- one interface


def test_a_remote_store_is_as_a_folder(remote: RemoteStore, tmp_path: Path) -> None:
    local = filled(LocalStore(tmp_path / "local"))
    filled(remote)
    for store in (local, remote):
        assert store.names() == sorted(FILES)
        assert store.sizes() == {name: len(data) for name, data in FILES.items()}
        for name, data in FILES.items():
            assert store.size(name) == len(data) and store.read(name) == data
            assert store.sha256(name) == hashlib.sha256(data).hexdigest()
        assert store.size("nothing") is None and store.size("deep") is None
        for read in (store.read, store.open, store.sha256):
            with pytest.raises(FileNotFoundError):
                read("nothing")
        store.remove("a.json")
        store.remove("a.json")  # gone already
        assert store.names() == ["deep/b.tar", "empty"]


def test_an_object_is_a_seekable_file(remote: RemoteStore) -> None:
    filled(remote)
    data = FILES["deep/b.tar"]
    with remote.open("deep/b.tar") as file:
        assert file.read(10) == data[:10] and file.tell() == 10
        file.seek(-5, 2)
        assert file.read(100) == data[-5:] and file.read(1) == b""
        file.seek(700)
        file.seek(3, 1)
        assert file.read(4) == data[703:707]
        assert file.seek(len(data) + 9) and file.read() == b""
        with pytest.raises(OSError, match="before the start"):
            file.seek(-1)


def test_neighbours_of_a_prefix_do_not_belong_to_it(bucket: str) -> None:
    outer = open_remote(URL(f"s3://{bucket}"), SHORT)
    for name in ("x/in", "xy", "xy/out", "x/folder/"):  # the last as consoles make them
        outer.fs.pipe_file(f"{bucket}/{name}", b"1")
    assert open_remote(URL(f"s3://{bucket}/x"), SHORT).names() == ["in"]
    assert outer.names() == ["x/in", "xy", "xy/out"]


def test_what_others_do_is_seen_at_once(bucket: str) -> None:
    store, other = (open_remote(URL(f"s3://{bucket}/x"), SHORT) for _ in range(2))
    assert store.names() == [] and store.size("new") is None
    other.write("new", b"1")
    assert store.names() == ["new"] and store.size("new") == 1
    before = version(store.listing()["new"])
    other.write("new", b"2")
    assert store.read("new") == b"2" and version(store.listing()["new"]) != before
    other.remove("new")
    assert store.names() == [] and store.size("new") is None


def test_what_is_read_whole_takes_one_request(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store, asked = open_remote(URL(f"s3://{bucket}/x"), SHORT), []
    store.write("there", b"1")
    plain = store.fs._call_s3

    async def counted(method: str, *arguments: Any, **more: Any) -> Any:
        asked.append(method)
        return await plain(method, *arguments, **more)

    monkeypatch.setattr(store.fs, "_call_s3", counted)
    assert store.read("there") == b"1"
    with pytest.raises(FileNotFoundError):
        store.read("nothing")
    assert asked == ["get_object"] * 2


# --- uploads


class Faulty(MemoryFileSystem):
    """Spoils, or refuses, the first `faults` uploads of a file."""

    cachable = False
    faults = 0
    error: Exception | None = None
    sent = 0

    def put_file(self, lpath: str, rpath: str, **more: Any) -> None:
        self.sent += 1
        if self.sent > self.faults:
            super().put_file(lpath, rpath)
        elif self.error is not None:
            raise self.error
        else:
            self.pipe_file(rpath, Path(lpath).read_bytes()[:-1] + b"?")


def faulty(faults: int, error: Exception | None = None) -> RemoteStore:
    fs = Faulty()
    fs.faults, fs.error = faults, error
    return RemoteStore(fs, "/faulty", URL("memory://faulty"), SHORT)


def a_file(folder: Path) -> tuple[Path, str]:
    path = folder / "shard.tar"
    path.write_bytes(FILES["deep/b.tar"])
    return path, hashlib.sha256(FILES["deep/b.tar"]).hexdigest()


def test_an_upload_is_checked_and_not_sent_twice(remote: RemoteStore, tmp_path: Path) -> None:
    path, digest = a_file(tmp_path)
    assert remote.put("shard.tar", path, digest) is True
    assert remote.put("shard.tar", path, digest) is False  # it is there
    assert remote.sha256("shard.tar") == digest
    path.write_bytes(b"something else")
    with pytest.raises(ConfigError, match="changed while it was uploaded"):
        remote.put("shard.tar", path, digest)
    assert remote.sha256("shard.tar") == digest


@pytest.mark.parametrize("error", [None, ConnectionResetError(errno.ECONNRESET, "reset")])
def test_a_spoilt_upload_is_sent_again(error: Exception | None, tmp_path: Path) -> None:
    store = faulty(2, error)
    path, digest = a_file(tmp_path)
    assert store.put("shard.tar", path, digest) is True
    assert store.fs.sent == 3 and store.sha256("shard.tar") == digest


def test_a_store_that_spoils_everything_is_given_up(tmp_path: Path) -> None:
    store = faulty(10**9)
    with pytest.raises(StorageError, match="bytes were read back.* run the same command") as caught:
        store.put("shard.tar", *a_file(tmp_path))
    assert caught.value.exit_code == 6 and "memory://faulty/shard.tar" in str(caught.value)


def test_large_files_go_up_in_parts_and_leave_none_behind(bucket: str, tmp_path: Path) -> None:
    import boto3

    url = URL(f"s3://{bucket}/x")
    fs = open_remote(url).fs
    store = RemoteStore(fs, f"{bucket}/x", url, SHORT, part=5 << 20)
    path = tmp_path / "large"
    path.write_bytes(b"0123456789abcdef" * (11 << 16))  # 11 MiB
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert store.put("large", path, digest) is True
    assert '-3"' in fs.info(f"{bucket}/x/large")["ETag"]  # of three parts
    client = boto3.client("s3")
    for key in ("x/cut-off", "others/cut-off"):
        upload = client.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
        client.upload_part(Bucket=bucket, Key=key, PartNumber=1, UploadId=upload, Body=b"1")
    assert store.abort_unfinished() == 1
    assert store.abort_unfinished() == 0
    left = client.list_multipart_uploads(Bucket=bucket)["Uploads"]
    assert [upload["Key"] for upload in left] == ["others/cut-off"]  # not ours


def test_parts_that_cannot_be_listed_stay(
    bucket: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    store = open_remote(URL(f"s3://{bucket}/x"), RetryPolicy(3600.0))

    def denied(bucket: str) -> None:
        raise PermissionError("Access Denied")

    monkeypatch.setattr(store.fs, "list_multipart_uploads", denied)
    assert store.abort_unfinished() == 0
    assert "stay (Access Denied)" in caplog.text
    assert open_remote(URL("memory://x"), SHORT).abort_unfinished() == 0  # knows no parts


# --- what fails


def failing(*errors: Exception) -> Callable[[], str]:
    left = list(errors)

    def action() -> str:
        if left:
            raise left.pop(0)
        return "done"

    return action


def test_what_passes_is_tried_again() -> None:
    reset = ConnectionResetError(errno.ECONNRESET, "reset by peer")
    assert RetryPolicy(5.0).retry("reading x", failing(reset, TimeoutError("slow"))) == "done"
    with pytest.raises(StorageError, match="reading x failed [0-9]+ times within 0.5 s.*reset by"):
        RetryPolicy(0.5).retry("reading x", failing(*[reset] * 50))


@pytest.mark.parametrize(
    "error, kind",
    [
        (PermissionError("Access Denied"), ConfigError),
        (FileNotFoundError("gone"), FileNotFoundError),
        (ZeroDivisionError("a mistake of ours"), ZeroDivisionError),
    ],
)
def test_what_lasts_is_told_at_once(error: Exception, kind: type[Exception]) -> None:
    with pytest.raises(kind) as caught:
        RetryPolicy(3600.0).retry("reading x", failing(error))
    if kind is ConfigError:
        assert "AWS_ACCESS_KEY_ID" in str(caught.value) and "Access Denied" in str(caught.value)


def test_a_stop_is_noticed_between_attempts() -> None:
    patience = RetryPolicy(3600.0, stopping=lambda: True)
    with pytest.raises(Interrupted, match="while reading x failed"):
        patience.retry("reading x", failing(TimeoutError("slow")))


def test_patience_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SCOREMIX_STORE_PATIENCE", raising=False)
    assert RetryPolicy.from_environment().seconds == 300
    monkeypatch.setenv("SCOREMIX_STORE_PATIENCE", "12.5")
    assert RetryPolicy.from_environment().seconds == 12.5
    monkeypatch.setenv("SCOREMIX_STORE_PATIENCE", "long")
    with pytest.raises(ConfigError, match="give seconds"):
        RetryPolicy.from_environment()


def test_a_missing_bucket_is_told_at_once(bucket: str, tmp_path: Path) -> None:
    store = open_remote(URL(f"s3://{bucket}-not-there/x"), RetryPolicy(3600.0))
    path, digest = a_file(tmp_path)
    attempts: list[Callable[[], object]] = [
        store.names,
        lambda: store.write("a", b"1"),
        lambda: store.put("a", path, digest),
    ]
    for attempt in attempts:
        with pytest.raises(ConfigError, match=f"there is no bucket {bucket}-not-there.*aws s3 mb"):
            attempt()


def test_missing_credentials_are_told_at_once(
    bucket: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    store = open_remote(URL(f"s3://{bucket}/no-credentials"), RetryPolicy(3600.0))
    store.fs = type(store.fs)(skip_instance_cache=True, use_listings_cache=False)
    with pytest.raises(ConfigError, match="credentials.*AWS_ACCESS_KEY_ID"):
        store.write("a", b"1")


def test_nobody_answers(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    store = open_remote(URL(f"s3://{bucket}/x"), RetryPolicy(0.1))
    options = {"endpoint_url": "http://127.0.0.1:9"}
    store.fs = type(store.fs)(skip_instance_cache=True, client_kwargs=options)
    with pytest.raises(StorageError, match="listing s3://.*run the same command"):
        store.names()


# --- corpora


@pytest.fixture(scope="module")
def pets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made.make_corpus(tmp_path_factory.mktemp("pets"))


def uploaded(folder: Path, store: RemoteStore) -> RemoteStore:
    for path in folder.iterdir():
        store.fs.pipe_file(f"{store.root}/{path.name}", path.read_bytes())
    return store


def test_a_corpus_is_inspected_where_it_lies(
    pets: Path, remote: RemoteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    uploaded(pets, remote)
    assert verify(remote) == [] and is_published(remote)
    there, here, reads = PublishedCorpus(remote), PublishedCorpus(pets), Counter[str]()
    read = RemoteStore.read

    def counted(store: RemoteStore, name: str) -> bytes:
        reads[name] += 1
        return read(store, name)

    monkeypatch.setattr(RemoteStore, "read", counted)
    key = "000001-002"
    for sides in (there, here), (there, here):
        one, other = ((each.summary(), each.lineage(key), each.image_bytes(key)) for each in sides)
        assert one == other and one[2].startswith(b"\x89PNG")
    assert there.count_children("000001") > 0 and there.has_key(key)
    with pytest.raises(ConfigError, match="No sample 'none' among"):
        there.lineage("none")
    assert reads == {"manifest.parquet": 1, "index.json": 1}


@pytest.mark.parametrize("kept, readings", [(64 << 20, 1), (1 << 20, 2)])
def test_how_often_a_tar_is_sent_to_be_verified(
    kept: int,
    readings: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Once where it is small enough to be kept; else in order, so that no part is sent again."""
    monkeypatch.setattr("scoremix.manifests.storage.once.MOST_KEPT", kept)
    corpus = made.make_corpus(tmp_path, images=40, side=250, ratio=1, shard_size=40)
    fs = MemoryFileSystem()
    remote = RemoteStore(fs, "/twice", URL("memory://twice"), RetryPolicy(1.0))
    uploaded(corpus, remote)
    sent: Counter[str] = Counter()
    read = MemoryFileSystem.cat_file

    def counted(fs: MemoryFileSystem, path: str, *how: Any, **more: Any) -> bytes:
        data: bytes = read(fs, path, *how, **more)
        sent[path.rpartition("/")[2]] += len(data)
        return data

    monkeypatch.setattr(MemoryFileSystem, "cat_file", counted)
    assert verify(remote, deep=True) == []
    sizes = {path.name: path.stat().st_size for path in corpus.glob("*.tar")}
    assert min(sizes.values()) > 3 << 20  # several reads of 1 MiB
    for name, size in sizes.items():
        if kept > size:
            assert sent[name] == size
        else:  # and once more for the images' pixels
            assert readings * size <= sent[name] < (readings + 1.2) * size


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)


def cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:512])


def scribble(path: Path) -> None:
    path.write_text("mine")


DAMAGE = [
    *((flip, name) for name in ("aug-000000.tar", "real-000000.parquet", "aug-000001.json", SUMS)),
    (flip, "index.json"),
    (cut_off, "aug-000000.tar"),
    (Path.unlink, "manifest.parquet"),
    (Path.unlink, SUMS),
    (scribble, "notes.txt"),
]


@pytest.mark.parametrize("damage, name", DAMAGE)
def test_the_same_damage_is_found_in_a_store(
    damage: Callable[[Path], None], name: str, pets: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(pets, copy)
    damage(copy / name)
    store = uploaded(copy, open_remote(URL("memory://damaged"), SHORT))
    found = verify(store)
    assert found and found == verify(copy)


def test_an_emptied_prefix_is_no_corpus(remote: RemoteStore) -> None:
    remote.write("one-to-begin-with", b"")
    remote.remove("one-to-begin-with")
    (problem,) = verify(remote)
    assert problem.file == SUMS and "is missing" in problem.what
    assert not is_published(remote)
    with pytest.raises(ConfigError, match="no published corpus"):
        PublishedCorpus(remote).summary()


def test_a_place_opens_as_its_store(tmp_path: Path) -> None:
    assert isinstance(store_of(tmp_path), LocalStore)
    store = store_of(URL("memory://x"))
    assert isinstance(store, RemoteStore) and store_of(store) is store
    assert store.where("a") == "memory://x/a" and str(store) == "memory://x"
