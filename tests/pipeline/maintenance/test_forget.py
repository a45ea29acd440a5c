"""forget: no byte of the image stays, nothing else changes, and it does not come back."""

import io
import json
import shutil
import signal
import tarfile
from pathlib import Path

import damaging
import numpy as np
import pyarrow.parquet as pq
import pytest
import tiny
from in_process import cli

from scoremix.manifests.errors import StorageError
from scoremix.manifests.files.crash_points import FORGET_POINTS, INSTALL_POINTS
from scoremix.manifests.files.lock import run_lock

KEY = "000003"
SHARDS = ("--until", "write", "--quiet")


def build(root: Path, *more: str, **changed: object) -> int:
    places = ["--data", root / "images", "--out", root / "shards", "--quiet"]
    return cli("augment", *places, *tiny.options(**changed), *more)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """images/, shards/ and shards.run/ of an undisturbed build."""
    root = tmp_path_factory.mktemp("done")
    tiny.make_images(root / "images")
    # The same file under another name, and the same pixels in another file.
    shutil.copy(root / "images" / "left" / "002.png", root / "images" / "left" / "copy.png")
    assert build(root) == 0
    return root


@pytest.fixture(scope="module")
def undisturbed(done: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """sha256 of every file of the shards after nothing stopped `forget` of KEY."""
    root = tmp_path_factory.mktemp("undisturbed")
    for part in ("images", "shards", "shards.run"):
        shutil.copytree(done / part, root / part)
    assert cli("forget", root / "shards.run", KEY, "--quiet") == 0
    return tiny.digests(root / "shards")


@pytest.fixture
def root(done: Path, tmp_path: Path) -> Path:
    for part in ("images", "shards", "shards.run"):
        shutil.copytree(done / part, tmp_path / part)
    # The source is recognised by names, sizes and times.
    assert tiny.digests(tmp_path) == tiny.digests(done)
    return tmp_path


def sources(root: Path) -> list[dict[str, object]]:
    table = pq.read_table(root / "shards.run" / "corpus" / "sources.parquet")
    return list(table.to_pylist())


def samples(shards: Path) -> dict[str, dict[str, bytes]]:
    """Key -> member -> bytes, of every sample."""
    found: dict[str, dict[str, bytes]] = {}
    for path in sorted(shards.glob("*.tar")):
        with tarfile.open(path) as tar:
            for member in tar:
                key, _, extension = member.name.partition(".")
                file = tar.extractfile(member)
                assert file is not None
                found.setdefault(key, {})[extension] = file.read()
    return found


def traces(root: Path, pixels: np.ndarray, files: list[bytes]) -> list[str]:  # type: ignore[type-arg]
    """Files below run and shards that hold the image: a row of its pixels, or an encoded file."""
    needles = [row.tobytes() for row in pixels] + files
    return [
        path.name
        for part in ("shards", "shards.run")
        for path in (root / part).rglob("*")
        if path.is_file() and any(needle in path.read_bytes() for needle in needles)
    ]


def children(shards: Path, key: str) -> set[str]:
    rows = pq.read_table(shards / "manifest.parquet").to_pylist()
    return {row["key"] for row in rows if key in (row["source_1"], row["source_2"])}


def test_no_byte_stays_and_the_rest_is_unchanged(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shards, run = root / "shards", root / "shards.run"
    pixels = np.load(run / "corpus" / "images.npy")[int(KEY)].copy()
    gone, before, old = children(shards, KEY), samples(shards), tiny.digests(shards)
    encoded = [before[key]["png"] for key in gone]
    name = next(str(row["name"]) for row in sources(root) if row["key"] == KEY)
    assert {"images.npy", "real-000000.tar", "real-000001.tar", "real-000002.tar"} & set(
        traces(root, pixels, encoded)
    )
    (run / ".scoremix" / "features").mkdir(exist_ok=True)
    (run / ".scoremix" / "features" / "x.npy").write_bytes(pixels.tobytes())
    (run / "corpus" / ".staging.tmp").write_bytes(pixels.tobytes())
    (run / "tracking").mkdir()
    (run / "tracking" / "events").write_bytes(pixels.tobytes())
    assert cli("forget", run, KEY, "--quiet") == 0
    told = capsys.readouterr().out
    assert f"({KEY})" in told and "has" not in name and "--retrain" in told
    assert traces(root, pixels, encoded) == []
    assert not [
        path for path in [*shards.iterdir(), run / "tombstones.json"]
        if name.encode() in path.read_bytes()
    ]  # fmt: skip
    row = next(row for row in sources(root) if row["key"] == KEY)
    assert (row["status"], row["name"], row["phash"]) == ("forgotten", None, None)
    after = samples(shards)
    assert after == {key: members for key, members in before.items() if key not in gone}
    assert cli("verify", shards, "--deep") == 0
    touched = {key_shard for key_shard in shards_of(old, root, gone)}
    for file, digest in tiny.digests(shards).items():
        if "-0" in file and file.partition(".")[0] not in touched:
            assert digest == old[file], file
    capsys.readouterr()
    stages = run / "stages.yaml"
    assert cli("run", stages) == 0
    error = capsys.readouterr().err
    for stage in ("ingest", "train", "plan", "write"):
        assert f"{stage}: up to date" in error
    assert cli("run", stages) == 0
    assert "Nothing to do" in capsys.readouterr().out
    assert traces(root, pixels, encoded) == []
    assert cli("status", run) == 0
    assert "1 forgotten" in capsys.readouterr().out


def shards_of(old: dict[str, str], root: Path, gone: set[str]) -> set[str]:
    plan = pq.read_table(root / "shards.run" / ".scoremix" / "plan.parquet").to_pylist()
    assert old and len(plan) == 48, "the plan stays as it is"
    return {row["shard"] for row in plan if row["key"] in gone}


def test_a_higher_ratio_does_not_use_it_and_repair_respects_it(root: Path) -> None:
    shards, run = root / "shards", root / "shards.run"
    assert cli("forget", run, KEY, "--quiet") == 0
    assert cli("run", run / "stages.yaml", "--set", "generate.ratio=3", *SHARDS) == 0
    rows = pq.read_table(shards / "manifest.parquet").to_pylist()
    assert {row["round"] for row in rows} == {0, 1, 2, 3}
    assert not [row for row in rows if KEY in (row["source_1"], row["source_2"])]
    whole = tiny.digests(shards)
    for path in list(shards.glob("*.tar")):
        damaging.flip(path, 2000)
        assert cli("repair", shards, "--quiet") == 0
        assert tiny.digests(shards) == whole
    assert cli("repair", run, "--quiet") == 0


def test_its_copies_go_with_it_and_a_later_ingest_refuses_all_of_them(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = root / "shards.run"
    name = "left/002.png"
    before = {row["name"]: row for row in sources(root)}
    assert before["left/copy.png"]["status"] == "duplicate"
    pixels = np.load(run / "corpus" / "images.npy")[before[name]["row"]].copy()
    assert cli("forget", run, name, "--quiet") == 0
    assert "2 inputs were forgotten, 1 of them" in capsys.readouterr().out
    (root / "images" / "left" / "new.txt").write_text("the source is another one now")
    assert build(root, "--until", "write") == 0
    after = sources(root)
    assert sorted(row["status"] for row in after).count("forgotten") == 2
    assert not {name, "left/copy.png"} & {row["name"] for row in after}
    assert traces(root, pixels, []) == []
    assert cli("verify", root / "shards") == 0
    assert len([row for row in after if row["status"] == "train"]) == 15


def test_the_same_command_again_ends_with_0(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Also by name, which nothing remembers, and where another command has ended it."""
    run = root / "shards.run"
    words = ["forget", run, "left/002.png", "--quiet"]
    killed = tiny.command(words, SCOREMIX_FAULT="kill:erased")
    assert killed.returncode == -signal.SIGKILL
    assert cli(*words) == 0
    assert "forgotten before" in capsys.readouterr().out
    assert cli("run", run / "stages.yaml", *SHARDS) == 0
    assert cli(*words) == 0
    assert "left/002.png" not in (run / "tombstones.json").read_text()
    assert cli("forget", run, "left/003.png", "left/002.png", "--quiet") == 0
    assert cli("forget", run, "left/002.png", "left/003.png", "--quiet") == 0
    assert cli("forget", run, "left/absent.png", "--quiet") == 2


@pytest.mark.parametrize("name", ["images.npy", "reference.npy"])
def test_damaged_pixels_are_never_promised_anew(
    name: str, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = root / "shards.run"
    before = tiny.digests(root / "shards")
    damaging.flip(run / "corpus" / name, 300)
    commands = [["forget", run, KEY], ["evaluate", run, "--set", "evaluate.rows=10"]]
    for command in [*commands, ["evaluate", run, "--generated", root / "images"]]:
        assert cli(*command, "--quiet") == 3
        assert f"{name} was changed" in capsys.readouterr().err
    assert not (run / "tombstones.json").exists()
    assert tiny.digests(root / "shards") == before


def test_options_without_a_plan_leave_the_corpus_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = tiny.make_images(tmp_path / "images")
    for path in sorted((images / "left").iterdir())[2:]:
        path.unlink()
    options = {"ingest__holdout": 0, "generate__method": "mixup"}
    assert build(tmp_path, "--until", "write", **options) == 0
    run = tmp_path / "shards.run"
    assert cli("forget", run, "000001", "--quiet") == 0
    before = tiny.digests(run / "corpus")
    assert cli("run", run / "stages.yaml", "--set", "seed=3", "--quiet") == 2
    assert "class" in capsys.readouterr().err
    assert tiny.digests(run / "corpus") == before
    assert cli("run", run / "stages.yaml", *SHARDS) == 0
    assert cli("verify", tmp_path / "shards") == 0
    assert cli("repair", tmp_path / "shards", "--quiet") == 0


def test_held_out_images_are_forgotten_too(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shards, run = root / "shards", root / "shards.run"
    held = [row for row in sources(root) if row["status"] == "reference"]
    pixels = np.load(run / "corpus" / "reference.npy")[held[1]["row"]].copy()
    before = {n: d for n, d in tiny.digests(shards).items() if "-0" in n}
    assert cli("forget", run, str(held[1]["name"]), "--quiet") == 0
    assert traces(root, pixels, []) == []
    assert before.items() <= tiny.digests(shards).items()
    assert len(np.load(run / "corpus" / "reference.npy")) == len(held) - 1
    left = [row for row in sources(root) if row["status"] == "reference"]
    assert sorted(row["row"] for row in left) == list(range(len(held) - 1))
    assert cli("run", run / "stages.yaml", "--quiet") == 0
    assert cli("verify", shards) == 0


def test_retrain_makes_everything_without_it(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shards, run = root / "shards", root / "shards.run"
    pixels = np.load(run / "corpus" / "images.npy")[int(KEY)].copy()
    weights = (run / "score-net" / "model.safetensors").read_bytes()
    assert cli("forget", run, KEY, "--quiet") == 0
    assert cli("forget", run, "--retrain", "--quiet") == 0
    assert (run / "score-net" / "model.safetensors").read_bytes() != weights
    assert len(np.load(run / "corpus" / "images.npy")) == 15
    assert traces(root, pixels, []) == []
    rows = pq.read_table(shards / "manifest.parquet").to_pylist()
    keys = {row["key"] for row in rows if row["kind"] == "real"}
    assert len(keys) == 15 and KEY not in keys and "000015" in keys, "keys stay what they were"
    assert not [row for row in rows if KEY in (row["source_1"], row["source_2"])]
    by_key = {row["key"]: row for row in sources(root) if row["key"]}
    images = np.load(run / "corpus" / "images.npy")
    png = samples(shards)
    from PIL import Image

    for key in keys:
        image = np.asarray(Image.open(io.BytesIO(png[key]["png"])))
        assert np.array_equal(image, images[by_key[key]["row"]])
        sha = next(row["source_1_sha256"] for row in rows if row["key"] == key)
        assert sha == by_key[key]["sha256"]
    capsys.readouterr()
    assert cli("run", run / "stages.yaml", "--quiet") == 0
    assert "Nothing to do" in capsys.readouterr().out
    # A second one, with the first settled before.
    assert cli("forget", run, "000005", "--quiet") == 0 and cli("verify", shards) == 0
    assert cli("run", run / "stages.yaml", *SHARDS) == 0 and cli("verify", shards) == 0


def test_a_network_trained_later_has_not_seen_it(root: Path) -> None:
    run = root / "shards.run"
    assert cli("forget", run, KEY, "--quiet") == 0
    assert cli("run", run / "stages.yaml", "--set", "train.steps=7", *SHARDS) == 0
    assert len(np.load(run / "corpus" / "images.npy")) == 15
    stones = json.loads((run / "tombstones.json").read_text())
    assert [stone["retrained"] for stone in stones["forgotten"]] == [True]
    assert cli("verify", run) == 0


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("000999", "neither the key"),
        ("000003-001", "augmented image"),
        ("left/nothing.png", "neither the key"),
    ],
)
def test_what_cannot_be_forgotten(
    asked: str, told: str, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = tiny.digests(root / "shards")
    assert cli("forget", root / "shards.run", asked) == 2
    assert told in capsys.readouterr().err
    assert tiny.digests(root / "shards") == before
    assert not (root / "shards.run" / "tombstones.json").exists()


def test_nothing_begins_where_it_could_not_end(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shards, run = root / "shards", root / "shards.run"
    assert cli("forget", run) == 2 and cli("forget", root, KEY) == 2
    assert cli("forget", run, *(f"{n:06d}" for n in range(15))) == 2
    assert "too few" in capsys.readouterr().err
    with run_lock(run):
        assert cli("forget", run, KEY) == 5
    shard = next(
        row["shard"]
        for row in pq.read_table(shards / "manifest.parquet").to_pylist()
        if row["source_2"] == KEY
    )
    damaging.flip(shards / f"{shard}.tar", 3000)
    assert cli("forget", run, KEY) == 1
    assert "repair" in capsys.readouterr().err and not (run / "tombstones.json").exists()
    assert cli("repair", shards, "--quiet") == 0
    assert cli("forget", run, KEY, "--quiet") == 0
    assert cli("forget", run, KEY, "--quiet") == 0
    assert "forgotten before" in capsys.readouterr().out
    stones, whole = run / "tombstones.json", (run / "tombstones.json").read_bytes()
    damaging.flip(stones, whole.index(b"sha256") + 20)
    assert cli("run", run / "stages.yaml", "--quiet") == 3
    assert "must not come back" in capsys.readouterr().err
    stones.write_bytes(whole)
    # Reading a damaged corpus again would number the images anew and train again: not unasked.
    rows = run / "corpus" / "sources.parquet"
    kept = rows.read_bytes()
    damaging.flip(rows, 300)
    assert cli("run", run / "stages.yaml", "--quiet") == 3
    assert "trained again" in capsys.readouterr().err
    rows.write_bytes(kept)
    assert cli("run", run / "stages.yaml", *SHARDS) == 0
    stones.write_text("{")
    assert cli("run", run / "stages.yaml", "--quiet") == 3
    assert "must not come back" in capsys.readouterr().err


def test_half_done_nobody_works_on_it(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shards, run = root / "shards", root / "shards.run"
    killed = tiny.command(["forget", run, KEY, "--quiet"], SCOREMIX_FAULT="kill:erased-rows")
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    kept = shutil.copytree(run / "corpus", root / "kept")
    before = tiny.digests(shards)
    damaging.cut("corpus/sources.parquet", 0.5)(shards.with_name("shards.run"))
    assert cli("forget", run, "--quiet") == 3
    assert "sources.parquet, then run" in capsys.readouterr().err
    shutil.copytree(kept, run / "corpus", dirs_exist_ok=True)
    for command in (
        ["repair", shards, "--quiet"],
        ["run", run / "stages.yaml", "--worker", "0/1", "--quiet"],
    ):
        assert cli(*command) == 75
        assert f"forget {run}` once" in capsys.readouterr().err
    assert tiny.digests(shards) == before and cli("status", run) == 0
    assert cli("forget", run, "--quiet") == 0
    assert cli("verify", shards) == 0 and cli("repair", shards, "--quiet") == 0


def test_a_full_disk_takes_no_shard_away(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shards, run = root / "shards", root / "shards.run"

    def full(*arguments: object) -> None:
        raise StorageError("Writing failed: No space left on device.")

    names = {path.name for path in shards.iterdir()}
    with monkeypatch.context() as patched:
        patched.setattr("scoremix.pipeline.maintenance.remove_samples.rewrite_shard", full)
        assert cli("forget", run, KEY, "--quiet") == 6
    assert {path.name for path in shards.iterdir()} == names - {"SHA256SUMS"}
    assert cli("forget", run, KEY, "--quiet") == 0 and cli("verify", shards, "--deep") == 0


POINTS = [p for p in FORGET_POINTS + INSTALL_POINTS if p != "erased-closed"]


@pytest.mark.slow
@pytest.mark.parametrize("resumed", ["forget", "run"])
@pytest.mark.parametrize("point", tiny.mostly_in_faults(POINTS, POINTS[1::2]))
def test_killed_on_the_way(
    point: str, resumed: str, root: Path, undisturbed: dict[str, str]
) -> None:
    shards, run = root / "shards", root / "shards.run"
    pixels = np.load(run / "corpus" / "images.npy")[int(KEY)].copy()
    encoded = [samples(shards)[key]["png"] for key in children(shards, KEY)]
    killed = tiny.command(["forget", run, KEY, "--quiet"], SCOREMIX_FAULT=f"kill:{point}")
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    if resumed == "forget":
        assert cli("forget", run, KEY, "--quiet") == 0
    else:
        assert cli("run", run / "stages.yaml", *SHARDS) == 0
    assert traces(root, pixels, encoded) == [] and cli("verify", shards, "--deep") == 0
    assert tiny.digests(shards) == undisturbed


@pytest.mark.slow
@pytest.mark.parametrize(
    "point",
    tiny.mostly_in_faults(
        ["erased-closed", "erased-rows", "erased", "traces-removed"], ["erased-rows"]
    ),
)
def test_killed_while_it_leaves_the_plan(point: str, root: Path, done: Path) -> None:
    run = root / "shards.run"
    assert cli("forget", run, KEY, "--quiet") == 0
    arguments = ["forget", run, "--retrain", "--quiet"]
    killed = tiny.command(arguments, SCOREMIX_FAULT=f"kill:{point}")
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert cli(*arguments) == 0
    found = tiny.digests(root / "shards")
    for part in ("shards", "shards.run"):
        shutil.rmtree(root / part)
        shutil.copytree(done / part, root / part)
    assert cli("forget", run, KEY, "--retrain", "--quiet") == 0
    assert tiny.digests(root / "shards") == found and cli("verify", run) == 0
