"""repair in an object store: what is damaged or gone comes back in its old bytes, nothing else."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import tiny
from remote_runs import augment, command, digests, empty

from scoremix.manifests.published.index import INDEX
from scoremix.manifests.published.sums import SUMS
from scoremix.manifests.storage.location import URL
from scoremix.manifests.storage.remote import RemoteStore, open_remote
from scoremix.manifests.storage.retry import RetryPolicy

ANY = "aug-000001"


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.make_images(tmp_path_factory.mktemp("repaired") / "images")


@pytest.fixture
def run(images: Path, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The run folder of a corpus in the bucket, where `augment` leaves it by itself."""
    monkeypatch.chdir(tmp_path)
    assert augment(images, f"s3://{bucket}/pets", "--until", "write") == 0
    return tmp_path / "pets.run"


def store_of(bucket: str) -> RemoteStore:
    return open_remote(URL(f"s3://{bucket}/pets"), RetryPolicy(5.0))


def flip(store: RemoteStore, name: str) -> None:
    data = bytearray(store.read(name))
    data[len(data) // 3] ^= 16
    store.write(name, bytes(data))


def cut(store: RemoteStore, name: str) -> None:
    store.write(name, store.read(name)[:1024])


def take(store: RemoteStore, name: str) -> None:
    store.remove(name)


@pytest.mark.parametrize(
    "damage",
    [
        [(flip, f"{ANY}.tar"), (take, "real-000000.parquet"), (cut, "aug-000003.tar")],
        [(flip, f"{ANY}.json"), (take, "aug-000002.json"), (flip, "manifest.parquet")],
        [(take, SUMS), (flip, INDEX), (take, "README.md"), (take, "aug-000000.tar")],
    ],
    ids=["shards", "markers", "small files"],
)
def test_what_is_damaged_comes_back_and_the_rest_stays(
    damage: list[tuple[Callable[[RemoteStore, str], None], str]], bucket: str, run: Path
) -> None:
    store = store_of(bucket)
    before, stamps = digests(store), {name: store.facts(name) for name in store.names()}
    hurt = {name for _, name in damage}
    for harm, name in damage:
        harm(store, name)
    assert command("verify", run) == 3
    assert command("repair", store.url, "--quiet") == 0
    assert digests(store) == before and command("verify", store.url) == 0
    shards = {name.partition(".")[0] for name in hurt}
    for name, facts in stamps.items():
        if name.partition(".")[0] not in shards:
            assert store.facts(name) == facts, name
    assert command("repair", run, "--quiet") == 0  # nothing is left to do


def test_an_emptied_bucket_is_built_again(
    bucket: str, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = store_of(bucket)
    before = digests(store)
    empty(store)
    assert command("verify", store.url) == 3
    assert f"{SUMS}: is missing" in capsys.readouterr().out
    assert command("repair", store.url, "--quiet") == 0
    assert "equal to the old one" in capsys.readouterr().out
    assert digests(store) == before

    # Where nothing remembers the old hashes, that is said.
    empty(store)
    shutil.rmtree(run / ".scoremix" / "mirror")
    assert command("repair", store.url, "--quiet") == 3
    assert "no marker, index.json or SHA256SUMS is left" in capsys.readouterr().out
    assert command("repair", store.url, "--quiet", "--accept-new") == 0
    assert digests(store) == before


def test_what_is_not_the_runs_own_is_refused(
    bucket: str,
    run: Path,
    images: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    store, other = store_of(bucket), tmp_path / "other.run"
    before = digests(store)
    elsewhere = f"s3://{bucket}/elsewhere"
    assert augment(images, elsewhere, "--run", other, "--until", "write", seed=1) == 0
    assert command("repair", store.url, "--run", other, "--quiet") == 2
    assert "was not made from what" in capsys.readouterr().err
    monkeypatch.chdir(images)
    assert command("repair", store.url, "--quiet") == 2
    assert "name its folder with --run" in capsys.readouterr().err
    assert digests(store) == before
