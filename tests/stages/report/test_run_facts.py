"""Costs of stages from the log of a run's progress, of this version and of older ones."""

import json
from pathlib import Path
from typing import Any

import pytest

from scoremix.manifests.errors import VerifyError
from scoremix.pipeline.progress import ProgressReporter
from scoremix.stages.report.run_facts import read_config, read_cost


def write(path: Path, lines: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_time_belongs_to_the_stage_that_the_line_names(tmp_path: Path) -> None:
    """Whatever notes say: one that begins with another stage's name changes nothing."""
    log = write(
        tmp_path / "log",
        [
            {"seconds": 1.0, "stage": "ingest", "note": "ingest: not done yet"},
            {"seconds": 3.0, "stage": "train", "note": "network of 3 blocks"},
            {"seconds": 4.0, "stage": "train", "note": "evaluate: later"},
            {"seconds": 9.0, "stage": "write", "task": "generate", "rate": 5.5},
            {"seconds": 10.0, "stage": "write", "note": "finished"},
            {"seconds": 2.0, "stage": "evaluate", "note": "another launch"},
            {"seconds": 2.5, "stage": "evaluate", "note": "finished"},
        ],
    )
    cost = read_cost(log)
    assert cost.seconds == {"ingest": 2.0, "train": 6.0, "write": 1.0, "evaluate": 0.5}
    assert cost.rates == {"generate": 5.5} and cost.joules["train"] == {}


def test_logs_of_older_versions_name_the_stage_in_notes(tmp_path: Path) -> None:
    log = write(
        tmp_path / "log",
        [
            {"seconds": 1.0, "note": "train: not done yet"},
            {"seconds": 3.0, "note": "step 5: loss 0.3"},
            {"seconds": 4.0, "note": "write: not done yet"},
            {"seconds": 6.0, "note": "finished in 6 s"},
        ],
    )
    with log.open("a") as file:
        file.write('{"seconds": 9.0, "no')  # a killed process
    assert read_cost(log).seconds == {"train": 3.0, "write": 2.0}


@pytest.mark.parametrize("stage", [None, "train"])
def test_every_line_of_the_log_names_the_stage(stage: str | None, tmp_path: Path) -> None:
    reporter = ProgressReporter(quiet=True)
    reporter.log, reporter.stage = tmp_path / "log", stage
    reporter.note("halfway")
    assert json.loads(reporter.log.read_text()).get("stage") == stage


def test_energy_is_counted_once_where_lines_lack_it(tmp_path: Path) -> None:
    log = write(
        tmp_path / "log",
        [
            {"seconds": 1.0, "stage": "train", "joules": {"gpu": 10.0}},
            {"seconds": 2.0, "stage": "train", "joules": {"gpu": 30.0, "cpu": 4.0}},
            {"seconds": 3.0, "stage": "train"},
            {"seconds": 4.0, "stage": "write", "joules": {"gpu": 50.0}},
            {"seconds": 5.0, "stage": "write"},
            {"seconds": 6.0, "stage": "write", "joules": {"gpu": 55.0, "cpu": 9.0}},
            {"seconds": 1.0, "stage": "write"},  # another launch
            {"seconds": 2.0, "stage": "write", "joules": {"gpu": 7.0}},
        ],
    )
    cost = read_cost(log)
    assert cost.joules == {"train": {"gpu": 40.0, "cpu": 4.0}, "write": {"gpu": 12.0, "cpu": 5.0}}
    assert cost.seconds == {"train": 3.0, "write": 3.0}


@pytest.mark.parametrize("content", [b"seed: 1 # \xff\n", None])
def test_a_config_that_cannot_be_read_is_named(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "stages.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(VerifyError, match=f"{path} cannot be read"):
        read_config(path)


def test_without_a_log_there_is_no_cost(tmp_path: Path) -> None:
    assert read_cost(tmp_path / "absent").seconds == {}
