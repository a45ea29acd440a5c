"""HTTP servers that answer with errors, too much, or nothing for a long time."""

import contextlib
import gzip
import http.server
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import source_kinds as kinds

from scoremix.manifests.errors import ConfigError, InputError, Interrupted, StorageError
from scoremix.stages.common.progress import Silent
from scoremix.stages.corpus.store import Corpus
from scoremix.stages.ingest.ingest import IngestConfig, ingest
from scoremix.stages.sources import remote
from scoremix.stages.sources.remote import FetchOptions, probe

pytest.importorskip("aiohttp")


class Server(http.server.BaseHTTPRequestHandler):
    """Answers by the first part of the path: a status, or a way to misbehave."""

    protocol_version = "HTTP/1.1"
    files: dict[str, bytes] = {}
    asked: list[str] = []

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        way, _, name = self.path.partition("?")[0].strip("/").partition("/")
        type(self).asked.append(f"{self.command} {self.path}")
        data = self.files.get(name)
        if way == "signed" and data is None:
            way = "403"
        if way.isdigit():
            self._start(int(way), {"Content-Length": "0"})
        elif way == "flaky" and len(self.asked) < 4:
            self._start(503, {"Content-Length": "0"})
        elif data is None:
            self._start(404, {"Content-Length": "0"})
        else:
            getattr(self, f"send_{way}", self.send_whole)(data)

    def _start(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def _send(self, data: bytes) -> None:
        if self.command == "GET":
            self.wfile.write(data)

    def send_whole(self, data: bytes) -> None:
        self._start(200, {"Content-Length": str(len(data)), "Accept-Ranges": "none"})
        self._send(data)

    def send_packed(self, data: bytes) -> None:
        """Much more than it looks like."""
        packed = gzip.compress(bytes(64 << 20))
        self._start(200, {"Content-Encoding": "gzip", "Content-Length": str(len(packed))})
        self._send(packed)

    def send_endless(self, data: bytes) -> None:
        self._start(200, {"Transfer-Encoding": "chunked"})
        with contextlib.suppress(OSError):
            while self.command == "GET":
                self._send(b"%x\r\n%b\r\n" % (1 << 16, bytes(1 << 16)))

    def send_silent(self, data: bytes) -> None:
        self._start(200, {"Content-Length": str(len(data)), "Accept-Ranges": "none"})
        self._send(data[:2])
        if self.command == "GET":
            self.wfile.flush()
            time.sleep(30)

    def log_message(self, *args: object) -> None:
        """Says nothing."""


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("SCOREMIX_STORE_PATIENCE", "2")
    (tmp_path / "in").mkdir()
    Server.files = {"corpus.zip": Path(kinds.as_stylegan_zip(tmp_path / "in")).read_bytes()}
    Server.asked = []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def take(source: str, root: Path, **options: Any) -> Corpus:
    config = IngestConfig(source=source, resolution=kinds.SIDE, holdout=0)
    fetching = FetchOptions(root / "fetched", Silent(), **options)
    return ingest(config, root / "out", seed=0, progress=Silent(), workers=2, fetching=fetching)


# --- statuses


@pytest.mark.parametrize("status", [404, 410])
def test_what_is_absent_is_nothing(url: str, status: int) -> None:
    assert probe(f"{url}/{status}/a.zip") is None


@pytest.mark.parametrize("status", [500, 503, 429])
def test_an_error_of_the_server_is_no_absence(url: str, status: int) -> None:
    with pytest.raises(StorageError, match=rf"failed \d+ times .* {status}"):
        probe(f"{url}/{status}/a.zip")


@pytest.mark.parametrize("status", [400, 401, 403])
def test_a_refusal_is_named_at_once(url: str, status: int) -> None:
    with pytest.raises(ConfigError, match=f"the server answers {status}.*signed expires"):
        probe(f"{url}/{status}/a.zip")
    assert len(Server.asked) == 2  # HEAD, GET


def test_a_server_that_does_not_answer_is_no_absence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCOREMIX_STORE_PATIENCE", "1")
    with pytest.raises(StorageError, match="Cannot connect"):
        probe("http://127.0.0.1:1/a.zip")


def test_a_server_that_recovers_is_read(url: str, tmp_path: Path) -> None:
    assert len(take(f"{url}/flaky/corpus.zip", tmp_path).images) == kinds.COUNT


def test_signed_tars_are_read_where_other_names_are_refused(url: str, tmp_path: Path) -> None:
    (tmp_path / "tar").mkdir()
    Server.files["a.tar"] = Path(kinds.as_tar(tmp_path / "tar")).read_bytes()
    assert len(take(f"{url}/signed/a.tar?signature=x", tmp_path).images) == kinds.COUNT


# --- bodies


def test_what_is_packed_on_the_way_is_not_unpacked(url: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="could not be opened"):
        take(f"{url}/packed/corpus.zip", tmp_path)
    assert sum(path.stat().st_size for path in tmp_path.rglob("*.zip")) < 1 << 20


def test_no_more_is_written_than_there_is_room_for(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = shutil.disk_usage(tmp_path).free - (100 << 20)
    monkeypatch.setattr(remote, "_SPARE", room)
    with pytest.raises(InputError, match="sends more than .* bytes"):
        take(f"{url}/endless/corpus.zip", tmp_path)
    assert not list((tmp_path / "fetched").rglob("*.part"))


def test_a_server_that_falls_silent_is_given_up_after_the_patience(
    url: str, tmp_path: Path
) -> None:
    begin = time.monotonic()
    with pytest.raises(StorageError, match="fetching .* failed"):
        take(f"{url}/silent/corpus.zip", tmp_path)
    assert time.monotonic() - begin < 15


def test_a_stop_is_heard_while_a_server_is_silent(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCOREMIX_STORE_PATIENCE", "300")
    begin = time.monotonic()
    with pytest.raises(Interrupted, match="Stopped while .* was fetched"):
        take(f"{url}/silent/corpus.zip", tmp_path, stopping=lambda: time.monotonic() - begin > 2)
    assert time.monotonic() - begin < 10
