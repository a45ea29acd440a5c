"""repair in an object store: what is damaged or gone comes back in its old bytes, nothing else."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from in_process import cli
from remote_runs import Uploaded, build, digests, empty, store_at

from scoremix.manifests.published.index import INDEX
from scoremix.manifests.published.sums import SUMS
from scoremix.manifests.storage.remote import RemoteStore

ANY = "aug-000001"


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
    damage: list[tuple[Callable[[RemoteStore, str], None], str]],
    uploaded: Uploaded,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store, run = store_at(uploaded.bucket), uploaded.run
    monkeypatch.chdir(run.parent)
    before, stamps = digests(store), store.listing()
    hurt = {name for _, name in damage}
    for harm, name in damage:
        harm(store, name)
    assert cli("verify", run) == 3
    assert cli("repair", store.url, "--quiet") == 0
    assert digests(store) == before and cli("verify", store.url) == 0
    shards = {name.partition(".")[0] for name in hurt}
    after = store.listing()
    for name, facts in stamps.items():
        if name.partition(".")[0] not in shards:
            assert after[name] == facts, name
    assert cli("repair", run, "--quiet") == 0  # nothing is left to do


def test_an_emptied_bucket_is_built_again(
    uploaded: Uploaded, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    store, run = store_at(uploaded.bucket), uploaded.run
    monkeypatch.chdir(run.parent)
    before = digests(store)
    empty(store)
    assert cli("verify", store.url) == 3
    assert f"{SUMS}: is missing" in capsys.readouterr().out
    assert cli("repair", store.url, "--quiet") == 0
    assert "equal to the old one" in capsys.readouterr().out
    assert digests(store) == before

    # Where nothing remembers the old hashes, that is said.
    empty(store)
    shutil.rmtree(run / ".scoremix" / "mirror")
    assert cli("repair", store.url, "--quiet") == 3
    assert "no marker, index.json or SHA256SUMS is left" in capsys.readouterr().out
    assert cli("repair", store.url, "--quiet", "--accept-new") == 0
    assert digests(store) == before


def test_what_is_not_the_runs_own_is_refused(
    uploaded: Uploaded,
    bucket: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    store, other = store_at(uploaded.bucket), tmp_path / "other.run"
    before = digests(store)
    assert build(uploaded.images, f"s3://{bucket}/elsewhere", "--run", other, seed=1) == 0
    assert cli("repair", store.url, "--run", other, "--quiet") == 2
    assert "was not made from what" in capsys.readouterr().err
    monkeypatch.chdir(uploaded.images)
    assert cli("repair", store.url, "--quiet") == 2
    assert "name its folder with --run" in capsys.readouterr().err
    assert digests(store) == before
