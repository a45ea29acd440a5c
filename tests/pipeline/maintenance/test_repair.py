"""repair: whatever is damaged comes back byte for byte, and nothing else is touched."""

import json
import os
import shutil
import signal
from pathlib import Path

import damaging
import pyarrow as pa
import pytest
import tiny
from damaging import Damage, cut, flipped, missing, stale, summed_again, swapped, together
from earlier import forget_sums, list_foreign, rewrite_card, write_digests
from in_process import cli

from scoremix.manifests.files.atomic import (
    json_bytes,
    read_parquet,
    sha256_file,
    write_parquet,
)
from scoremix.manifests.files.crash_points import REPAIR_POINTS
from scoremix.manifests.files.lock import run_lock


def augment(data: Path, out: Path, **changed: object) -> None:
    arguments = ["augment", "--data", data, "--out", out, "--quiet", *tiny.options(**changed)]
    assert cli(*arguments) == 0


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.make_images(tmp_path_factory.mktemp("data") / "images")


@pytest.fixture(scope="module")
def done(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """OUT of an undisturbed build: 3 real and 6 augmented shards."""
    out = tmp_path_factory.mktemp("done") / "shards"
    augment(data, out)
    return out


@pytest.fixture(scope="module")
def lower(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same corpus at ratio 1: its manifests are stale in the other."""
    out = tmp_path_factory.mktemp("lower") / "shards"
    augment(data, out, generate__ratio=1)
    return out


@pytest.fixture
def shards(done: Path, tmp_path: Path) -> Path:
    """A copy, free to be damaged, with its run beside it."""
    for part in ("shards", "shards.run"):
        shutil.copytree(done.with_name(part), tmp_path / part)
    return tmp_path / "shards"


def stamps(shards: Path) -> dict[str, tuple[int, int]]:
    return {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in shards.iterdir()}


def comes_back(damage: Damage, shards: Path, done: Path, *more: str) -> None:
    """Damages, repairs, compares every byte; sound files are the same inodes as before."""
    damage(shards)
    now, wanted = tiny.digests(shards), tiny.digests(done)
    assert now != wanted and cli("verify", shards) == 3
    before = stamps(shards)
    assert cli("repair", shards, "--quiet", *more) == 0
    assert tiny.digests(shards) == wanted and cli("verify", shards, "--deep") == 0
    after = stamps(shards)
    shard_files = {n for n in now if n in wanted and now[n] == wanted[n] and "-0" in n}
    damaged = {name.partition(".")[0] for name in wanted if now.get(name) != wanted[name]}
    for name in shard_files:
        if name.partition(".")[0] not in damaged:
            assert before[name] == after[name], f"{name} was sound and was touched"
    for name in damaging.SMALL[:4]:
        assert now.get(name) != wanted[name] or before[name] == after[name], name
    assert not [path.name for path in shards.parent.iterdir() if path.name.startswith(".")]
    assert cli("repair", shards, "--quiet") == 0, "a second time there is nothing to do"


NAMES = ["aug-000003.tar", "aug-000003.parquet", "aug-000003.json", "real-000001.tar"]
NAMES += ["real-000001.json", *damaging.SMALL]


@pytest.mark.parametrize("name", NAMES)
def test_a_flipped_bit_a_cut_and_a_missing_file(name: str, shards: Path, done: Path) -> None:
    for damage in (flipped(name, 0.5), flipped(name, 0.99), cut(name, 0.6), missing(name)):
        comes_back(damage, shards, done)


ALL = ("tar", "parquet", "json")
AUG = [f"aug-000002.{extension}" for extension in ALL]
KINDS: dict[str, Damage] = {
    "a whole shard missing": missing(*AUG),
    "a tar emptied": cut("aug-000000.tar", 0),
    "two tars swapped": swapped("aug-000000", "aug-000004", "tar"),
    "two shards swapped whole": swapped("aug-000000", "aug-000004", *ALL),
    "real and augmented swapped": swapped("real-000000", "aug-000000", *ALL),
    "swapped and summed again": summed_again(swapped("aug-000000", "aug-000004", *ALL)),
    "a tar flipped and summed again": summed_again(flipped("aug-000001.tar", 0.4)),
    "manifest flipped and summed again": summed_again(flipped("manifest.parquet", 0.4)),
    "index and sums gone": missing("index.json", "SHA256SUMS"),
    "tar and index": together(flipped("aug-000001.tar", 0.4), flipped("index.json", 0.4)),
    "tar and sums": together(missing("SHA256SUMS"), flipped("aug-000001.tar", 0.4)),
    "tar, index and sums": together(
        missing("SHA256SUMS", "index.json"), flipped("aug-000001.tar", 0.4)
    ),
    "marker and index": together(missing("aug-000001.json"), flipped("index.json", 0.7)),
    "every small file": missing(*damaging.SMALL),
    "every marker": missing(
        *(f"aug-{n:06d}.json" for n in range(6)), *(f"real-{n:06d}.json" for n in range(3))
    ),
    "everything but the index": lambda shards: (
        [path.unlink() for path in shards.iterdir() if path.name != "index.json"] and None
    ),
    "everything but the sums": lambda shards: (
        [path.unlink() for path in shards.iterdir() if path.name != "SHA256SUMS"] and None
    ),
    "everything but tars and Parquet files": lambda shards: (
        [path.unlink() for path in shards.iterdir() if not path.name.endswith((".tar", ".parquet"))]
        and None
    ),
}


@pytest.mark.parametrize("kind", [kind for kind in KINDS if "everything but tars" not in kind])
def test_every_kind_of_damage(kind: str, shards: Path, done: Path) -> None:
    comes_back(KINDS[kind], shards, done)


@pytest.mark.parametrize("again", [False, True], ids=["plain", "summed again"])
@pytest.mark.parametrize(
    "names", [("index.json",), ("manifest.parquet", "plan.parquet"), damaging.SMALL[:5]], ids=str
)
def test_stale_manifests(
    names: tuple[str, ...], again: bool, shards: Path, done: Path, lower: Path
) -> None:
    damage = stale(lower, *names)
    comes_back(summed_again(damage) if again else damage, shards, done)


def test_a_whole_corpus_is_left_alone(shards: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = stamps(shards)
    assert cli("repair", shards, "--quiet") == 0
    assert "Nothing to repair" in capsys.readouterr().out
    assert stamps(shards) == before


def test_an_emptied_folder_has_no_recorded_hashes_and_says_so(
    shards: Path, done: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in shards.iterdir():
        path.unlink()
    assert cli("repair", shards, "--quiet") == 3
    told = capsys.readouterr().out
    assert "aug-000005: NOT repaired" in told and "no marker, index.json or SHA256SUMS" in told
    assert list(shards.iterdir()) == []
    comes_back(lambda folder: None, shards, done, "--accept-new")


def test_lost_markers_without_recorded_hashes_need_a_confirmation(shards: Path, done: Path) -> None:
    """Tars and Parquet files prove themselves; what the markers recorded, nobody knows."""
    KINDS["everything but tars and Parquet files"](shards)
    assert cli("repair", shards, "--quiet") == 3
    comes_back(lambda folder: None, shards, done, "--accept-new")


def test_files_of_others_are_left_and_named(
    shards: Path, done: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (shards / "notes.txt").write_text("mine")
    (shards / "aug-000099.tar").write_bytes(b"no shard of the plan")
    damaging.flip(shards / "aug-000001.tar", 700)
    assert cli("repair", shards, "--quiet") == 3
    out, error = capsys.readouterr()
    assert "aug-000001: made again" in out and "notes.txt: is foreign" in out
    assert "aug-000099.tar: is extra" in out and "restore or remove them yourself" in error
    found = tiny.digests(shards)
    assert found.pop("notes.txt") and found.pop("aug-000099.tar")
    assert found == tiny.digests(done)


def test_a_covered_file_of_others_that_is_damaged_stays_named(
    data: Path, done: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "shards"
    augment(data, out)
    list_foreign(out, "notes.txt", b"mine")
    forget_sums(out.with_name("shards.run"))
    whole = tiny.digests(out)
    damaging.flip(out / "notes.txt", 2)
    damaging.flip(out / "manifest.parquet", 200)
    assert cli("repair", out, "--quiet") == 3
    assert "notes.txt: was changed" in capsys.readouterr().out
    (out / "notes.txt").write_text("mine")
    assert cli("verify", out) == 0 and tiny.digests(out) == whole


def environment_of(shards: Path, name: str) -> dict[str, str]:
    recorded: dict[str, str] = json.loads((shards / f"{name}.json").read_text())["environment"]
    return recorded


def test_another_environment_is_refused_until_it_is_accepted(
    shards: Path, done: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Another zlib: the same pixels, other PNG bytes."""
    from scoremix.stages.images import png

    monkeypatch.setattr(png, "_ZLIB_LEVEL", 1)
    damaging.flip(shards / "aug-000003.tar", 5000)
    damaged = tiny.digests(shards)
    assert cli("repair", shards, "--quiet") == 3
    told = capsys.readouterr().out
    assert "aug-000003: NOT repaired" in told and "not the one that made it" in told
    assert tiny.digests(shards) == damaged, "nothing was replaced"
    assert cli("repair", shards, "--quiet", "--accept-new") == 0
    assert "new digests are recorded" in capsys.readouterr().out
    assert cli("verify", shards, "--deep") == 0
    now, before = tiny.digests(shards), tiny.digests(done)
    changed = {name for name in now if now[name] != before[name]}
    assert changed == {f"aug-000003.{end}" for end in ALL} | {
        "SHA256SUMS",
        "croissant.json",
        "index.json",
        "manifest.parquet",
    }
    stage = shards.with_name("shards.run") / "stages.yaml"
    assert cli("run", stage, "--quiet") == 0 and "Nothing to do" in capsys.readouterr().out


def test_a_lost_marker_is_written_again_without_making_images(
    shards: Path, done: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where images would come out otherwise: tar and Parquet are vouched for."""
    from scoremix.stages.images import png
    from scoremix.stages.write import write

    monkeypatch.setattr(png, "_ZLIB_LEVEL", 1)
    monkeypatch.setattr(write.platform, "python_version", lambda: "3.99")
    (shards / "aug-000003.json").unlink()
    damaging.flip(shards / "real-000000.json", 300)
    assert cli("repair", shards, "--quiet") == 0
    assert tiny.digests(shards) == tiny.digests(done)


def test_another_runs_shards_are_refused(
    shards: Path, lower: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = shutil.copytree(lower, tmp_path / "elsewhere" / "copy")
    (copy / "aug-000001.tar").unlink()
    before = tiny.digests(copy)
    assert cli("repair", copy, "--quiet") == 2
    assert "No run was found" in capsys.readouterr().err
    run = shards.with_name("shards.run")
    assert cli("repair", copy, "--run", run, "--quiet") == 2
    assert "was not made from what" in capsys.readouterr().err
    for name in damaging.SMALL:
        (copy / name).unlink()
    for path in copy.glob("*.json"):
        path.unlink()
    assert cli("repair", copy, "--run", run, "--accept-new", "--quiet") == 2
    assert tiny.digests(copy) == {n: d for n, d in before.items() if (copy / n).exists()}
    assert cli("repair", copy, "--run", tmp_path, "--quiet") == 2


def test_a_copy_is_repaired_by_the_run_that_is_named(
    shards: Path, done: Path, tmp_path: Path
) -> None:
    copy = shutil.copytree(shards, tmp_path / "elsewhere" / "copy")
    (copy / "aug-000001.tar").unlink()
    run = shards.with_name("shards.run")
    assert cli("repair", copy, "--run", run, "--quiet") == 0
    assert tiny.digests(copy) == tiny.digests(done)


def test_a_run_that_was_changed_since_is_named(
    shards: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = shards.with_name("shards.run")
    stages = run / "stages.yaml"
    stages.write_text(stages.read_text().replace("alpha: 0.2", "alpha: 0.3"))
    (shards / "aug-000001.tar").unlink()
    assert cli("repair", run, "--quiet") == 2
    told = capsys.readouterr().err
    assert "alpha 0.2 -> 0.3" in told and "scoremix-pipeline run" in told


def test_what_a_lost_network_or_corpus_means(
    shards: Path, done: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = shards.with_name("shards.run")
    weights = run / "score-net" / "model.safetensors"
    kept = weights.read_bytes()
    weights.unlink()
    comes_back(missing("README.md", "SHA256SUMS"), shards, done)  # no image is needed for these
    (shards / "aug-000001.tar").unlink()
    assert cli("repair", shards, "--quiet") == 3
    assert "aug-000001: NOT repaired: cannot be made" in capsys.readouterr().out
    weights.write_bytes(kept)
    damaging.flip(run / "corpus" / "images.npy", 900)
    assert cli("repair", shards, "--quiet") == 3
    assert "images.npy was changed" in capsys.readouterr().out
    damaging.flip(run / "corpus" / "images.npy", 900)
    (run / ".scoremix" / "plan.parquet").write_bytes(b"PAR1")
    assert cli("repair", shards, "--quiet") == 0
    assert tiny.digests(shards) == tiny.digests(done)
    (run / "score-net" / "model.json").write_text("{")
    assert cli("repair", shards, "--quiet") == 1
    assert "model.json is gone or damaged" in capsys.readouterr().err


def test_the_runs_lock_is_held(shards: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with run_lock(shards.with_name("shards.run")):
        assert cli("repair", shards, "--quiet") == 5
    assert str(os.getpid()) in capsys.readouterr().err


@pytest.mark.parametrize("accept", [False, True], ids=["old bytes", "new bytes"])
@pytest.mark.parametrize("point", tiny.mostly_in_faults(REPAIR_POINTS, REPAIR_POINTS[::2]))
def test_killed_on_the_way_and_repaired_again(
    point: str, accept: bool, shards: Path, done: Path
) -> None:
    """With --accept-new in one environment the new bytes are the old ones: there is one end."""
    if accept:
        KINDS["everything but tars and Parquet files"](shards)
    for number in (1, 4):
        damaging.flip(shards / f"aug-{number:06d}.tar", 3000)
    arguments = ["repair", shards, "--quiet", *(["--accept-new"] if accept else [])]
    killed = tiny.command(arguments, SCOREMIX_FAULT=f"kill:{point}")
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert cli("verify", shards) == (0 if point == "shards-repaired" and not accept else 3)
    assert cli(*arguments) == 0
    assert tiny.digests(shards) == tiny.digests(done)


@pytest.mark.parametrize("lost", [("README.md",), ("index.json",), ("SHA256SUMS", "plan.parquet")])
def test_a_corpus_from_before_croissant_comes_back_as_it_was(
    lost: tuple[str, ...], shards: Path, done: Path
) -> None:
    damaging.without_croissant(shards)
    forget_sums(shards.with_name("shards.run"))
    older = tiny.digests(shards)
    assert "croissant.json" not in older and cli("verify", shards) == 0
    for name in lost:
        (shards / name).unlink()
    assert cli("repair", shards, "--quiet") == 0
    assert tiny.digests(shards) == older and cli("verify", shards) == 0
    damaging.flip(shards / "aug-000002.tar", 4000)
    assert cli("repair", shards, "--quiet") == 0
    assert tiny.digests(shards) == older


def test_digests_that_were_all_written_again_are_seen_with_the_run(
    shards: Path, done: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The card is changed, and whatever has a digest of it: only the ledger knows better."""
    rewrite_card(shards)
    run = shards.with_name("shards.run")
    alone = shutil.copytree(shards, shards.parent / "alone" / "shards")
    assert cli("verify", alone) == 0  # nothing in the folder can tell
    capsys.readouterr()
    for command in (["verify", shards], ["verify", run], ["verify", alone, "--run", run]):
        assert cli(*command) == 3
        assert "SHA256SUMS: is not the file that the run published" in capsys.readouterr().out
    assert cli("repair", shards, "--quiet") == 3
    for path in shards.iterdir():
        path.unlink()
    assert cli("run", run / "stages.yaml", "--quiet") == 0
    assert tiny.digests(shards) == tiny.digests(done)
    assert cli("verify", shards) == 0
    assert "and with the ledger of" in capsys.readouterr().out


def test_a_table_that_alone_disagrees_is_made_again(
    shards: Path, done: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Marker, index and SHA256SUMS agree with a shard's Parquet, which has other rows."""
    name = "aug-000001"
    table = read_parquet(shards / f"{name}.parquet")
    seeds = pa.array([7] * table.num_rows, table.schema.field("seed").type)
    at = table.schema.get_field_index("seed")
    write_parquet(
        shards / f"{name}.parquet", table.set_column(at, table.schema.field("seed"), seeds)
    )
    marker = json.loads((shards / f"{name}.json").read_text())
    size = (shards / f"{name}.parquet").stat().st_size
    marker["parquet"] = {"sha256": sha256_file(shards / f"{name}.parquet"), "size": size}
    (shards / f"{name}.json").write_bytes(json_bytes(marker))
    index = json.loads((shards / "index.json").read_text())
    (entry,) = [one for one in index["shardlist"] if one["url"] == f"{name}.tar"]
    entry["parquet_sha256"] = marker["parquet"]["sha256"]
    entry["marker_sha256"] = sha256_file(shards / f"{name}.json")
    write_digests(shards, index)
    assert cli("verify", shards) == 3
    capsys.readouterr()
    assert cli("repair", shards, "--quiet") == 3
    out = capsys.readouterr().out
    assert f"{name}: NOT repaired: made again, but" in out and "--accept-new" in out
    assert cli("repair", shards, "--quiet", "--accept-new") == 0
    assert tiny.digests(shards) == tiny.digests(done) and cli("verify", shards) == 0
