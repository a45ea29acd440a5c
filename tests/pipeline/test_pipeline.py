"""The whole pipeline on a few tiny images, judged by what it leaves on disk."""

import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import served
import tiny
import torch
from in_process import cli
from PIL import Image

from scoremix.models.network.device import device_type
from scoremix.stages.train.checkpoint import TrainingProgress

SHARDS = ("--until", "write")  # where only these are looked at
BRIEF = {"train__steps": 2, "train__checkpoint_every": 1}  # where any network will do


def augment(data: Path, out: Path, *more: str, **changed: object) -> int:
    return cli("augment", "--data", data, "--out", out, "--quiet", *tiny.options(**changed), *more)


def network_files(*more: str) -> list[str]:
    """The files of score-net/ after six or nine quick steps."""
    early = ["early-#-3", "early-#-6"] if tiny.NETWORK == "unet" else []
    last = [f"last/{name}.safetensors" for name in ("best", *early, "state")]
    guide = ["guide.safetensors"] if tiny.NETWORK == "unet" else []
    return [*guide, *last, "model.json", "model.safetensors", *more]


def unnamed(path: str) -> str:
    """Without the training's own name, as `network_files` has it."""
    return re.sub("early-[0-9a-f]{12}-", "early-#-", path)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.make_images(tmp_path_factory.mktemp("data") / "images")


@pytest.fixture(scope="module")
def done(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An undisturbed build: OUT, with OUT.run beside it. Tests must not change it."""
    out = tmp_path_factory.mktemp("done") / "shards"
    assert augment(data, out) == 0
    return out


@pytest.fixture
def copy(done: Path, tmp_path: Path) -> Path:
    """A copy of that build, to be changed: OUT, with OUT.run beside it."""
    for part in ("shards", "shards.run"):
        shutil.copytree(done.with_name(part), tmp_path / part)
    return tmp_path / "shards"


@pytest.fixture(scope="module")
def learnt(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run up to its training, of the options of `done`, to be copied."""
    out = tmp_path_factory.mktemp("learnt") / "shards"
    assert augment(data, out, "--until", "train") == 0
    return out.with_name("shards.run")


def test_it_leaves_exactly_these_files(done: Path) -> None:
    stems = [f"real-{i:06d}" for i in range(3)] + [f"aug-{i:06d}" for i in range(6)]
    parts = [f"{stem}.{end}" for stem in stems for end in ("json", "parquet", "tar")]
    fixed = [".scoremix-run.json", "README.md", "SHA256SUMS", "croissant.json", "index.json"]
    fixed += ["manifest.parquet", "plan.parquet"]
    assert sorted(os.listdir(done)) == sorted(parts + fixed)
    run = done.with_name("shards.run")
    files = (str(path.relative_to(run)) for path in run.rglob("*") if path.is_file())
    found = sorted(map(unnamed, files))
    assert found == [
        ".scoremix/lock",
        ".scoremix/plan.parquet",
        ".scoremix/progress.jsonl",
        ".scoremix/source-files.json",
        ".scoremix/stages.lock.json",
        "corpus/classes.json",
        "corpus/corpus.json",
        "corpus/images.npy",
        "corpus/reference.npy",
        "corpus/sources.parquet",
        "report/contact-sheet.png",
        "report/index.html",
        "report/lambda-strips.png",
        "report/metrics.json",
        "report/verdict.txt",
        *(f"score-net/{name}" for name in network_files("train.jsonl")),
        "stages.lock.json",
        "stages.yaml",
    ]
    assert not list(done.parent.glob(".*"))


def test_the_network_says_how_many_threads_trained_it(done: Path) -> None:
    """A sum over threads comes out in another order: with another number, another network."""
    facts = json.loads((done.with_name("shards.run") / "score-net" / "model.json").read_bytes())
    assert facts["training"]["threads"] == [torch.get_num_threads()]
    state = TrainingProgress("x", threads=[2])
    state.note_threads(), state.note_threads()
    assert state.threads == [2, torch.get_num_threads()]  # it went on elsewhere


def test_every_sample_is_readable_and_is_what_the_manifest_says(done: Path) -> None:
    import hashlib
    import tarfile

    manifest = pq.read_table(done / "manifest.parquet").to_pylist()
    sources = pq.read_table(done.with_name("shards.run") / "corpus" / "sources.parquet")
    files = {row["key"]: row for row in sources.to_pylist() if row["key"]}
    images = np.load(done.with_name("shards.run") / "corpus" / "images.npy")
    assert len(manifest) == 16 * 3
    for row in manifest:
        with tarfile.open(done / f"{row['shard']}.tar") as tar:
            image = tar.extractfile(f"{row['key']}.png")
            sample = tar.extractfile(f"{row['key']}.json")
            label = tar.extractfile(f"{row['key']}.cls")
            assert image and sample and label
            data, fields = image.read(), json.load(sample)
            assert int(label.read()) == row["class_id"] == files[row["source_1"]]["class_id"]
        pixels = np.asarray(Image.open(io.BytesIO(data)))
        assert hashlib.sha256(pixels.tobytes()).hexdigest() == row["pixel_sha256"]
        assert fields["lambda"] == row["lambda"] and fields["source_2"] == row["source_2"]
        assert files[row["source_1"]]["class_id"] == files[row["source_2"]]["class_id"]
        assert row["source_1_sha256"] == files[row["source_1"]]["sha256"]
        if row["kind"] == "real":
            assert np.array_equal(pixels, images[row["row_1"]])
        else:
            assert row["source_1"] != row["source_2"]
            assert row["norm_minimised"] < row["norm_mixup"] * 1.5


def test_webdataset_and_datasets_read_all_of_it(
    done: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import webdataset as wds

    keys = set(pq.read_table(done / "manifest.parquet")["key"].to_pylist())
    urls = sorted(str(path) for path in done.glob("*.tar"))
    stream = wds.WebDataset(urls, shardshuffle=False).decode("pil")
    seen = {sample["__key__"]: sample for sample in stream}
    assert set(seen) == keys
    assert all(sample["png"].size == (8, 8) for sample in seen.values())
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    datasets = pytest.importorskip("datasets")
    loaded = datasets.load_dataset(str(done), split="train", cache_dir=str(tmp_path))
    assert set(loaded["__key__"]) == keys
    for sample in loaded:
        assert sample["cls"] == seen[sample["__key__"]]["cls"]
        assert sample["json"] == seen[sample["__key__"]]["json"]


def test_a_second_run_does_nothing_and_says_so(
    done: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.stat().st_mtime_ns for path in done.rglob("*")}
    assert augment(data, done) == 0
    assert "Nothing to do" in capsys.readouterr().out
    assert before == {path: path.stat().st_mtime_ns for path in done.rglob("*")}


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(
    done: Path, data: Path, tmp_path: Path
) -> None:
    assert augment(data, tmp_path / "again", *SHARDS) == 0
    assert tiny.digests(tmp_path / "again") == tiny.digests(done)
    assert augment(data, tmp_path / "other", *SHARDS, seed=1) == 0
    first, second = (tiny.digests(path) for path in (done, tmp_path / "other"))
    same = {name for name in first if first[name] == second[name]}
    assert not {name for name in same if name.endswith((".tar", ".parquet"))}


def test_a_higher_ratio_makes_only_the_new_rounds(
    data: Path, copy: Path, learnt: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, direct = copy, tmp_path / "direct"
    before = {path.name: path.stat().st_ino for path in out.glob("*.tar")}
    assert augment(data, out, *SHARDS, generate__ratio=4) == 0
    after = {path.name: path.stat().st_ino for path in out.glob("*.tar")}
    assert len(before) == 3 * 3 and len(after) == 3 * 5
    assert before.items() <= after.items()  # the same files, not equal ones made again
    shutil.copytree(learnt, tmp_path / "direct.run")
    assert augment(data, direct, *SHARDS, generate__ratio=4) == 0
    assert tiny.digests(out) == tiny.digests(direct)
    # A lower ratio than was made is refused: nothing finished is deleted, and the run stays whole.
    said = (tmp_path / "shards.run" / "stages.yaml").read_bytes()
    for words in ([], ["--dry-run"]):
        capsys.readouterr()
        assert augment(data, out, *words, generate__ratio=3) == 2
        assert "holds finished rounds up to 4" in capsys.readouterr().err
    assert (tmp_path / "shards.run" / "stages.yaml").read_bytes() == said
    assert tiny.digests(out) == tiny.digests(direct)
    (out / "aug-000000.tar").unlink()
    assert cli("repair", out, "--quiet") == 0
    assert tiny.digests(out) == tiny.digests(direct)
    # Shards of another recipe are of no use and make way.
    assert augment(data, out, *SHARDS, generate__ratio=1, generate__t0=0.3) == 0
    assert len(list(out.glob("*.tar"))) == 3 * 2


SHARD_POINTS = ["tar-written:2", "tar-renamed:4", "parquet-renamed:5", "marker-renamed:9"]
POINTS = [*SHARD_POINTS, "manifest", "sums"]


@pytest.mark.parametrize(
    "point", tiny.mostly_in_faults(POINTS, ["tar-written:2", "marker-renamed:9", "sums"])
)
def test_killed_at_a_point_of_the_commit_and_resumed(
    point: str, done: Path, learnt: Path, data: Path, tmp_path: Path
) -> None:
    out = tmp_path / "shards"
    shutil.copytree(learnt, tmp_path / "shards.run")
    arguments = ["augment", "--data", data, "--out", out, "--quiet", *tiny.options(), *SHARDS]
    killed = tiny.command(arguments, SCOREMIX_FAULT=f"kill:{point}")
    assert killed.returncode == -signal.SIGKILL
    if point != "sums":
        assert cli("verify", out) == 3
    assert augment(data, out, *SHARDS) == 0
    assert tiny.digests(out) == tiny.digests(done)
    assert not list(tmp_path.glob(".shards*"))


@pytest.mark.slow
@pytest.mark.faults  # test_disturbed.py has a few such kills in the default run
def test_killed_in_the_middle_of_generation(data: Path, tmp_path: Path) -> None:
    slow = tiny.options(generate__steps=10, generate__ratio=4)
    arguments = ["augment", "--data", str(data), "--quiet", *slow, *SHARDS]
    whole = tiny.command([*arguments, "--out", tmp_path / "whole"])
    assert whole.returncode == 0, whole.stderr
    total = len(list((tmp_path / "whole").glob("*.tar")))
    out = tmp_path / "shards"
    for moment in (0.2, 0.6):  # killed twice on its way
        process = tiny.start([*arguments, "--out", out])
        while len(list(out.glob("*.tar"))) < moment * total and process.poll() is None:
            time.sleep(0.002)
        process.kill()
        assert process.wait(60) == -signal.SIGKILL
    assert tiny.command([*arguments, "--out", out]).returncode == 0
    assert tiny.digests(out) == tiny.digests(tmp_path / "whole")


LONG = tiny.options(train__steps=30, train__checkpoint_every=3)


@pytest.fixture(scope="module")
def long_trained(data: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The weights of an undisturbed training by LONG."""
    root = tmp_path_factory.mktemp("long")
    (root / "stages.yaml").write_text(f"run: run\ningest: {{source: {data}}}\n")
    assert cli("run", root / "stages.yaml", "--until", "train", *LONG, "--quiet") == 0
    return (root / "run" / "score-net" / "model.safetensors").read_bytes()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_training_with_75_and_the_same_command_ends_it(
    number: signal.Signals,
    long_trained: bytes,
    data: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = ["run", tmp_path / "stages.yaml", "--until", "train", *LONG]
    (tmp_path / "stages.yaml").write_text(f"run: stopped\ningest: {{source: {data}}}\n")
    process = tiny.start(arguments)
    log = tmp_path / "stopped" / "score-net" / "train.jsonl"
    while not (log.exists() and log.read_text().count("\n") >= 1) and process.poll() is None:
        time.sleep(0.005)
    process.send_signal(number)
    _, told = process.communicate(timeout=120)
    assert process.returncode == 75, told
    assert "the same command" in told
    step = int(re.findall(r"at step (\d+)", told)[0])
    assert cli("status", tmp_path / "stopped") == 0
    assert f"at step {step} of 30" in capsys.readouterr().out
    assert cli(*arguments, "--quiet") == 0
    weights = tmp_path / "stopped" / "score-net" / "model.safetensors"
    assert weights.read_bytes() == long_trained


@pytest.mark.parametrize(
    "point",
    tiny.mostly_in_faults(
        ["train-step:1", "train-step:5", "best-saved:1", "state-saved:1", "best-saved:3"]
        + ["train-step:8", "state-saved:3", "weights-written"],
        ["train-step:5", "best-saved:1", "state-saved:3", "weights-written"],
    ),
)
def test_killed_while_training_and_resumed(
    point: str, trained: dict[str, str], data: Path, tmp_path: Path
) -> None:
    (tmp_path / "stages.yaml").write_text(f"run: run\ningest: {{source: {data}}}\n")
    arguments = ["run", tmp_path / "stages.yaml", "--until", "train", *TRAINING]
    killed = tiny.command(arguments, SCOREMIX_FAULT=f"kill:{point}")
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert cli(*arguments) == 0
    found = tiny.digests(tmp_path / "run" / "score-net")
    # What took how long differs; weights, averages, moments and the chosen state do not.
    del found["train.jsonl"]
    assert found == trained


TRAINING = tiny.options(train__steps=9, train__checkpoint_every=3)


@pytest.fixture(scope="module")
def trained(data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What an undisturbed training leaves: these files, however many checkpoints there were."""
    root = tmp_path_factory.mktemp("trained")
    (root / "stages.yaml").write_text(f"run: run\ningest: {{source: {data}}}\n")
    assert cli("run", root / "stages.yaml", "--until", "train", *TRAINING) == 0
    found = tiny.digests(root / "run" / "score-net")
    assert sorted(map(unnamed, found)) == network_files("train.jsonl")
    del found["train.jsonl"]
    return found


@pytest.fixture(scope="module")
def cut_off(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run by TRAINING that was killed after step 6, to be copied."""
    root = tmp_path_factory.mktemp("cut") / "off"
    root.mkdir()
    (root / "stages.yaml").write_text(f"run: run\ningest: {{source: {data}}}\n")
    arguments = ["run", root / "stages.yaml", "--until", "train", *TRAINING]
    killed = tiny.command(arguments, SCOREMIX_FAULT="kill:state-saved:2")
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    return root


@pytest.mark.parametrize("point", ["train-step", "best-saved", "state-saved"])
def test_another_training_begun_in_between_leaves_no_trace(
    cut_off: Path, tmp_path: Path, trained: dict[str, str], point: str
) -> None:
    """Options changed, the training killed, options changed back: the first one's weights, with
    its own guide and its own best state."""
    root = shutil.copytree(cut_off, tmp_path / "off")
    arguments = ["run", root / "stages.yaml", "--until", "train", *TRAINING]
    other = [*arguments, "--set", "train.lr=0.01"]
    assert tiny.command(other, SCOREMIX_FAULT=f"kill:{point}").returncode == -signal.SIGKILL
    assert cli(*arguments) == 0
    found = tiny.digests(root / "run" / "score-net")
    del found["train.jsonl"]
    assert found == trained


@pytest.fixture
def fewer(data: Path, tmp_path: Path) -> tuple[list[str | Path], bytes]:
    """The command of a training of four steps, and the weights that it leaves undisturbed."""
    (tmp_path / "stages.yaml").write_text(f"run: run\ningest: {{source: {data}}}\n")
    command: list[str | Path] = ["run", tmp_path / "stages.yaml", "--until", "train", "--quiet"]
    command += tiny.options(train__steps=4)
    assert cli(*command, "--set", f"run={tmp_path / 'direct'}") == 0
    return command, (tmp_path / "direct" / "score-net" / "model.safetensors").read_bytes()


def test_a_best_state_beyond_the_steps_asked_for_starts_again(
    fewer: tuple[list[str | Path], bytes], tmp_path: Path
) -> None:
    command, direct = fewer
    longer = [*command, "--set", "train.steps=6"]
    killed = tiny.command(longer, SCOREMIX_FAULT="kill:best-saved:2")
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert cli(*command) == 0
    assert (tmp_path / "run" / "score-net" / "model.safetensors").read_bytes() == direct


@pytest.mark.parametrize("network", ["refinenet", "unet"])
def test_training_longer_goes_on_from_where_it_was(
    network: str, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "stages.yaml").write_text(f"run: run\ningest: {{source: {data}}}\n")
    arguments = ["run", tmp_path / "stages.yaml", "--until", "train"]
    options = partial(tiny.options, train__network=network)
    assert cli(*arguments, *options(train__steps=3)) == 0
    assert cli(*arguments, *options(train__steps=5)) == 0
    assert "going on from step 3" in capsys.readouterr().err
    assert cli(*arguments, *options(train__steps=5, run=str(tmp_path / "direct"))) == 0
    models = [tmp_path / name / "score-net" / "model.safetensors" for name in ("run", "direct")]
    assert models[0].read_bytes() == models[1].read_bytes()


@pytest.mark.slow
def test_two_processes_train_one_network(data: Path, tmp_path: Path) -> None:
    (tmp_path / "stages.yaml").write_text(f"run: run\ningest: {{source: {data}}}\n")
    # Each process leaves out values of its own: without that, they are one process.
    few = {"train__steps": 4, "train__checkpoint_every": 2, "generate__ratio": 1}
    options = tiny.options(**few, **({"train__dropout": 0} if tiny.NETWORK == "unet" else {}))
    arguments = ["run", str(tmp_path / "stages.yaml"), "--device", "cpu", *options]
    with served.program(tmp_path / "scoremix-pipeline") as program:
        launch = ["torch.distributed.run", "--standalone", "--nproc_per_node", "2", "--no-python"]
        done = subprocess.run(
            [sys.executable, "-m", *launch, program, *arguments],
            capture_output=True,
            text=True,
            timeout=300,
        )
    assert done.returncode == 0, done.stderr
    facts = json.loads((tmp_path / "run" / "score-net" / "model.json").read_text())
    assert facts["training"]["world_size"] == 2 and facts["training"]["steps"] == 4
    assert cli("verify", tmp_path / "run") == 0
    # Another number of processes would begin the training anew: it does not, unasked.
    more = cli(*arguments, "--quiet", "--set", "train.steps=9", "--until", "train")
    assert more == 2
    assert (tmp_path / "run" / "score-net" / "last" / "state.safetensors").exists()
    # Averaged over two halves of the same batches: the same losses, to rounding.
    assert cli(*arguments, "--quiet", "--set", f"run={tmp_path / 'one'}", "--until", "train") == 0
    logs = [tmp_path / name / "score-net" / "train.jsonl" for name in ("run", "one")]
    losses = [[json.loads(line)["loss"] for line in log.read_text().splitlines()] for log in logs]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)
    # Both made shards, and the bytes are those that one process makes with that network.
    shards = tmp_path / "run" / "shards"
    made = tiny.digests(shards)
    assert all(f"worker {rank}/2 made" in done.stderr for rank in (0, 1))
    for path in shards.iterdir():
        path.unlink()
    assert cli(*arguments, "--quiet", *SHARDS) == 0
    assert tiny.digests(shards) == made


def test_a_loss_that_is_not_finite_stops_before_the_update(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "shards"
    assert augment(data, out, train__lr=1e30) == 1
    told = capsys.readouterr().err
    assert "The loss at step 1" in told and "not updated" in told
    assert not (tmp_path / "shards.run" / "score-net" / "model.json").exists()
    assert not out.exists()


@pytest.mark.parametrize("stage", ["ingest", "evaluate"])
def test_a_request_to_stop_is_heard_in_every_stage(
    stage: str, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from scoremix.pipeline.progress import ProgressReporter

    task = ProgressReporter.task

    def asks(self: ProgressReporter, name: str, total: int, unit: str):  # type: ignore[no-untyped-def]
        if name == stage:
            os.kill(os.getpid(), signal.SIGTERM)
        return task(self, name, total, unit)

    out = tmp_path / "shards"
    with monkeypatch.context() as patched:
        patched.setattr(ProgressReporter, "task", asks)
        assert augment(data, out, generate__method="mixup") == 75
    assert not (tmp_path / "shards.run" / "report" / "metrics.json").exists()
    assert augment(data, out, generate__method="mixup") == 0


def test_fewer_steps_than_trained_start_again(
    fewer: tuple[list[str | Path], bytes], learnt: Path, tmp_path: Path
) -> None:
    command, direct = fewer
    shutil.copytree(learnt, tmp_path / "run")
    assert cli(*command) == 0
    assert (tmp_path / "run" / "score-net" / "model.safetensors").read_bytes() == direct


def test_an_untrained_network_is_offered_as_a_control(data: Path, tmp_path: Path) -> None:
    assert augment(data, tmp_path / "shards", train__steps=0, generate__ratio=1) == 0
    facts = json.loads((tmp_path / "shards.run" / "score-net" / "model.json").read_text())
    assert facts["training"]["steps"] == 0


@pytest.mark.parametrize(
    "options",
    [
        {"train__levels": "uniform"},
        {"train__levels": "focus", "train__focus_t0": 0.3},
        {"train__network": "unet", "train__levels": "lognormal"},
    ],
    ids=["uniform", "focus_t0", "lognormal"],
)
def test_generations_t0_is_free_of_training(
    options: dict[str, str | float], data: Path, tmp_path: Path
) -> None:
    out = tmp_path / "shards"
    weights = tmp_path / "shards.run" / "score-net" / "model.safetensors"
    brief = {**BRIEF, "generate__ratio": 1, **options}
    assert augment(data, out, "--until", "train", **brief) == 0
    before = weights.stat().st_mtime_ns
    assert augment(data, out, *SHARDS, **brief, generate__t0=0.2) == 0
    assert weights.stat().st_mtime_ns == before
    assert cli("verify", out) == 0


def test_t0_is_what_training_focuses_on_unless_another_is_named(data: Path, tmp_path: Path) -> None:
    """So a network can be kept by naming the t0 that it was trained for."""
    out = tmp_path / "shards"
    weights = tmp_path / "shards.run" / "score-net" / "model.safetensors"
    focus = partial(augment, data, out, "--until", "train", train__levels="focus", **BRIEF)
    assert focus(generate__t0=0.3) == 0
    before = weights.read_bytes()
    assert focus(generate__t0=0.2, train__focus_t0=0.3) == 0
    assert weights.read_bytes() == before
    assert focus(generate__t0=0.2) == 0
    assert weights.read_bytes() != before


@pytest.mark.skipif(tiny.NETWORK != "unet", reason="the RefineNet has no classes")
def test_a_network_is_class_conditional_if_asked(
    data: Path, done: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labelled = {"train__labels": True, "generate__ratio": 1, **BRIEF}
    for name in ("one", "two"):
        assert augment(data, tmp_path / name, *SHARDS, **labelled) == 0
    assert tiny.digests(tmp_path / "one") == tiny.digests(tmp_path / "two")
    run = tmp_path / "one.run"
    assert (
        json.loads((run / "score-net" / "model.json").read_text())["architecture"]["classes"] == 2
    )
    first = "aug-000000.tar"
    assert (tmp_path / "one" / first).read_bytes() != (done / first).read_bytes()
    # A shard that is lost is made again, by its classes.
    before = (tmp_path / "one" / first).read_bytes()
    (tmp_path / "one" / first).unlink()
    assert cli("repair", tmp_path / "one") == 0
    assert (tmp_path / "one" / first).read_bytes() == before
    # So is a guide that is lost, with the training that left it.
    (run / "score-net" / "guide.safetensors").unlink()
    assert augment(data, tmp_path / "one", *SHARDS, **labelled) == 0
    assert (run / "score-net" / "guide.safetensors").exists()
    assert (tmp_path / "one" / first).read_bytes() == before
    capsys.readouterr()
    assert augment(data, tmp_path / "none", **labelled, ingest__classes="none") == 2
    assert "train.labels is true, and the images have no classes" in capsys.readouterr().err


def test_the_command_that_a_verdict_quotes_works_on_the_same_corpus(
    done: Path, data: Path, tmp_path: Path
) -> None:
    """`run RUN/stages.yaml --set ...` after `augment --out OUT` goes on in OUT, also if moved."""
    for part in ("shards", "shards.run"):
        shutil.copytree(done.with_name(part), tmp_path / "here" / part)
    assert augment(data, tmp_path / "here" / "shards", *SHARDS) == 0
    (tmp_path / "here").rename(tmp_path / "there")
    run, shards = tmp_path / "there" / "shards.run", tmp_path / "there" / "shards"
    before = tiny.digests(shards)
    assert cli("run", run / "stages.yaml", "--set", "train.steps=9", "--quiet", *SHARDS) == 0
    assert not (tmp_path / "here").exists() and not (run / "shards").exists()
    after = tiny.digests(shards)
    assert after.keys() == before.keys() and after != before
    assert cli("verify", run) == 0


def test_weights_that_are_not_the_models_are_refused(
    data: Path, copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = tmp_path / "shards.run" / "score-net" / "model.safetensors"
    changed = bytearray(weights.read_bytes())
    changed[-1] ^= 1
    weights.write_bytes(changed)
    assert augment(data, copy) == 1
    assert "model.json was written for" in capsys.readouterr().err


def test_files_of_others_are_never_touched(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "shards"
    out.mkdir()
    (out / "README.md").write_text("mine")
    assert augment(data, out, generate__method="mixup") == 2
    assert "README.md" in capsys.readouterr().err
    assert (out / "README.md").read_text() == "mine" and len(list(out.iterdir())) == 1
    assert not (tmp_path / "shards.run").exists()


def test_an_output_inside_the_source_is_refused_before_anything_is_made(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(data.rglob("*"))
    assert augment(data, data / "shards") == 2
    assert "inside ingest.source" in capsys.readouterr().err
    assert sorted(data.rglob("*")) == before


def test_a_file_that_is_no_image_changes_nothing_downstream(
    data: Path, copy: Path, tmp_path: Path
) -> None:
    images = shutil.copytree(data, tmp_path / "images")
    out, weights = copy, tmp_path / "shards.run" / "score-net" / "model.json"
    assert augment(images, out, *SHARDS) == 0
    before, trained = tiny.digests(out), weights.stat().st_mtime_ns
    (images / ".DS_Store").write_text("z")
    assert augment(images, out, *SHARDS) == 0
    assert weights.stat().st_mtime_ns == trained
    after = tiny.digests(out)
    assert {name for name in before if before[name] != after[name]} <= {"README.md", "index.json"}


def test_changed_pixels_are_found_before_work_is_based_on_them(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, images = tmp_path / "shards", tmp_path / "shards.run" / "corpus" / "images.npy"
    assert augment(data, out, *SHARDS, generate__method="mixup", generate__ratio=1) == 0
    whole = images.read_bytes()
    images.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert augment(data, out, generate__method="mixup", generate__ratio=2) == 3
    assert "images.npy was changed" in capsys.readouterr().err
    images.unlink()  # a corpus that is gone is simply read again
    assert augment(data, out, *SHARDS, generate__method="mixup", generate__ratio=2) == 0
    assert images.read_bytes() == whole


def test_a_lone_class_is_named_before_training(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos = tiny.make_images(tmp_path / "photos")
    (photos / "lonely").mkdir()
    (photos / "left" / "000.png").rename(photos / "lonely" / "one.png")
    assert augment(photos, tmp_path / "shards") == 2
    assert "lonely" in capsys.readouterr().err
    assert not (tmp_path / "shards.run" / "score-net").exists()
    brief = {**BRIEF, "generate__ratio": 1, "generate__lone_class": "self"}
    assert augment(photos, tmp_path / "shards", *SHARDS, **brief) == 0


@pytest.mark.parametrize(
    "name", ["index.json", "README.md", "croissant.json", "plan.parquet", "manifest.parquet"]
)
def test_a_published_file_that_is_gone_or_changed_is_made_again(
    name: str, done: Path, data: Path, copy: Path
) -> None:
    out = copy
    (out / name).unlink()
    assert augment(data, out, *SHARDS) == 0
    assert tiny.digests(out) == tiny.digests(done)
    (out / name).write_bytes(b"damaged")
    assert augment(data, out, *SHARDS) == 0
    assert tiny.digests(out) == tiny.digests(done)


def test_a_refused_evaluation_leaves_the_runs_config(done: Path) -> None:
    saved = done.with_name("shards.run") / "stages.yaml"
    before = saved.read_bytes()
    assert cli("evaluate", saved.parent, "--set", "train.steps=7", "--quiet") == 2
    assert cli("evaluate", saved.parent, "--features", "nowhere.pt", "--quiet") == 2
    assert saved.read_bytes() == before


def test_mixup_trains_nothing_and_says_that_it_is_mixup(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "shards"
    assert augment(data, out, generate__method="mixup") == 0
    assert not (tmp_path / "shards.run" / "score-net").exists()
    assert "verdict" in capsys.readouterr().out
    manifest = pq.read_table(out / "manifest.parquet")
    assert manifest["norm_final"].null_count == manifest.num_rows
    images = np.load(tmp_path / "shards.run" / "corpus" / "images.npy").astype(np.float64)
    row = manifest.filter(np.array(manifest["round"]) == 1).to_pylist()[0]
    expected = row["lambda"] * images[row["row_1"]] + (1 - row["lambda"]) * images[row["row_2"]]
    from scoremix.manifests.published.inspect import PublishedCorpus

    found = np.asarray(Image.open(io.BytesIO(PublishedCorpus(out).image_bytes(row["key"]))))
    assert np.abs(found - expected).max() <= 0.51
    assert cli("verify", out) == 0


@pytest.mark.parametrize("method", ["mixup", "cutmix", "fmix"])
def test_pairing_any_gives_soft_labels_and_no_class_files(
    method: str, data: Path, tmp_path: Path
) -> None:
    import tarfile

    from scoremix.manifests.published.inspect import PublishedCorpus

    out = tmp_path / "shards"
    assert augment(data, out, *SHARDS, generate__pairing="any", generate__method=method) == 0
    with tarfile.open(out / "aug-000000.tar") as tar:
        names = tar.getnames()
    assert not [name for name in names if name.endswith(".cls")]
    images = np.load(tmp_path / "shards.run" / "corpus" / "images.npy")

    def decoded(key: str) -> np.ndarray:  # type: ignore[type-arg]
        return np.asarray(Image.open(io.BytesIO(PublishedCorpus(out).image_bytes(key))))

    for row in pq.read_table(out / "manifest.parquet").to_pylist():
        assert len(row["soft_label"]) == 2 and sum(row["soft_label"]) == pytest.approx(1.0)
        if row["kind"] == "augmented" and method != "mixup":
            of_first = (decoded(row["key"]) == images[row["row_1"]]).all(axis=-1).mean()
            assert of_first == pytest.approx(row["lambda"])  # pixels are random: none is both's
            assert max(row["soft_label"]) >= max(of_first, 1 - of_first) - 1e-6


def test_a_second_launch_says_who_holds_the_run(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from scoremix.manifests.files.lock import run_lock

    with run_lock(tmp_path / "shards.run"):
        assert augment(data, tmp_path / "shards") == 5
    told = capsys.readouterr().err
    assert str(os.getpid()) in told


def test_one_changed_byte_exits_3_and_names_the_file(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "shards"
    few = {"generate__method": "mixup", "generate__ratio": 1, "write__shard_size": 16}
    assert augment(data, copy, *SHARDS, **few) == 0
    names = sorted(os.listdir(copy))
    assert cli("verify", copy) == 0 and len(names) == 2 * 3 + 7
    for name in names:
        whole = (copy / name).read_bytes()
        changed = bytearray(whole)
        changed[len(whole) // 2] ^= 1
        (copy / name).write_bytes(changed)
        assert cli("verify", copy) == 3
        assert name in capsys.readouterr().out
        (copy / name).write_bytes(whole)
    assert cli("verify", copy) == 0


def test_a_damaged_shard_that_is_removed_is_made_again_alone(
    done: Path, data: Path, copy: Path
) -> None:
    out = copy
    kept = {path.name: path.stat().st_ino for path in out.glob("*.tar")}
    for end in ("tar", "parquet", "json"):
        (out / f"aug-000003.{end}").unlink()
    assert augment(data, out, *SHARDS) == 0
    assert tiny.digests(out) == tiny.digests(done)
    now = {path.name: path.stat().st_ino for path in out.glob("*.tar")}
    assert {name for name in kept if kept[name] != now[name]} <= {"aug-000003.tar"}


def test_evaluate_and_status_and_inspect(
    done: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    run = done.with_name("shards.run")
    assert cli("status", run) == 0
    told = capsys.readouterr().out
    assert "train:    done, 6 steps" in told and "write:    done, 9 of 9 shards" in told
    assert cli("evaluate", run, "--features", "pixels", "--quiet") == 0
    capsys.readouterr()
    assert cli("inspect", done, "--json") == 0
    assert json.loads(capsys.readouterr().out)["ratio"] == 2
    image = tmp_path / "one.png"
    assert cli("inspect", run, "000003-002", "--json", "--image", image) == 0
    assert json.loads(capsys.readouterr().out)["sample"]["source_1"] == "000003"
    assert Image.open(image).size == (8, 8)
    assert cli("inspect", done, "999999") == 2
    assert "999999" in capsys.readouterr().err


def test_metrics_hold_every_band_and_step(done: Path) -> None:
    metrics = json.loads((done.with_name("shards.run") / "report" / "metrics.json").read_text())
    assert [band["lambda"] for band in metrics["bands"]] == ["< .01", ".01-.1", ".1-.3", ".3-.5"]
    assert metrics["reproduced"]["share"] == 1.0
    assert metrics["verdict"]["kind"] == "none"  # four held-out images are too few


def test_dry_run_counts_and_writes_nothing(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert augment(data, tmp_path / "shards", "--dry-run") == 0
    told = capsys.readouterr().out
    assert "16 real + 32 augmented" in told and "9, about" in told and "total:" in told
    assert list(tmp_path.iterdir()) == []


def test_dry_run_tells_whether_the_network_is_kept(
    data: Path, done: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def train_line(*more: str) -> str:
        assert augment(data, done, "--dry-run", *more, seed=0) == 0
        return next(line for line in capsys.readouterr().out.splitlines() if "train:" in line)

    assert train_line() == "train:         up to date, the network is kept"
    assert train_line("--set", "generate.ratio=4") == train_line()
    preset = {"unet": 0.002, "refinenet": 0.001}[tiny.NETWORK]  # of 8 px
    changed = train_line("--set", "train.lr=0.5")
    assert changed.endswith(f"(changed: options.lr {preset} -> 0.5)")
    assert train_line("--set", "train.steps=8").endswith("steps 6 -> 8; it goes on from step 6)")
    assert train_line("--set", "train.steps=3").endswith("steps 6 -> 3)")  # its state is beyond
    another = train_line("--set", "ingest.license=CC0-1.0")
    assert "kept if the same corpus comes out" in another and "about" in another
    assert train_line("--set", "ingest.resolution=16").endswith("another corpus comes out)")


def test_a_dry_run_counts_only_the_shards_that_are_missing(
    data: Path, copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def lines(*more: str) -> dict[str, str]:
        assert augment(data, copy, "--dry-run", *more, seed=0) == 0
        found = (line.split(":", 1) for line in capsys.readouterr().out.splitlines())
        return {name: text.strip() for name, text in found}

    assert augment(data, copy, seed=0) == 0  # a copy evaluates once more
    now = lines()
    assert {now[name] for name in ("ingest", "generate", "write", "evaluate")} == {"up to date"}
    higher = lines("--set", "generate.ratio=4")  # two rounds more, of three shards each
    assert higher["generate"].endswith("(6 of 15 shards left)")
    assert higher["write"].endswith("(6 of 15 shards left)")
    assert higher["evaluate"].startswith("about") and "replaced" not in now | higher
    (copy / "aug-000004.tar").unlink()
    now = lines()
    assert now["generate"].endswith("(1 of 9 shards left)") and "replaced" not in now
    other = lines("--set", "generate.alpha=0.7")  # the real ones stay
    assert other["replaced"] == f"5 shards of other options in {copy}"
    other = lines("--set", "generate.alpha=0.7", "--until", "plan")
    assert "replaced" not in other
    other = lines("--set", "train.lr=0.5")
    assert other["replaced"] == f"up to 8 shards of other options in {copy}"
    assert "left" not in lines("--set", "train.lr=0.5")["generate"]  # all of them


def test_a_damaged_training_state_is_named(
    learnt: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(learnt, tmp_path / "shards.run")
    last = tmp_path / "shards.run" / "score-net" / "last"
    (last / "state.safetensors").write_bytes(b"damaged")
    longer = (data, tmp_path / "shards", "--until", "train")
    assert augment(*longer, train__steps=8) == 1
    told = capsys.readouterr().err
    assert "state.safetensors" in told and f"delete the folder {last}" in told
    shutil.rmtree(last)
    assert augment(*longer, train__steps=8) == 0


def config_errors() -> Iterator[tuple[str, str]]:
    yield "ingest.sorce=x", "did you mean 'source'"
    yield "generte.ratio=3", "did you mean 'generate'"
    yield "generate.ratio=0", "generate.ratio"
    yield "generate.ratio", "section.key=value"
    yield "generate.method=gan", "scoremix"
    yield "ingest.resolution=9", "ingest.resolution"
    yield "train.batch=none_such", "train.batch"
    yield "train.lr=.inf", "train.lr"
    yield "generate.batch=0", "generate.batch"
    yield "generate.keep=all", "generate.keep"
    yield "generate.t0=1.2", "generate.t0"
    yield "train={levels: uniform, focus_t0: 0.3}", "train.focus_t0 is 0.3"


@pytest.mark.parametrize(("override", "told"), list(config_errors()))
def test_config_errors_name_the_place_and_exit_2(
    override: str, told: str, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = cli("augment", "--data", data, "--out", tmp_path / "out", "--set", override)
    assert code == 2
    error = capsys.readouterr().err
    assert told in error and "Traceback" not in error


def test_guidance_without_a_guide_is_refused_before_the_training(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    guided = {"generate__guidance": 1.5, "train__network": "refinenet"}
    assert augment(data, tmp_path / "shards", **guided) == 2
    assert "keeps no guide" in capsys.readouterr().err
    assert not (tmp_path / "shards.run" / "score-net").exists()


@pytest.mark.parametrize("words", [[], ["--dry-run"]])
def test_guidance_by_a_training_too_short_for_a_guide_is_refused_before_it(
    words: list[str], data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    short = {"train__network": "unet", "train__steps": 5, "train__checkpoint_every": 5}
    assert augment(data, tmp_path / "shards", *words, generate__guidance=1.5, **short) == 2
    assert "Set train.checkpoint_every to 1, or" in capsys.readouterr().err
    assert not (tmp_path / "shards.run" / "score-net").exists()


def test_guidance_by_a_network_that_is_its_own_guide_is_refused(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was chosen at the first measurement; versions of before kept the same state for both."""
    monkeypatch.setattr("scoremix.stages.train.train.overall", lambda *_, **__: 1.0)
    first = {"train__network": "unet", "train__steps": 4, "train__checkpoint_every": 2}
    assert augment(data, tmp_path / "shards", "--until", "train", **first) == 0
    facts = json.loads((tmp_path / "shards.run" / "score-net" / "model.json").read_text())
    assert facts["training"]["chosen_step"] == 2 and not facts.get("guide_sha256")
    for words in ([], ["--dry-run"]):
        code = augment(data, tmp_path / "shards", *words, generate__guidance=1.5, **first)
        assert code == 2 and "of step 2, has no guide" in capsys.readouterr().err


def stays_readable_and_makes_no_more(
    data: Path,
    out: Path,
    options: Mapping[str, object],
    why: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A finished corpus by options that are refused now: only a plan for more images is."""
    whole = tiny.digests(out)
    (out / "aug-000000.tar").unlink()
    assert cli("repair", out, "--quiet") == 0 and tiny.digests(out) == whole
    assert cli("status", out.with_suffix(".run")) == 0 and augment(data, out, **options) == 0
    capsys.readouterr()
    assert augment(data, out, **{**options, "generate__ratio": 4}) == 2
    assert why in capsys.readouterr().err and tiny.digests(out) == whole


def test_a_corpus_of_before_whose_guide_was_the_network_itself_stays_readable(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out, run = tmp_path / "shards", tmp_path / "shards.run"
    options = {"train__network": "unet", "train__steps": 2, "train__checkpoint_every": 2}
    options |= {"generate__guidance": 1.5, "generate__ratio": 1}

    def keep(folder: Path, chosen: int, first: int, identity: str) -> None:
        early = folder / "last" / f"early-{identity[:12]}-{first}.safetensors"
        shutil.copy(early, folder / "guide.safetensors")

    with monkeypatch.context() as before:
        before.setattr("scoremix.stages.train.train.keep_guide", keep)
        for name in ("train.check_guide", "plan.check_guide_differs"):
            before.setattr(f"scoremix.pipeline.steps.{name}", lambda *_: None)
        assert augment(data, out, **options) == 0
    facts = json.loads((run / "score-net" / "model.json").read_text())
    assert facts["guide_sha256"] == facts["weights_sha256"]
    stays_readable_and_makes_no_more(data, out, options, "has no guide", capsys)


CHANGING_NOTHING = {
    "renoise": ({"generate__method": "renoise", "generate__denoise": "off"}, "copies of their"),
    "scoremix": (
        {"generate__method": "scoremix", "generate__steps": 0, "generate__denoise": "off"},
        "plain mixup's",
    ),
    "repair_t0": (
        {"generate__method": "fmix", "generate__repair_t0": 0.3, "generate__denoise": "off"},
        "nothing would be repaired",
    ),
    "dropout": ({"train__network": "unet", "train__dropout": 0.001}, "whole 256ths"),
}


@pytest.mark.parametrize("name", CHANGING_NOTHING)
def test_options_that_change_nothing_are_refused_and_what_they_made_stays_readable(
    name: str,
    learnt: Path,
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out, run = tmp_path / "shards", tmp_path / "shards.run"
    options, why = CHANGING_NOTHING[name]
    options = {**options, "generate__ratio": 1}
    for words in ([], ["--dry-run"]):
        assert augment(data, out, *words, **options) == 2
        assert why in capsys.readouterr().err and not (run / "score-net").exists()
    if "train__network" not in options:  # the network is as without them
        shutil.rmtree(run, ignore_errors=True)
        shutil.copytree(learnt, run)
    with monkeypatch.context() as before:  # a version that did not refuse them
        for step in ("train", "plan"):
            where = f"scoremix.pipeline.steps.{step}.check_makes_a_difference"
            before.setattr(where, lambda *_: None)
        assert augment(data, out, **options) == 0
    stays_readable_and_makes_no_more(data, out, options, why, capsys)


def test_bad_files_and_places_are_explained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli("run", "missing.yaml") == 2
    assert "scoremix-pipeline init" in capsys.readouterr().err
    (tmp_path / "list.yaml").write_text("- 1\n")
    assert cli("run", "list.yaml") == 2
    (tmp_path / "broken.yaml").write_text("a: [1\n")
    assert cli("run", "broken.yaml") == 2
    assert cli("augment", "--out", "shards") == 2
    assert "--data" in capsys.readouterr().err
    assert cli("status", tmp_path) == 2
    assert cli("verify", tmp_path / "nothing") == 2
    assert cli("augment", "--data", tmp_path / "nothing", "--out", "shards") == 2
    assert cli("evaluate", tmp_path) == 2


def test_init_writes_a_file_that_loads_and_leaves_an_existing_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from scoremix.pipeline.config import Config, load_config

    target = tmp_path / "stages.yaml"
    assert cli("init", target) == 0
    config = load_config(target, [])
    assert config.ingest.source == "digits" and config.run == str(tmp_path / "runs/digits")
    # Every default that the file shows is the default.
    shown = config.model_copy(update={"run": Config().run, "ingest": Config().ingest})
    assert shown == Config()
    before = target.read_bytes()
    assert cli("init", target) == 2
    assert target.read_bytes() == before


def test_the_resolved_config_is_saved_whole(done: Path) -> None:
    from scoremix.pipeline.config import load_config

    config = load_config(done.with_name("shards.run") / "stages.yaml", [])
    assert config.train.lr and config.train.levels and config.generate.t0
    halves = tiny.NETWORK == "unet" and device_type("cpu") == "cpu-bfloat16"
    assert config.generate.precision == ("bfloat16" if halves else "float32")
    assert config.write.encoder == "pillow"


@pytest.mark.parametrize(
    ("archive", "path", "classes"),
    [("afhq_cat_64_1000.zip", None, 0), ("clothing10_64_all.zip", "train", 10)],
)
def test_real_photographs_go_through(
    archive: str, path: str | None, classes: int, test_data: Path, tmp_path: Path
) -> None:
    chosen = {"ingest__limit": 40} if path is None else {"ingest__per_class": 4}
    out = tmp_path / "shards"
    code = augment(
        test_data / "data" / archive,
        out,
        ingest__path=path,
        ingest__resolution=16,
        ingest__holdout=None,
        ingest__reference_limit=60,
        write__shard_size=40,
        generate__batch=40,
        **BRIEF,
        **chosen,
    )
    assert code == 0
    rows = pq.read_table(out / "manifest.parquet").to_pylist()
    assert len(rows) == 120 and cli("verify", out) == 0
    assert len({row["class_id"] for row in rows} - {-1}) == classes
    labels = {row["key"]: row["class_id"] for row in rows if row["kind"] == "real"}
    assert all(labels[row["source_1"]] == labels[row["source_2"]] for row in rows)
