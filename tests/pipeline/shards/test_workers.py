"""Many workers on one run: the same bytes, whoever makes what, when, and dies at it."""

import json
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import forked
import numpy as np
import pyarrow as pa
import pytest
import tiny
import torch
from hypothesis import given
from hypothesis import strategies as st
from in_process import cli

from scoremix.manifests.errors import ConfigError
from scoremix.manifests.files.lock import run_lock, shard_lock
from scoremix.models.method.ladder import noise_ladder
from scoremix.models.network.architecture import Architecture, Network
from scoremix.models.network.checkpoint import TrainedNet, build
from scoremix.pipeline.launch import Worker, parse_worker
from scoremix.stages.generate import generate as generating
from scoremix.stages.generate.config import GenerateConfig
from scoremix.stages.generate.recipe import Recipe
from scoremix.stages.write.tasks import ShardTask

WRITE = ("--until", "write")
ROWS = pa.table({"key": ["000000"]})


def stages(data: Path, folder: Path) -> list[str | Path]:
    """The `run` command of a run in `folder`; its shards go to folder/run/shards."""
    folder.mkdir(exist_ok=True)
    (folder / "stages.yaml").write_text(f"run: run\ningest: {{source: {data}}}\n")
    return ["run", folder / "stages.yaml", "--quiet", *tiny.options()]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.make_images(tmp_path_factory.mktemp("data") / "images")


@pytest.fixture(scope="module")
def alone(data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The shards that one undisturbed process leaves: name -> sha256."""
    folder = tmp_path_factory.mktemp("alone")
    assert cli(*stages(data, folder), *WRITE) == 0
    return tiny.digests(folder / "run" / "shards")


@pytest.fixture(scope="module")
def ready(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that is ready for workers, to be copied."""
    folder = tmp_path_factory.mktemp("ready") / "job"
    assert cli(*stages(data, folder), "--until", "plan") == 0
    return folder


@pytest.fixture
def planned(data: Path, ready: Path, tmp_path: Path) -> list[str | Path]:
    """A run that is ready for workers, in tmp_path/job; its command."""
    return stages(data, shutil.copytree(ready, tmp_path / "job"))


def start(command: list[str | Path], worker: str, **environment: str) -> forked.Started:
    return tiny.start([*command, "--worker", worker], **environment)


@given(st.integers(0, 50), st.integers(1, 12))
def test_shares_split_the_work_exactly_once(shards: int, count: int) -> None:
    work = [ShardTask(f"aug-{number:06d}", ROWS, "", "") for number in range(shards)]
    shares = [Worker(index, count).share(work) for index in range(count)]
    assert sorted(item.name for share in shares for item in share) == [item.name for item in work]
    assert max(map(len, shares)) - min(map(len, shares)) <= 1
    for index, share in enumerate(shares):
        order = Worker(index, count).order(work)
        assert order[: len(share)] == share
        assert {item.name for item in order} == {item.name for item in work}
        assert len(order) == len(work)


SLURM = {"SLURM_ARRAY_TASK_ID": "7", "SLURM_ARRAY_TASK_MIN": "5", "SLURM_ARRAY_TASK_COUNT": "4"}


@pytest.mark.parametrize(
    "text, environment, worker",
    [
        ("2/3", {}, Worker(2, 3)),
        ("auto", SLURM, Worker(2, 4)),
        ("auto", SLURM | {"SLURM_ARRAY_TASK_STEP": "2"}, Worker(1, 4)),
        ("auto", {"JOB_COMPLETION_INDEX": "1", "SCOREMIX_WORKERS": "2"}, Worker(1, 2)),
        ("auto", {"RANK": "0", "WORLD_SIZE": "2"}, Worker(0, 2)),
    ],
)
def test_who_a_worker_is(text: str, environment: dict[str, str], worker: Worker) -> None:
    assert parse_worker(text, environment) == worker


@pytest.mark.parametrize(
    "text, environment, told",
    [
        ("3/3", {}, "the last 2/3"),
        ("1", {}, "use I/N"),
        ("-1/3", {}, "use I/N"),
        ("auto", {}, "neither SLURM_ARRAY_TASK_ID"),
        ("auto", {"JOB_COMPLETION_INDEX": "1"}, "SCOREMIX_WORKERS as a number; it is not set"),
        ("auto", {"RANK": "x", "WORLD_SIZE": "2"}, "RANK as a number; it is 'x'"),
    ],
)
def test_who_no_worker_is(text: str, environment: dict[str, str], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        parse_worker(text, environment)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_workers_at_once_leave_the_bytes_of_one(
    count: int, planned: list[str | Path], alone: dict[str, str], tmp_path: Path
) -> None:
    crew = [start(planned, f"{index}/{count}") for index in range(count)]
    printed = [process.communicate()[1] for process in crew]
    assert [process.returncode for process in crew] == [0] * count, printed
    shards = tmp_path / "job" / "run" / "shards"
    assert tiny.digests(shards) == alone
    assert cli("verify", shards) == 0
    assert not list((tmp_path / "job" / "run" / ".scoremix").glob("tmp"))
    # Nothing is made twice, and the leader has only the evaluation left.
    assert cli(*planned, "--worker", "0/1") == 0
    assert cli(*planned, *([] if count == 3 else WRITE)) == 0
    assert tiny.digests(shards) == alone


@pytest.mark.parametrize("point", ["tar-written", "parquet-renamed", "manifest"])
def test_a_killed_workers_shard_is_made_by_another(
    point: str, planned: list[str | Path], alone: dict[str, str], tmp_path: Path
) -> None:
    killed = start(planned, "0/2", SCOREMIX_FAULT=f"kill:{point}")
    killed.communicate()
    assert killed.returncode == -signal.SIGKILL
    assert cli(*planned, "--worker", "1/2") == 0  # started later; finds the lock free
    assert tiny.digests(tmp_path / "job" / "run" / "shards") == alone


def test_a_worker_leaves_others_to_their_shards(
    planned: list[str | Path], alone: dict[str, str], tmp_path: Path
) -> None:
    run = tmp_path / "job" / "run"
    with run_lock(run, shared=True), shard_lock(run, "aug-000001") as mine:
        assert mine
        assert cli(*planned, "--worker", "0/1") == 0
        assert cli("verify", run / "shards") == 3
        assert not (run / "shards" / "aug-000001.tar").exists()
    assert cli(*planned, "--worker", "0/1") == 0
    assert tiny.digests(run / "shards") == alone


def test_workers_join_a_run_that_is_writing(
    planned: list[str | Path], alone: dict[str, str], tmp_path: Path
) -> None:
    run = tmp_path / "job" / "run"
    with shard_lock(run, "real-000000"):  # keeps the leader in its step `write`
        leader = tiny.start(planned)
        while len(list((run / "shards").glob("*.json"))) < 2 and leader.poll() is None:
            time.sleep(0.02)
        assert cli(*planned, "--worker", "1/2") == 0
        assert cli(*planned) == 5  # a second leader is not welcome
        assert leader.poll() is None
    assert leader.wait(300) == 0, leader.communicate()[1]
    assert tiny.digests(run / "shards") == alone


def test_a_worker_without_a_plan_says_what_to_run_first(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = stages(data, tmp_path / "job")
    assert cli(*command, "--worker", "0/2") == 75
    assert "--until plan" in capsys.readouterr().err
    assert cli(*command, "--until", "ingest") == 0
    assert cli(*command, "--worker", "0/2") == 75
    assert "train of" in capsys.readouterr().err
    assert cli(*command, "--until", "plan") == 0
    with run_lock(tmp_path / "job" / "run"):
        assert cli(*command, "--worker", "0/2") == 75
    assert "Workers can join" in capsys.readouterr().err
    assert cli(*command, "--worker", "0/2", "--set", "generate.ratio=3") == 2
    assert "ratio 2 -> 3" in capsys.readouterr().err


def test_another_environment_is_refused_or_recorded(
    planned: list[str | Path],
    alone: dict[str, str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = tmp_path / "job" / "run"
    ledger = json.loads((run / "stages.lock.json").read_text())
    del ledger["digest"]  # else the change is taken for damage
    ledger["stages"]["plan"]["outcome"]["environment"]["torch"] = "2.11.0"
    (run / "stages.lock.json").write_text(json.dumps(ledger))
    for worker in ([], ["--worker", "0/1"]):
        assert cli(*planned, *worker) == 2
        told = capsys.readouterr().err
        assert "torch 2.11.0 -> " in told and "--accept-environment" in told
    assert not list((run / "shards").glob("*.json"))
    assert cli(*planned, "--accept-environment", *WRITE) == 0
    assert tiny.digests(run / "shards") == alone  # it is the same one, after all
    # What is finished is not asked for its environment again.
    assert cli(*planned, *WRITE) == 0


@pytest.mark.parametrize("network", ["refinenet", "unet"])
def test_images_do_not_depend_on_the_number_of_threads(network: Network) -> None:
    net = build(Architecture(3, 32, width=8, network=network), noise_ladder(4.0))
    trained = TrainedNet(net, 4.0, 0.01, {})
    images = np.random.default_rng(0).integers(0, 256, (7, 32, 32, 3), dtype=np.uint8)
    plan = pa.table(
        {
            "key": [f"{row:06d}-001" for row in range(7)],
            "kind": ["augmented"] * 7,
            "row_1": list(range(7)),
            "row_2": [6 - row for row in range(7)],
            "lambda": [0.3] * 7,
            "class_id": [-1] * 7,
            "seed": list(range(7)),
        }
    )
    config = GenerateConfig(
        method="scoremix", steps=2, lr=0.01, t0=0.3, denoise_steps=3, noise_rule="ancestral"
    )
    config = config.model_copy(update={"batch": 3, "precision": "float32"})
    model = {"weights_sha256": "", "ladder": {"sigma_1": 4.0, "sigma_N": 0.01}}

    def made(threads: int) -> tuple[bytes, bytes]:
        torch.set_num_threads(threads)
        recipe = Recipe.from_config(config, model, "")
        batches = list(
            generating.generate(plan, images, recipe, trained, device=torch.device("cpu"))
        )
        assert torch.get_num_threads() == threads
        norms = [batch.norms.tobytes() for batch in batches if batch.norms is not None]
        return b"".join(batch.final.tobytes() for batch in batches), b"".join(norms)

    before = torch.get_num_threads()
    try:
        one, *others = (made(threads) for threads in (1, 2, 3))
    finally:
        torch.set_num_threads(before)
    assert others == [one, one] and all(one)


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--set", "generate.ratio=3"], "other options"),
        (["--until", "plan"], "makes shards alone"),
        (["--dry-run"], "Leave out --worker"),
    ],
)
def test_what_a_worker_cannot_be_asked(
    more: list[str], told: str, planned: list[str | Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli(*planned, *more, "--worker", "0/2") == 2
    assert told in capsys.readouterr().err
    assert not list((Path(planned[1]).parent / "run").glob("shards/*.tar"))


def test_two_runs_of_one_moment_do_not_share_an_out(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "shards"
    quick = tiny.options(generate__method="mixup")
    words = ["augment", "--data", data, "--out", out, "--quiet", *quick]
    both = [[*words, "--run", tmp_path / name] for name in ("first", "second")]
    for command in both:
        assert cli(*command, "--until", "plan") == 0
    crew = [start(command, "0/1") for command in both]
    printed = [process.communicate()[1] for process in crew]
    assert sorted(process.returncode for process in crew) == [0, 2], printed
    assert "did not make" in "".join(printed)
    assert cli("verify", out) == 0


@pytest.fixture(autouse=True)
def _no_terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("RANK", "WORLD_SIZE", "SLURM_ARRAY_TASK_ID", "JOB_COMPLETION_INDEX"):
        monkeypatch.delenv(name, raising=False)
    yield
