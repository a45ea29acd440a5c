"""A corpus that is built into an object store: the same bytes, whatever comes between."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import made
import pytest
import tiny
from in_process import cli
from PIL import Image
from remote_runs import Uploaded, build, digests, empty, store_at

from scoremix.manifests.errors import ScoreMixError, StorageError
from scoremix.manifests.published.mirror import MirroredStore, mirrored_index
from scoremix.manifests.published.sums import SUMS
from scoremix.manifests.published.verify import Problem, verify
from scoremix.manifests.shards.shard import is_complete, read_marker
from scoremix.manifests.storage.location import URL
from scoremix.manifests.storage.remote import RemoteStore, open_remote
from scoremix.manifests.storage.retry import RetryPolicy


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.make_images(tmp_path_factory.mktemp("made") / "images")


@pytest.fixture(scope="module")
def local(images: Path) -> dict[str, str]:
    """sha256 of every file of a local build."""
    assert build(images, images.parent / "local") == 0
    return tiny.digests(images.parent / "local")


def test_the_objects_are_the_files_of_a_local_build(
    bucket: str,
    images: Path,
    local: dict[str, str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    url, run, store = f"s3://{bucket}/pets", tmp_path / "run", store_at(bucket)
    assert build(images, url, "--run", run) == 0
    assert digests(store) == local
    assert f"shards:        {url}\n" in capsys.readouterr().out
    left = {path.suffix for path in (run / ".scoremix" / "mirror").iterdir()}
    assert left == {".json", ".parquet"}  # the tars are in the store

    # Everything that asks for a corpus takes the URL, or the run that knows it.
    for place in (url, run):
        assert cli("verify", place) == 0
        assert f"{url} is whole" in capsys.readouterr().out
    assert cli("inspect", run, "000003-001", "--json") == 0
    assert '"parents"' in capsys.readouterr().out
    assert cli("status", run) == 0
    assert "write:    done, 6 of 6 shards, 48 of 48 images" in capsys.readouterr().out
    assert cli("export", url, "--to", "imagefolder", "--out", tmp_path / "e") == 2
    assert f"aws s3 sync {url}" in capsys.readouterr().err

    # Once more: nothing to do. The bucket emptied: found, and made again by the same command.
    assert build(images, url, "--run", run) == 0
    assert "Nothing to do" in capsys.readouterr().out
    empty(store)
    assert cli("verify", url) == 3
    assert f"{SUMS}: is missing" in capsys.readouterr().out
    assert build(images, url, "--run", run) == 0
    assert digests(store) == local


def test_images_come_from_a_bucket_too(
    bucket: str,
    images: Path,
    local: dict[str, str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data, url, run = open_remote(URL("memory://photos")), f"s3://{bucket}/pets", tmp_path / "run"
    for path in images.rglob("*.png"):
        data.write(path.relative_to(images).as_posix(), path.read_bytes())
    fetched = run / ".scoremix" / "fetched"
    assert build("memory://photos", url, "--run", run, "--dry-run") == 0
    assert f"in {url}" in capsys.readouterr().out and len(tiny.digests(fetched)) == 20
    (first,) = fetched.iterdir()
    (first / "00000007").unlink()
    there = (f"file://{images}", "memory://pets", "--run", tmp_path / "f")
    assert build(*there, "--until", "evaluate") == 0
    assert digests(open_remote(URL("memory://pets"))) == local
    assert build("memory://photos", url, "--run", run) == 0
    assert digests(store_at(bucket)) == local and not fetched.exists()
    assert build("memory://photos", url, "--run", run) == 0
    assert "Nothing to do" in capsys.readouterr().out
    data.remove("left/000.png")
    assert cli("status", run) == 0
    assert "ingest:   stale, changed: source" in capsys.readouterr().out
    empty(data)
    empty(open_remote(URL("memory://pets")))


def test_another_machine_goes_on(uploaded: Uploaded, local: dict[str, str], tmp_path: Path) -> None:
    """With a copy of the run folder, and some shards gone: only these are made."""
    run, store = uploaded.run, store_at(uploaded.bucket)
    for name in (SUMS, "aug-000001.json", "real-000000.tar"):
        store.remove(name)
    shutil.rmtree(run / ".scoremix" / "mirror")
    shutil.copytree(run, tmp_path / "elsewhere")
    untouched = store.facts("aug-000000.tar")
    assert build(uploaded.images, store.url, "--run", tmp_path / "elsewhere") == 0
    assert digests(store) == local and store.facts("aug-000000.tar") == untouched


def test_workers_with_a_folder_each_leave_the_same(
    bucket: str,
    images: Path,
    local: dict[str, str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    url, store = f"s3://{bucket}/pets", store_at(bucket)
    assert build(images, url, "--run", tmp_path / "w0", "--until", "plan") == 0
    for index in (1, 2):
        shutil.copytree(tmp_path / "w0", tmp_path / f"w{index}")
    for index, gone in ((2, SUMS), (0, "real-000000.json"), (1, "aug-000001.tar")):
        run = tmp_path / f"w{index}"
        assert build(images, url, "--run", run, "--worker", f"{index}/3") == 0
        assert digests(store) == local
        store.remove(gone)  # for the next one
    # A run of other images is refused, though its plan has the same keys.
    other = tiny.make_images(tmp_path / "other")
    Image.new("RGB", (10, 10), "red").save(other / "left" / "000.png")
    run = tmp_path / "x"
    assert build(other, f"s3://{bucket}/elsewhere", "--run", run, "--until", "plan") == 0
    assert build(other, url, "--run", run, "--worker", "0/3") == 2
    assert "belongs to another run" in capsys.readouterr().err


def test_a_prefix_belongs_to_its_run(
    bucket: str, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"s3://{bucket}/pets"
    store_at(bucket).write("README.md", b"of somebody else")
    assert build(images, url, "--run", tmp_path / "run") == 2
    assert f"{url} holds README.md, which the run" in capsys.readouterr().err
    assert digests(store_at(bucket)).keys() == {"README.md"}

    other = f"s3://{bucket}/data"
    assert build(other, f"{other}/out", "--run", tmp_path / "run") == 2
    assert f"lies inside ingest.source {other}" in capsys.readouterr().err
    assert build(images, f"s3://{bucket}-gone/x", "--run", tmp_path / "run") == 2
    assert "aws s3 mb" in capsys.readouterr().err


def test_foreign_objects_are_refused_and_never_listed(
    bucket: str, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url, store = f"s3://{bucket}/pets", store_at(bucket)
    store.write("LICENCE.txt", b"mine")
    assert build(images, url, "--run", tmp_path / "run") == 2
    assert "LICENCE.txt, which the run" in capsys.readouterr().err
    assert store.names() == ["LICENCE.txt"]
    store.remove("LICENCE.txt")
    assert build(images, url, "--run", tmp_path / "run") == 0
    store.write("LICENCE.txt", b"mine")
    assert verify(store) == [Problem("LICENCE.txt", "is foreign: SHA256SUMS does not list it")]
    assert build(images, url, "--run", tmp_path / "run") == 2
    assert "which no run makes" in capsys.readouterr().err
    store.remove("LICENCE.txt")
    # A lower ratio would delete finished rounds; a higher one makes the missing rounds alone.
    again = ("--run", tmp_path / "run")
    assert build(images, url, *again, generate__ratio=1) == 2
    assert "finished rounds up to 2" in capsys.readouterr().err
    before = store.facts("aug-000000.tar")
    assert build(images, url, *again, generate__ratio=3) == 0
    assert verify(store) == [] and store.facts("aug-000000.tar") == before
    assert read_marker(store, "aug-000005") is not None


def test_without_run_the_folder_has_the_name_of_the_prefix(
    bucket: str, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert build(images, f"s3://{bucket}/some/pets", "--until", "plan") == 0
    assert [path.name for path in tmp_path.iterdir()] == ["pets.run"]


def test_a_store_that_does_not_answer_ends_with_6(
    uploaded: Uploaded,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    url, run, images = f"s3://{uploaded.bucket}/pets", uploaded.run, uploaded.images

    def dead(self: RemoteStore) -> None:
        raise StorageError(f"listing {self} failed 3 times within 1 s")

    monkeypatch.setattr(RemoteStore, "listing", dead)
    assert build(images, url, "--run", run) == 6
    assert "failed 3 times" in capsys.readouterr().err
    assert cli("status", run) == 0
    assert f"write:    not known: listing {url} failed" in capsys.readouterr().out


# --- the mirror


class Broken(RemoteStore):
    """Breaks at the `at`-th change of the store, and keeps what was changed."""

    at = 10**9

    def _changed(self, what: str) -> None:
        self.changes = [*getattr(self, "changes", []), what]
        if len(self.changes) == self.at:
            raise StorageError(f"broken before {what}")

    def write(self, name: str, data: bytes) -> None:
        self._changed(f"write {name}")
        super().write(name, data)

    def put(self, name: str, path: Path, sha256: str) -> bool:
        self._changed(f"put {name}")
        sent = super().put(name, path, sha256)
        self.changes[-1] += "" if sent else " (there)"
        return sent

    def remove(self, name: str) -> None:
        self._changed(f"remove {name}")
        super().remove(name)


NAME = "aug-000000"


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    """A finished corpus, to be uploaded."""
    return made.make_corpus(tmp_path)


@pytest.fixture
def broken() -> Iterator[Broken]:
    plain = open_remote(URL("memory://broken"), RetryPolicy(1.0))
    yield Broken(plain.fs, plain.root, plain.url, plain.retry_policy)
    empty(plain)


def planned(mirror: Path) -> dict[str, str]:
    marker = read_marker(mirror, NAME)
    assert marker is not None
    return {"rows_digest": marker.rows_digest, "recipe_digest": marker.recipe_digest}


def test_a_marker_goes_up_last(broken: Broken, mirror: Path) -> None:
    wanted = planned(mirror)
    MirroredStore(broken, mirror).upload(NAME)
    steps = [f"put {NAME}.tar", f"put {NAME}.parquet", f"write {NAME}.json"]
    assert broken.changes == steps
    assert not (mirror / f"{NAME}.tar").exists() and (mirror / f"{NAME}.parquet").exists()
    assert is_complete(broken, NAME, **wanted, thorough=True)
    with pytest.raises(ScoreMixError, match="no finished shard"):
        MirroredStore(broken, mirror).upload("aug-999999")


@pytest.mark.parametrize("at", [1, 2, 3])
def test_a_stopped_upload_goes_on(at: int, broken: Broken, mirror: Path) -> None:
    wanted, store = planned(mirror), MirroredStore(broken, mirror)
    broken.at = at
    with pytest.raises(StorageError):
        store.upload(NAME)
    assert not is_complete(store, NAME, **wanted) and (mirror / f"{NAME}.tar").exists()
    broken.changes, broken.at = [], 10**9
    store.upload(NAME)
    steps = [f"put {NAME}.tar", f"put {NAME}.parquet"]
    there = [f"{step} (there)" for step in steps[: at - 1]]
    assert broken.changes == [*there, *steps[at - 1 :], f"write {NAME}.json"]
    assert is_complete(store, NAME, **wanted, thorough=True)


def test_an_old_marker_never_describes_new_files(broken: Broken, mirror: Path) -> None:
    broken.fs.pipe_file(f"{broken.root}/{NAME}.json", b"an old marker")
    MirroredStore(broken, mirror).upload(NAME)
    assert broken.changes[0] == f"remove {NAME}.json"


def test_tables_come_from_the_mirror_if_it_has_them(broken: Broken, mirror: Path) -> None:
    store = MirroredStore(broken, mirror)
    store.upload(NAME)
    name = f"{NAME}.parquet"
    whole = (mirror / name).read_bytes()
    for local in (whole, b"damaged", None):
        (mirror / name).unlink()
        if local is not None:
            (mirror / name).write_bytes(local)
        assert store.read(name) == whole == (mirror / name).read_bytes()


def test_a_listing_is_old_for_a_moment_only(
    broken: Broken, mirror: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, other = MirroredStore(broken, mirror), MirroredStore(broken, mirror)
    wanted = planned(mirror)
    assert not is_complete(store, NAME, **wanted)
    other.upload(NAME)
    assert NAME + ".json" in store.names()  # names are never old
    store.refresh()
    assert is_complete(store, NAME, **wanted)
    listings, reads = [], []
    monkeypatch.setattr(broken, "read", lambda name: reads.append(name) or b"")
    assert not is_complete(store, "aug-000009", **wanted) and not reads  # nor are its markers
    monkeypatch.setattr(broken, "listing", lambda: listings.append(1) or {})
    assert is_complete(store, NAME, **wanted) and not listings  # seen just now
    monkeypatch.setattr("scoremix.manifests.published.mirror._FRESH", 0.0)
    assert not is_complete(store, NAME, **wanted) and listings


def test_shards_of_an_earlier_plan_leave_the_mirror(broken: Broken, mirror: Path) -> None:
    broken.fs.pipe_file(f"{broken.root}/index.json", b"as it was published")
    MirroredStore(broken, mirror).keep_only({NAME})
    assert {path.stem for path in mirror.iterdir()} == {NAME, "index"}
    assert mirrored_index(mirror).read_bytes() == b"as it was published"  # repair uses it
