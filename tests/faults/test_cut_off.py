"""An object store behind a line that is cut at random moments: nothing torn, nothing missing."""

import contextlib
import functools
import hashlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import tiny
from s3 import CuttingProxy, Server, reached_at

from scoremix.manifests.published.owner import OWNER
from scoremix.manifests.published.sums import SUMS
from scoremix.manifests.published.verify import verify
from scoremix.manifests.shards.shard import is_complete, read_marker
from scoremix.manifests.storage.location import URL
from scoremix.manifests.storage.remote import RemoteStore, open_remote
from scoremix.manifests.storage.retry import RetryPolicy

all_of_them = [pytest.mark.slow, pytest.mark.faults]
_WITHIN = 60_000  # bytes of a connection; the tar of a shard here has 20 to 40 KB


@contextlib.contextmanager
def outages(proxy: CuttingProxy, seed: int) -> Iterator[None]:
    """Everything down for up to a second, up for up to two, while the block runs."""
    moments, over = random.Random(seed), threading.Event()

    def alternate() -> None:
        while not over.wait(moments.uniform(0.3, 2.0)):
            proxy.down()
            over.wait(moments.uniform(0.1, 1.0))
            proxy.up()

    thread = threading.Thread(target=alternate)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@pytest.fixture
def proxy(
    s3_server: Server, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[CuttingProxy]:
    """What clients reach instead of the server; it lets everything through at first."""
    found = CuttingProxy(s3_server.closing, seed=1, within=_WITHIN)
    monkeypatch.setenv("SCOREMIX_STORE_PATIENCE", "120")
    yield found
    found.close()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    """Images, and a build of them that nothing disturbed, of so many images a shard."""

    @functools.cache
    def make(shard_size: int) -> Path:
        root = tmp_path_factory.mktemp("whole")
        tiny.make_images(root / "images")
        done = tiny.command(build(root, shard_size, root / "shards"))
        assert done.returncode == 0, done.stderr
        return root

    return make


def build(root: Path, shard_size: int, out: object, *more: object) -> list[str]:
    quick = tiny.options(generate__method="mixup", write__shard_size=shard_size)
    words = ["augment", "--data", root / "images", "--out", out, *quick, "--until", "write"]
    return [str(word) for word in (*words, "--quiet", *more)]


def digests(store: RemoteStore) -> dict[str, str]:
    names = [name for name in store.names() if name != OWNER]  # which differs between runs
    return {name: hashlib.sha256(store.read(name)).hexdigest() for name in names}


def judged(store: RemoteStore) -> list[str]:
    """Shards that are not what their markers say, and a published corpus that is not whole."""
    stems = [name.removesuffix(".json") for name in store.names() if name.count("-") == 1]
    wrong = []
    for stem in stems:
        marker = read_marker(store, stem) if "." not in stem else None
        if marker is not None and not is_complete(
            store,
            stem,
            rows_digest=marker.rows_digest,
            recipe_digest=marker.recipe_digest,
            thorough=True,
        ):
            wrong.append(stem)
    return wrong + (list(map(str, verify(store))) if store.size(SUMS) is not None else [])


@pytest.mark.parametrize(
    "seed, shard_size",
    [(1, 12), *(pytest.param(seed, 3, marks=all_of_them) for seed in range(2, 21))],
)
def test_a_line_that_is_cut(
    seed: int,
    shard_size: int,
    whole: Callable[[int], Path],
    proxy: CuttingProxy,
    bucket: str,
    tmp_path: Path,
) -> None:
    url = f"s3://{bucket}/pets"
    wanted = tiny.digests(whole(shard_size) / "shards")
    proxy.reset(seed, often=0.3, surely=True)
    with outages(proxy, seed):
        arguments = build(whole(shard_size), shard_size, url, "--run", tmp_path / "run")
        done = tiny.command(arguments, AWS_ENDPOINT_URL=proxy.address)
    assert done.returncode == 0, done.stderr
    print(f"seed {seed}: {proxy.cuts} connections cut, {proxy.uploads_cut} on their way up")
    assert proxy.cuts and proxy.uploads_cut
    store = open_remote(URL(url), RetryPolicy(5.0))
    assert digests(store) == wanted and verify(store) == []


@pytest.mark.slow
@pytest.mark.faults
@pytest.mark.parametrize("seed", range(20))
def test_killed_on_a_bad_line(
    seed: int, whole: Callable[[int], Path], proxy: CuttingProxy, bucket: str, tmp_path: Path
) -> None:
    """SIGKILL at a random moment, on top: what is there is sound, and the same command ends it."""
    url, moments = f"s3://{bucket}/pets", random.Random(seed)
    store = open_remote(URL(url), RetryPolicy(5.0))
    proxy.reset(seed, often=0.2)
    arguments = build(whole(3), 3, url, "--run", tmp_path / "run")
    run = [sys.executable, "-m", "scoremix.pipeline.cli", *arguments]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", proxy.address)
        process = subprocess.Popen(run, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 60
    while not store.names() and process.poll() is None and time.monotonic() < until:
        time.sleep(0.05)  # it has begun to upload
    time.sleep(moments.uniform(0.0, 3.0))
    process.kill()
    killed = process.wait()
    assert killed in (-signal.SIGKILL, 0) and not judged(store)
    proxy.reset(seed, often=0.0)
    done = tiny.command(arguments, AWS_ENDPOINT_URL=proxy.address)
    assert done.returncode == 0, done.stderr
    assert digests(store) == tiny.digests(whole(3) / "shards") and verify(store) == []


@pytest.mark.slow
@pytest.mark.faults
def test_a_stop_while_nothing_answers(
    whole: Callable[[int], Path], proxy: CuttingProxy, bucket: str, tmp_path: Path
) -> None:
    """SIGTERM is noticed between two attempts: 75; without it the patience ends: 6."""
    url, store = f"s3://{bucket}/pets", open_remote(URL(f"s3://{bucket}/pets"), RetryPolicy(5.0))
    arguments = build(whole(3), 3, url, "--run", tmp_path / "run")
    run = [sys.executable, "-m", "scoremix.pipeline.cli", *arguments]
    for patience, stop, code, told in (
        ("3600", True, 75, "nothing that was done is lost"),
        ("5", False, 6, "when the store answers again, run the same command"),
    ):
        there = len(store.names())
        environment = {"AWS_ENDPOINT_URL": proxy.address, "SCOREMIX_STORE_PATIENCE": patience}
        process = subprocess.Popen(
            run, stderr=subprocess.PIPE, text=True, env={**os.environ, **environment}
        )
        while len(store.names()) < there + 3 and process.poll() is None:
            time.sleep(0.05)
        proxy.down()
        if stop:
            time.sleep(2.0)
            process.terminate()
        _, error = process.communicate(timeout=120)
        assert process.returncode == code and told in error, error
        proxy.up()
        assert not judged(store)
    done = tiny.command(arguments, AWS_ENDPOINT_URL=proxy.address)
    assert done.returncode == 0, done.stderr
    assert digests(store) == tiny.digests(whole(3) / "shards") and verify(store) == []


@pytest.mark.parametrize("seed", [1, *(pytest.param(n, marks=all_of_them) for n in range(2, 11))])
def test_parts_of_a_large_upload_are_cut(
    seed: int, proxy: CuttingProxy, bucket: str, tmp_path: Path
) -> None:
    with reached_at(proxy.address):
        send_in_parts(seed, proxy, bucket, tmp_path / "shard.tar")


def send_in_parts(seed: int, proxy: CuttingProxy, bucket: str, path: Path) -> None:
    import boto3

    url = URL(f"s3://{bucket}/large")
    proxy.reset(seed, often=0.5, within=11 << 20)
    plain = open_remote(url, RetryPolicy(120.0))
    store = RemoteStore(plain.fs, plain.root, url, plain.retry_policy, part=5 << 20)
    path.write_bytes(random.Random(seed).randbytes(11 << 20))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    count = 0
    with outages(proxy, seed):
        # Which connections are cut depends on their order, and that on the machine.
        while count < 3 or not proxy.uploads_cut:
            assert count < 20, "no upload was cut"
            assert store.put(f"{count}.tar", path, digest) is True
            count += 1
        assert store.put("0.tar", path, digest) is False
    proxy.reset(seed, often=0.0)
    store.abort_unfinished()
    client = boto3.client("s3")
    assert "Uploads" not in client.list_multipart_uploads(Bucket=bucket)
    assert store.sizes() == {f"{number}.tar": 11 << 20 for number in range(count)}
    assert {store.sha256(name) for name in store.names()} == {digest}
