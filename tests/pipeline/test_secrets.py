"""A signed URL as a source: its secret is in no file and no line; the run goes on without it."""

import functools
import http.server
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import source_kinds as kinds
import tiny
import yaml
from in_process import cli

from scoremix.manifests.errors import ConfigError
from scoremix.manifests.run_folder import RunFolder
from scoremix.manifests.storage.location import URL
from scoremix.manifests.storage.remote import open_remote
from scoremix.pipeline.fingerprints import fingerprint
from scoremix.pipeline.ledger import Ledger
from scoremix.stages.sources.remote import probe

pytest.importorskip("aiohttp")
SECRET = "deadbeef0123"
SIGNED = f"X-Amz-Credential=AKIA{SECRET}/2026&X-Amz-Signature={SECRET}"


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves files to those who have the secret; /to/N and /here redirect."""

    others = ""  # address of another server

    def send_head(self) -> Any:
        path, _, query = self.path.partition("?")
        if path.startswith("/to/"):
            return self.redirect(f"{self.others}/{path[4:]}?{query}")
        if path.startswith("/here/"):
            return self.redirect(f"/{path[6:]}?{query}")
        if SECRET not in query:
            self.send_error(403)
            return None
        return super().send_head()

    def redirect(self, target: str) -> None:
        self.send_response(302)
        self.send_header("Location", target)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Says nothing."""


@pytest.fixture
def servers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The addresses of two servers of one folder; the first redirects to the second."""
    monkeypatch.setenv("SCOREMIX_STORE_PATIENCE", "0.5")
    (tmp_path / "served").mkdir()
    handler = functools.partial(Handler, directory=str(tmp_path / "served"))
    running = [http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) for _ in range(2)]
    for server in running:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    addresses = [f"http://127.0.0.1:{server.server_port}" for server in running]
    monkeypatch.setattr(Handler, "others", addresses[1])
    yield addresses
    for server in running:
        server.shutdown()
        server.server_close()


def serve_images(tmp_path: Path) -> None:
    images = tiny.make_images(tmp_path / "images")
    shutil.make_archive(str(tmp_path / "served" / "corpus"), "zip", images)
    shutil.rmtree(images)


def without_secret(root: Path) -> bool:
    """Whether no file below it has the secret in its bytes."""
    return not [p for p in root.rglob("*") if p.is_file() and SECRET.encode() in p.read_bytes()]


def test_a_signed_url_is_in_no_file_and_no_line(
    servers: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    serve_images(tmp_path)
    url = f"{servers[0]}/corpus.zip?{SIGNED}"
    options = tiny.options(generate__method="mixup", generate__ratio=1)
    out, run = tmp_path / "out" / "shards", tmp_path / "out" / "shards.run"
    assert cli("augment", "--data", url, "--out", out, *options) == 0
    printed = "".join(capfd.readouterr())
    assert SECRET not in printed and (run / "report" / "index.html").exists()
    assert without_secret(tmp_path / "out")
    saved = yaml.safe_load(RunFolder(run).config.read_text())
    assert saved["ingest"]["source"] == f"{servers[0]}/corpus.zip?REDACTED"

    # Another signature of the same file, and none at all, make nothing stale.
    again = f"{servers[0]}/corpus.zip?{SIGNED}&Expires=9"
    assert cli("augment", "--data", again, "--out", out, *options) == 0
    assert "Nothing to do" in capfd.readouterr().out
    assert cli("run", RunFolder(run).config) == 0
    assert "Nothing to do" in capfd.readouterr().out
    assert cli("status", run) == 0
    assert "stale" not in capfd.readouterr().out

    # What must be read again asks for the whole URL.
    assert cli("run", RunFolder(run).config, "--set", "ingest.fit=pad") == 2
    assert "stored without its query" in capfd.readouterr().err
    given = f"ingest.source={again}"
    assert cli("run", RunFolder(run).config, "--set", "ingest.fit=pad", "--set", given) == 0
    assert SECRET not in "".join(capfd.readouterr()) and without_secret(tmp_path / "out")


def test_a_run_of_an_earlier_version_stays_up_to_date_and_loses_the_secret(
    servers: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    serve_images(tmp_path)
    url = f"{servers[0]}/corpus.zip?{SIGNED}"
    options = tiny.options(generate__method="mixup", generate__ratio=1)
    out, run = tmp_path / "out" / "shards", tmp_path / "out" / "shards.run"
    assert cli("augment", "--data", url, "--out", out, *options) == 0
    ledger, files = Ledger(run), RunFolder(run)
    ledger.stages["ingest"]["inputs"]["options"]["source"] = url  # as it was stored
    ledger._save()
    files.config.write_text(files.config.read_text().replace("?REDACTED", f"?{SIGNED}"))
    assert not without_secret(run)
    capfd.readouterr()
    assert cli("run", files.config) == 0
    assert "Nothing to do" in capfd.readouterr().out
    assert cli("report", run) == 0
    assert SECRET not in (run / "report" / "index.html").read_text()


@pytest.mark.parametrize(
    "source",
    [
        "{0}/none.zip?{1}",
        "{0}/corpus.zip?{1}&bad",
        "http://me:{1}@127.0.0.1:1/a.zip",
        "http://127.0.0.1:1/a.zip?{1}",
        "{0}/[?{1}",
    ],
)
def test_errors_do_not_print_it(
    source: str, servers: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "served" / "corpus.zip").write_bytes(b"no zip")
    url = source.format(servers[0], SIGNED)
    assert cli("augment", "--data", url, "--out", tmp_path / "shards") != 0
    assert cli("augment", "--out", tmp_path / "b", "--data", "digits", "--set", f"run={url}") != 0
    assert cli("augment", "--out", tmp_path / "b", "--no-such", url) == 2
    assert cli("verify", url) != 0
    captured = "".join(capfd.readouterr())
    assert SECRET not in captured and "Traceback" not in captured
    assert without_secret(tmp_path)


def test_several_signed_urls_have_a_fingerprint_without_the_secret(
    servers: list[str], tmp_path: Path
) -> None:
    for name in ("a.tar", "b.tar"):
        (tmp_path / "served" / name).write_bytes(b"any")
    listed = fingerprint(f"{servers[0]}/{{a,b}}.tar?{SIGNED}")
    assert [name for name, *_ in listed] == ["a.tar", "b.tar"]
    assert listed == fingerprint(f"{servers[0]}/{{a,b}}.tar?{SIGNED}&Expires=9")


def test_a_redirect_to_another_host_is_refused(servers: list[str], tmp_path: Path) -> None:
    kinds.as_stylegan_zip(tmp_path / "served")
    found = probe(f"{servers[0]}/here/corpus.zip?{SIGNED}")
    assert found is not None and found.total_bytes > 0
    with pytest.raises(ConfigError, match="is sent on to http://127.0.0.1, another server") as no:
        probe(f"{servers[0]}/to/corpus.zip?{SIGNED}")
    assert SECRET not in str(no.value)


def test_a_redirect_while_it_is_fetched_is_refused(servers: list[str], tmp_path: Path) -> None:
    """The file was there when it was listed."""
    kinds.as_stylegan_zip(tmp_path / "served")
    store = open_remote(URL(f"{servers[0]}/to"))
    name = f"corpus.zip?{SIGNED}"
    for read in (
        lambda: store.read(name),
        lambda: store.read_range(name, 0, 10),
        lambda: store.fetch(name, tmp_path / "copy"),
    ):
        with pytest.raises(ConfigError, match="another server"):
            read()
