"""Progress lines: a rate and the time left once they are known, and what a resumed task had not."""

import io
import json
import re
import time
from pathlib import Path

import pytest
from rich.console import Console

from scoremix.pipeline import progress as progress_module
from scoremix.pipeline.progress import ProgressReporter


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(progress_module, "time", clock)
    return clock


def test_no_time_is_left_to_say_before_anything_is_done(
    clock: Clock, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    reporter = ProgressReporter()
    reporter.log = tmp_path / "log.jsonl"
    with reporter.task("trial", 1_000_000, "images") as advance:
        for seconds, count in ((15, 0), (5, 0), (10, 300), (30, 300)):
            clock.now += seconds
            advance(count)
    assert capsys.readouterr().err.splitlines() == [
        "trial: 0/1,000,000 images",
        "trial: 300/1,000,000 images, 10.0/s, 27 h 46 min left",
        "trial: 600/1,000,000 images, 10.0/s, 27 h 45 min left",
    ]
    lines = [json.loads(line) for line in reporter.log.read_text().splitlines()]
    assert [line["done"] for line in lines] == [300, 600]


def test_a_resumed_task_counts_what_it_does_itself(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    with ProgressReporter().task("train", 1_000, "images") as advance:
        clock.now += 5  # a training may take its time to load what was there
        advance(900, resumed=True)
        clock.now += 5
        advance(0)
        clock.now += 10
        advance(20)
    assert capsys.readouterr().err.splitlines() == [
        "train: 900/1,000 images",
        "train: 920/1,000 images, 1.0/s, 1 min 20 s left",
    ]


def test_a_bar_leaves_out_what_was_there_before(clock: Clock) -> None:
    reporter = ProgressReporter()
    shown = io.StringIO()
    reporter.console = Console(file=shown, force_terminal=True, width=120)
    with reporter.task("train", 1_000, "images") as advance:
        clock.now += 10
        advance(900, resumed=True)
        advance(20)
    assert "920/1000 2 images/s 40 s left" in re.sub(
        r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown.getvalue()
    )


@pytest.mark.parametrize("shown", ["quiet", "terminal", "lines"])
def test_rates_are_logged_however_they_are_shown(
    shown: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`status` reads them from another terminal, and recognition its seconds of sampling."""
    monkeypatch.setattr("scoremix.pipeline.progress._SECONDS_BETWEEN_LINES", 0.0)
    reporter = ProgressReporter(quiet=shown == "quiet")
    if shown == "terminal":
        reporter.console = Console(file=io.StringIO(), force_terminal=True)
    reporter.log = tmp_path / "progress.jsonl"
    with reporter.task("generate", 30, "images") as advance:
        time.sleep(0.02)
        advance(10)
        advance(20)
    lines = [json.loads(line) for line in reporter.log.read_text().splitlines()]
    assert [line["done"] for line in lines] == [10, 30]
    assert {line["task"] for line in lines} == {"generate"} and lines[0]["rate"] > 0
    assert ("generate: 30/30 images" in capsys.readouterr().err) == (shown == "lines")
