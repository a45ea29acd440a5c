"""forget where shards lie in an object store and images come from one: no trace there nor here."""

import shutil
import signal
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import tiny
from in_process import cli
from remote_runs import Uploaded, build, digests, empty, store_at

from scoremix.manifests.storage.location import URL
from scoremix.manifests.storage.remote import RemoteStore, open_remote

KEY = "000003"


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """sha256 of every file after the same in a local folder."""
    root = tmp_path_factory.mktemp("forgotten")
    shards, run = root / "local", root / "local.run"
    assert build(tiny.make_images(root / "images"), shards) == 0
    assert cli("forget", run, KEY, "--quiet") == 0
    return tiny.digests(shards)


def needles(run: Path, store: RemoteStore) -> list[bytes]:
    """Rows of the image's pixels, and the encoded files of the image and all made from it."""
    pixels = np.load(run / "corpus" / "images.npy")[int(KEY)]
    gone: set[bytes] = set()
    others: set[bytes] = set()
    rows = manifest(store)
    tars = {shard: store.read(f"{shard}.tar") for shard in {row["shard"] for row in rows}}
    for row in rows:
        tar = tars[row["shard"]]
        image = tar[row["offset"] : row["offset"] + row["size"]]
        (gone if KEY in (row["source_1"], row["source_2"]) else others).add(image)
    # A mixture with a lambda near 0 is its other parent to the last bit.
    assert len(gone - others) >= 3
    return [row.tobytes() for row in pixels] + sorted(gone - others)


def manifest(store: RemoteStore) -> list[dict[str, object]]:
    with store.open("manifest.parquet") as file:
        return list(pq.read_table(file).to_pylist())


def traces(run: Path, store: RemoteStore, wanted: list[bytes]) -> list[str]:
    files = {str(path): path.read_bytes() for path in run.rglob("*") if path.is_file()}
    files |= {name: store.read(name) for name in store.names()}
    return [name for name, data in files.items() if any(needle in data for needle in wanted)]


def test_no_byte_stays_in_the_bucket_or_the_run(
    uploaded: Uploaded, capsys: pytest.CaptureFixture[str]
) -> None:
    store, run = store_at(uploaded.bucket), uploaded.run
    wanted, before = needles(run, store), store.listing()
    held = {row["shard"] for row in manifest(store) if KEY in (row["source_1"], row["source_2"])}
    found = {Path(name).name for name in traces(run, store, wanted)}
    assert {"images.npy", "real-000000.tar"} < found and len(found) >= 4
    # What a stop between making and uploading leaves behind.
    mirror = run / ".scoremix" / "mirror"
    for name in held:
        (mirror / f"{name}.tar").write_bytes(store.read(f"{name}.tar"))
    assert cli("forget", run, KEY, "--quiet") == 0
    assert f"shards in {store.url};" in capsys.readouterr().out
    assert traces(run, store, wanted) == [] and not list(mirror.rglob("*.tar"))
    assert cli("verify", store.url, "--deep") == 0
    assert not [row for row in manifest(store) if KEY in (row["source_1"], row["source_2"])]
    now = store.listing()
    for name, facts in before.items():
        shard, _, extension = name.partition(".")
        if "-0" in name:
            assert (now[name] == facts) == (shard not in held), name

    after = digests(store)
    assert build(uploaded.images, store.url, "--run", run) == 0
    assert "Nothing to do" in capsys.readouterr().out
    for name in (f"{min(held)}.tar", f"{max(held)}.json", "index.json", "SHA256SUMS"):
        store.remove(name)
    shutil.rmtree(mirror)
    assert cli("repair", store.url, "--run", run, "--quiet", "--accept-new") == 0
    assert digests(store) == after and traces(run, store, wanted) == []


def test_damage_is_repaired_first(uploaded: Uploaded, capsys: pytest.CaptureFixture[str]) -> None:
    store, run = store_at(uploaded.bucket), uploaded.run
    store.write("real-000000.tar", store.read("real-000000.tar")[:-512])
    assert cli("forget", run, KEY) == 1
    assert f"repair {run}` first" in capsys.readouterr().err
    assert not (run / "tombstones.json").exists()
    assert cli("repair", run, "--quiet") == 0
    assert cli("forget", run, KEY, "--quiet") == 0 and cli("verify", run) == 0


POINTS = ("tombstones", "unpublished", "shard-rewritten", "installed-tar", "installed-parquet")
LATER = ("installed-json", "index", "forgotten-published", "traces-removed")


@pytest.mark.slow
@pytest.mark.parametrize(
    "point",
    tiny.mostly_in_faults(POINTS + LATER, ["shard-rewritten", "installed-parquet", "index"]),
)
def test_killed_on_the_way(point: str, uploaded: Uploaded, undisturbed: dict[str, str]) -> None:
    store, run = store_at(uploaded.bucket), uploaded.run
    wanted = needles(run, store)
    killed = tiny.command(["forget", run, KEY, "--quiet"], SCOREMIX_FAULT=f"kill:{point}")
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert cli("forget", run, "--quiet") == 0
    assert traces(run, store, wanted) == [] and cli("verify", run, "--deep") == 0
    assert digests(store) == undisturbed


def test_what_was_fetched_leaves_too_and_is_refused_at_its_url(tmp_path: Path) -> None:
    images = tiny.make_images(tmp_path / "images")
    data, run, shards = open_remote(URL("memory://gone")), tmp_path / "run", tmp_path / "shards"
    for path in images.rglob("*.png"):
        data.write(path.relative_to(images).as_posix(), path.read_bytes())
    there = ("memory://gone", shards, "--run", run)
    assert build(*there) == 0
    row = next(r for r in sources(run) if r["key"] == KEY)
    file = (images / str(row["name"])).read_bytes()
    # A dry run fetches ahead of an ingest, as one that was stopped has.
    assert build(*there, "--dry-run") == 0
    assert any(path.read_bytes() == file for path in fetched(run))
    assert cli("forget", run, KEY, "--quiet") == 0 and not fetched(run)
    assert build(*there, "--dry-run") == 0 and not fetched(run)
    data.remove("left/000.png")  # the source is another one, and the image is still there
    assert build(*there) == 0 and not fetched(run)
    after = sources(run)
    assert [r["status"] for r in after if r["sha256"] == row["sha256"]] == ["forgotten"]
    assert cli("verify", shards) == 0
    empty(data)


def sources(run: Path) -> list[dict[str, object]]:
    return list(pq.read_table(run / "corpus" / "sources.parquet").to_pylist())


def fetched(run: Path) -> list[Path]:
    return [path for path in (run / ".scoremix" / "fetched").rglob("*") if path.is_file()]
