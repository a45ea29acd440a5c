"""The files under deploy/ do what they say, with stand-ins for what a laptop does not have."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import served
import tiny
import yaml

DEPLOY = Path(__file__).resolve().parents[1] / "deploy"


@pytest.fixture
def bin_(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder at the head of PATH, with the command itself in it."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    with served.program(folder / "scoremix-pipeline"):
        yield folder


def put(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text(f"#!/usr/bin/env bash\n{script}\n")
    (folder / name).chmod(0o755)


@pytest.fixture
def job(tmp_path: Path) -> Path:
    """A folder with images and a stages.yaml of a tiny run."""
    folder = tmp_path / "job"
    folder.mkdir()
    tiny.make_images(folder / "images")
    sections: dict[str, Any] = {"run": "run", "ingest": {"source": "images"}}
    for key, value in tiny.QUICK.items():
        section, name = key.split(".")
        sections.setdefault(section, {})[name] = value
    (folder / "stages.yaml").write_text(yaml.safe_dump(sections))
    return folder


def kubernetes() -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text()))


@pytest.mark.parametrize("version", ["1.33", "1.37"])  # backoffLimitPerIndex is stable since 1.33
def test_the_jobs_are_what_kubernetes_accepts(version: str) -> None:
    validating = pytest.importorskip("kubernetes_validate", reason="kubernetes-validate is missing")
    for document in kubernetes():
        validating.validate(document, version, strict=True)


def test_the_jobs_know_the_exit_codes_and_each_other() -> None:
    leader, workers = kubernetes()
    spec = workers["spec"]
    container = spec["template"]["spec"]["containers"][0]
    environment = {entry["name"]: entry["value"] for entry in container["env"]}
    assert spec["completionMode"] == "Indexed" and spec["backoffLimitPerIndex"] >= 1
    assert environment["SCOREMIX_WORKERS"] == str(spec["completions"])
    lead = leader["spec"]["template"]["spec"]["containers"][0]
    assert container["args"] == [*lead["args"], "--worker", "auto"]
    for document in (leader, workers):
        rules = document["spec"]["podFailurePolicy"]["rules"]
        codes = {rule["action"]: rule["onExitCodes"] for rule in rules if "onExitCodes" in rule}
        assert 75 in codes["Ignore"]["values"] and 6 not in codes["FailJob"]["values"]
        template = document["spec"]["template"]["spec"]
        assert template["containers"][0]["name"] == codes["Ignore"]["containerName"]
        assert template["restartPolicy"] == "Never"
        mounts = {mount["name"] for mount in template["containers"][0]["volumeMounts"]}
        assert mounts == {volume["name"] for volume in template["volumes"]}


def test_slurm_submits_three_jobs_in_order(bin_: Path, job: Path, tmp_path: Path) -> None:
    log = tmp_path / "submitted"
    put(bin_, "sbatch", f'echo "$@" >>"{log}"; echo $((100 + $(wc -l <"{log}")))')
    script = [DEPLOY / "slurm.sh", job / "stages.yaml", "4", "--partition", "gpu"]
    told = subprocess.run(script, capture_output=True, text=True, check=True, env=outside())
    assert told.stdout.strip() == "prepare 101, generate 102 (an array of 4), finish 103"
    prepare, array, finish = log.read_text().splitlines()
    assert prepare.endswith(f"{job / 'stages.yaml'} --until plan") and "--partition gpu" in prepare
    assert "--array 0-3 --dependency afterok:101" in array and array.endswith("--worker auto")
    assert "--dependency afterany:102" in finish and finish.endswith(str(job / "stages.yaml"))
    assert "--signal B:USR1@120" in array and "--requeue" in array


def outside(**more: str) -> dict[str, str]:
    """This environment without a trace of Slurm."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("SLURM_")}
    return kept | more


def test_slurm_jobs_make_the_corpus(bin_: Path, job: Path) -> None:
    script = [DEPLOY / "slurm.sh", job / "stages.yaml"]

    def run(*arguments: str, **slurm: str) -> None:
        environment = outside(SLURM_JOB_ID="101", **slurm)
        done = subprocess.run(
            [*script, *arguments], env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr

    run("--until", "plan")
    array = {"SLURM_ARRAY_TASK_MIN": "0", "SLURM_ARRAY_TASK_COUNT": "2"}
    run("--worker", "auto", SLURM_ARRAY_TASK_ID="1", **array)
    run()
    assert tiny.command(["verify", job / "run"]).returncode == 0
    assert (job / "run" / "report" / "metrics.json").exists()


def test_a_slurm_job_that_is_stopped_goes_back_into_the_queue(
    bin_: Path, job: Path, tmp_path: Path
) -> None:
    put(bin_, "scontrol", f'echo "$@" >"{tmp_path / "requeued"}"')
    script = [DEPLOY / "slurm.sh", job / "stages.yaml", "--until", "train"]
    more = tiny.options(train__steps=100_000, train__checkpoint_every=10)
    task = {"SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "3"}
    process = subprocess.Popen(
        [*script, *more], env=outside(SLURM_JOB_ID="9", **task), stderr=subprocess.PIPE, text=True
    )
    log = job / "run" / "score-net" / "train.jsonl"
    while not log.exists() and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGUSR1)  # to the shell alone, as B: asks
    told = process.communicate(timeout=120)[1]
    assert process.returncode == 75, told
    assert (tmp_path / "requeued").read_text() == "requeue 7_3\n"


def test_containers_on_one_machine_make_the_corpus(bin_: Path, job: Path, tmp_path: Path) -> None:
    log = tmp_path / "engine"
    put(
        bin_,
        "engine",
        f'echo "$@" >>"{log}"\n'
        'while [ "$1" != scoremix:test ]; do [ "$1" = -v ] && folder=${2%%:*}; shift; done\n'
        'shift; cd "$folder"; exec scoremix-pipeline "$@"',
    )
    script = [DEPLOY / "workers.sh", "scoremix:test", "2", job / "stages.yaml"]
    done = subprocess.run(
        script, env=outside(ENGINE="engine"), capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    started = log.read_text().splitlines()
    assert sum("--gpus device=1" in line for line in started) == 1
    assert started[0].endswith("--until plan") and started[-1].endswith("run stages.yaml")
    assert tiny.command(["verify", job / "run"]).returncode == 0


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
@pytest.mark.parametrize("name", sorted(path.name for path in DEPLOY.glob("*.sh")))
def test_the_scripts_pass_shellcheck(name: str) -> None:
    subprocess.run(["shellcheck", DEPLOY / name], check=True)
