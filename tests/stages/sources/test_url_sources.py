"""Sources at URLs: what lies there is the corpus that the same files give locally."""

import functools
import http.server
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
import source_kinds as kinds
from fsspec.implementations.memory import MemoryFileSystem

from scoremix.manifests.errors import ConfigError, InputError, StorageError
from scoremix.manifests.storage.remote import RemoteStore
from scoremix.pipeline.config import load_config
from scoremix.pipeline.fingerprints import fingerprint, inputs_of_ingest
from scoremix.stages.common.progress import Silent
from scoremix.stages.corpus.store import Corpus
from scoremix.stages.ingest.ingest import IngestConfig, ingest
from scoremix.stages.sources import base, remote
from scoremix.stages.sources.remote import FetchOptions

KINDS = {**kinds.LABELLED, **kinds.BY_FOLDER}
del KINDS["labelled list"]


@pytest.fixture(autouse=True)
def forget_memory() -> Iterator[None]:
    yield
    MemoryFileSystem.store.clear()


def upload(folder: Path, url: str) -> None:
    fs, root = fsspec.url_to_fs(url)
    for path in folder.rglob("*"):
        if path.is_file():
            fs.pipe_file(f"{root}/{path.relative_to(folder).as_posix()}", path.read_bytes())


def take(source: Any, out: Path, **options: Any) -> Corpus:
    config = IngestConfig(source=source, **{"resolution": kinds.SIDE, "holdout": 0} | options)
    fetching = FetchOptions(out.parent / "fetched", Silent())
    return ingest(config, out, seed=0, progress=Silent(), workers=2, fetching=fetching)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_the_same_at_a_url(kind: str, bucket: str, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    source = KINDS[kind](tmp_path / "in")
    upload(tmp_path / "in", f"s3://{bucket}/data")
    there = f"s3://{bucket}/data{source.removeprefix(str(tmp_path / 'in'))}"
    local, remote = take(source, tmp_path / "local"), take(there, tmp_path / "remote")
    assert remote.digest == local.digest and remote.classes == local.classes
    assert remote.sources.equals(local.sources)


def test_a_pattern_and_a_path_inside(tmp_path: Path) -> None:
    root = tmp_path / "in"
    root.mkdir()
    kinds.as_shards(root)
    kinds.as_class_folders(root / "photos")
    upload(root, "memory://data")
    whole = take(str(root / "part-{0000..0002}.tar"), tmp_path / "whole")
    assert take("memory://data/part-*.tar", tmp_path / "star").digest == whole.digest
    inside = take("memory://data/photos", tmp_path / "inside", path="/cat/")
    assert inside.digest == take(str(root / "photos" / "cat"), tmp_path / "cat").digest
    with pytest.raises(ConfigError, match="no such folder.*cat, dog, yak"):
        take("memory://data/photos", tmp_path / "none", path="bird")


def test_a_corpus_of_ours_keeps_its_class_names(tmp_path: Path) -> None:
    import made

    upload(made.make_corpus(tmp_path), "memory://pets")
    with pytest.raises(ConfigError, match="holds augmented images of a corpus .aug-000000.tar"):
        take("memory://pets", tmp_path / "corpus")
    for source in ("memory://pets/real-*.tar", "memory://pets/real-000000.tar"):
        corpus = take(source, tmp_path / "corpus")
        assert corpus.classes == ["cat", "dog"], source  # as index.json beside the tars says


def test_names_that_no_file_can_have_are_inputs_like_others(tmp_path: Path) -> None:
    fs, _ = fsspec.url_to_fs("memory://odd")
    names = ["a/x.png", "a/x.png.more/y.png", "a/" + "n" * 300 + ".png", "a/ünï cødé.png"]
    for name, data in zip(names, kinds.FILES, strict=False):
        fs.pipe_file(f"/odd/{name}", data)
    corpus = take("memory://odd", tmp_path / "odd")
    assert sorted(kinds.column(corpus, "name")) == sorted(names)


def test_what_is_too_large_is_a_row_and_not_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kinds.as_class_folders(tmp_path / "in")
    (tmp_path / "in" / "cat" / "large.png").write_bytes(bytes(1 << 12))
    upload(tmp_path / "in", "memory://data")
    for module in (base, remote):
        monkeypatch.setattr(module, "MAX_INPUT_BYTES", 1 << 11)
    read: list[str] = []
    plain = RemoteStore.read
    monkeypatch.setattr(
        RemoteStore, "read", lambda self, name: read.append(name) or plain(self, name)
    )
    corpus = take("memory://data", tmp_path / "corpus")
    assert kinds.column(corpus, "reason", "rejected") == ["larger than 0 MiB"]
    assert len(read) == kinds.COUNT and "cat/large.png" not in read


@pytest.mark.parametrize(
    "source, why",
    [
        ("memory://nothing/here", "there is nothing at that URL"),
        ("memory://nothing/*.tar", "there is nothing at that URL"),
        ("memory://data/notes.txt", "none of: an image, a folder"),
        ("memory://{a,b}/x.tar", "there is nothing at that URL|several folders"),
        ("zip://x::memory://data/x.zip", "chain of URLs"),
        ("memory://lmdb", "Copy it to a disk"),
    ],
)
def test_what_cannot_be_a_source_is_refused(source: str, why: str, tmp_path: Path) -> None:
    fs, _ = fsspec.url_to_fs("memory://data")
    for name in ("data/notes.txt", "lmdb/data.mdb"):
        fs.pipe_file(f"/{name}", b"text")
    with pytest.raises(ConfigError, match=why):
        take(source, tmp_path / "corpus")


def test_a_damaged_archive_is_named_by_its_url(tmp_path: Path) -> None:
    fs, _ = fsspec.url_to_fs("memory://data")
    fs.pipe_file("/data/cut.zip", Path(kinds.as_stylegan_zip(tmp_path)).read_bytes()[:-200])
    with pytest.raises(InputError, match="The zip memory://data/cut.zip could not be opened"):
        take("memory://data/cut.zip", tmp_path / "corpus")


@pytest.mark.parametrize("suffix, make", [("tar", kinds.as_tar), ("parquet", kinds.as_parquet)])
@pytest.mark.parametrize("source", ["memory://data", "memory://data/cut.{}"])
def test_a_damaged_file_of_a_prefix_is_named_by_its_url(
    suffix: str, make: Callable[[Path], str], source: str, tmp_path: Path
) -> None:
    fs, _ = fsspec.url_to_fs("memory://data")
    data = Path(make(tmp_path)).read_bytes()
    fs.pipe_file(f"/data/cut.{suffix}", data[: len(data) // 4])
    with pytest.raises(InputError) as caught:
        take(source.format(suffix), tmp_path / "corpus")
    assert f"memory://data/cut.{suffix} could not be read" in str(caught.value)
    assert str(tmp_path) not in str(caught.value)


def test_a_full_disk_is_reported_before_the_download(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kinds.as_class_folders(tmp_path / "in")
    upload(tmp_path / "in", "memory://data")
    monkeypatch.setattr(remote, "_SPARE", 1 << 62)
    with pytest.raises(StorageError, match="0 MiB to fetch, and .* MiB free"):
        take("memory://data", tmp_path / "corpus")


def test_a_file_that_was_cut_off_is_continued(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = Path(kinds.as_stylegan_zip(tmp_path)).read_bytes()
    fs, _ = fsspec.url_to_fs("memory://data")
    fs.pipe_file("/data/a.zip", data)
    monkeypatch.setattr(remote, "_PIECE", 100)
    starts: list[int] = []
    dead = [True]
    plain = RemoteStore.read_range

    def until_half(self: RemoteStore, name: str, start: int, end: int) -> bytes:
        starts.append(start)
        if len(starts) == 5 and dead:
            dead.clear()
            raise StorageError("the line went dead")
        return plain(self, name, start, end)

    monkeypatch.setattr(RemoteStore, "read_range", until_half)
    with pytest.raises(StorageError, match="went dead"):
        take("memory://data/a.zip", tmp_path / "corpus")
    first = take("memory://data/a.zip", tmp_path / "corpus")
    # The last piece is fetched again: a power cut may have kept its size and not its bytes.
    assert starts[:6] == [0, 100, 200, 300, 400, 300]
    assert starts[5:] == list(range(300, len(data), 100))
    # Another file under the same name is fetched from its start.
    fs.pipe_file("/data/a.zip", data)
    starts[:] = []
    assert take("memory://data/a.zip", tmp_path / "corpus").digest == first.digest
    assert starts[0] == 0


def test_a_file_that_changes_meanwhile_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = Path(kinds.as_stylegan_zip(tmp_path)).read_bytes()
    fs, _ = fsspec.url_to_fs("memory://data")
    fs.pipe_file("/data/a.zip", data)
    plain = RemoteStore.read_range

    def and_then(self: RemoteStore, *where: Any) -> bytes:
        found = plain(self, *where)
        fs.pipe_file("/data/a.zip", data)
        return found

    monkeypatch.setattr(RemoteStore, "read_range", and_then)
    with pytest.raises(InputError, match="memory://data/a.zip changed while it was fetched"):
        take("memory://data/a.zip", tmp_path / "corpus")
    monkeypatch.setattr(RemoteStore, "read_range", plain)
    assert len(take("memory://data/a.zip", tmp_path / "corpus").images) == kinds.COUNT


def test_a_change_is_seen_without_reading(bucket: str, tmp_path: Path) -> None:
    kinds.as_class_folders(tmp_path)
    url = f"s3://{bucket}/data"
    upload(tmp_path, url)
    fs, root = fsspec.url_to_fs(url)
    fs.pipe_file(f"{root}.zip", b"first")
    before = [fingerprint(url), fingerprint(f"{url}.zip")]
    assert before == [fingerprint(url), fingerprint(f"{url}.zip")]
    assert before[1][0][:2] == [None, 5]
    fs.pipe_file(f"{root}/cat/deeper/9.png", b"more")
    fs.pipe_file(f"{root}.zip", b"other")
    assert fingerprint(url) != before[0] and fingerprint(f"{url}.zip") != before[1]
    assert fingerprint(f"s3://{bucket}/nothing") is None


def test_a_url_in_stages_yaml_stays_as_it_is(bucket: str, tmp_path: Path) -> None:
    listed = [{"source": f"s3://{bucket}/a.zip"}, "file:///no/such.zip", "near.zip"]
    (tmp_path / "stages.yaml").write_text(json.dumps({"ingest": {"source": listed}}))
    config = load_config(tmp_path / "stages.yaml", ["ingest.reference=memory://c.zip"])
    wanted = [f"s3://{bucket}/a.zip", "/no/such.zip", str(tmp_path / "near.zip")]
    assert [spec.source for spec in config.ingest.sources] == wanted
    assert (
        config.ingest.reference_source and config.ingest.reference_source.source == "memory://c.zip"
    )
    assert inputs_of_ingest(config)["source"] == [None] * 3  # nothing is there


def test_a_file_over_http(tmp_path: Path) -> None:
    pytest.importorskip("aiohttp")
    (tmp_path / "in").mkdir()
    source = kinds.as_stylegan_zip(tmp_path / "in")
    handler = functools.partial(_Quiet, directory=str(tmp_path / "in"))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    try:
        corpus = take(f"{url}/corpus.zip", tmp_path / "remote")
        assert corpus.digest == take(source, tmp_path / "local").digest
        signed = f"{url}/corpus.zip?signature={'x' * 300}&path=a/b*"
        assert take(signed, tmp_path / "signed").digest == corpus.digest
        with pytest.raises(ConfigError, match="there is nothing at that URL"):
            take(f"{url}/other.zip", tmp_path / "none")
    finally:
        server.shutdown()
        server.server_close()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        """Says nothing."""
