"""Files that only look like a corpus's own are not removed; what killed builds left is."""

import shutil
from pathlib import Path

import pytest
import tiny
from in_process import cli
from remote_runs import augment

from scoremix.manifests.published.publish import write_plan
from scoremix.manifests.published.verify import verify

WRITE = ("--until", "write")


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.make_images(tmp_path_factory.mktemp("made") / "images")


@pytest.fixture
def photos(images: Path, tmp_path: Path) -> Path:
    assert augment(images, tmp_path / "photos", *WRITE) == 0
    return tmp_path / "photos"


@pytest.mark.parametrize("name", ["aug-000050.tar", "aug-000051.json", "real-000052.parquet"])
def test_a_file_with_the_name_of_a_shards_is_not_removed(
    name: str, photos: Path, images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (photos / name).write_text('{"my": 1}')
    before = tiny.digests(photos)
    for options in ({"generate__ratio": 3}, {"seed": 9}, {}):
        assert augment(images, photos, *WRITE, **options) == 2
        assert f"holds {name}, which no run makes" in capsys.readouterr().err
    assert cli("forget", photos.with_name("photos.run"), "000003", "--quiet") == 0
    assert tiny.digests(photos)[name] == before[name]
    (photos / name).unlink()
    assert augment(images, photos, *WRITE, generate__ratio=3) == 0
    assert verify(photos) == []


def test_a_file_in_the_place_of_a_later_shard_is_not_replaced(photos: Path, images: Path) -> None:
    last = sorted(photos.glob("aug-*.tar"))[-1].stem
    later = photos / f"aug-{int(last[4:]) + 1:06}.tar"
    later.write_text("mine")
    assert augment(images, photos, *WRITE, generate__ratio=3) == 2
    assert later.read_text() == "mine"


def begun(photos: Path, *names: str) -> None:
    """As a killed build leaves it: shards without their markers, and no SHA256SUMS."""
    for name in ("SHA256SUMS", "index.json", "manifest.parquet", *names):
        (photos / name).unlink()


def test_shards_of_a_killed_build_go_with_their_plan(
    photos: Path, images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A killed build began two shards of one plan, and none of the next, which has other names."""
    markers = sorted(path.name for path in photos.glob("aug-*.json"))
    begun(photos, *markers[-2:])
    left = photos / markers[-1].replace(".json", ".tar")
    kept = shutil.copytree(photos, photos.with_name("kept"))
    assert augment(images, photos, *WRITE) == 0  # the same plan: made again
    assert verify(photos) == [] and left.exists()
    shutil.rmtree(photos)
    kept.rename(photos)

    def killed(*_: object) -> None:
        write_plan(*_)  # type: ignore[arg-type]
        raise KeyboardInterrupt

    monkeypatch.setattr("scoremix.pipeline.shards.local.write_plan", killed)
    fewer = {"write__shard_size": 30}
    assert augment(images, photos, *WRITE, **fewer) != 0
    monkeypatch.undo()
    assert not left.exists() and (photos / markers[2]).exists()  # committed ones stay till the end
    assert augment(images, photos, *WRITE, **fewer) == 0
    assert verify(photos) == [] and not (photos / markers[2]).exists()


# --- what a start accepts and what verify reports


@pytest.mark.parametrize(
    "name", ["empty/", ".notes.2024.tmp", ".scoremix-tmp-mine/x", ".scoremix-tmp-mine/"]
)
def test_what_verify_would_report_is_refused_at_the_start(
    name: str, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"

    def put() -> None:
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).mkdir() if name.endswith("/") else (out / name).write_text("mine")

    put()
    assert augment(images, out, *WRITE) == 2
    assert f"holds {name.rstrip('/')}, which the run" in capsys.readouterr().err
    shutil.rmtree(out)
    assert augment(images, out, *WRITE) == 0
    put()
    assert cli("verify", out) == 3
    assert "move them elsewhere" in capsys.readouterr().err
    assert augment(images, out, *WRITE, generate__ratio=3) == 2
    assert f"holds {name.rstrip('/')}, which no run makes" in capsys.readouterr().err


def test_litter_and_what_a_killed_run_left_are_no_reason_to_stop(
    photos: Path, images: Path
) -> None:
    for name in (".DS_Store", "._aug-000000.tar", ".scoremix-lock", ".nfs000000000"):
        (photos / name).touch()
    (photos / "lost+found").mkdir()
    assert verify(photos) == []
    (photos / "..scoremix-run.json.0a1b2c3d.4194303.tmp").touch()
    assert [problem.is_unlisted for problem in verify(photos)] == [True]
    assert augment(images, photos, *WRITE, generate__ratio=3) == 0
    assert verify(photos) == []
