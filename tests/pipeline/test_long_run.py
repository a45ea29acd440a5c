"""Runs of more than an hour: their length is printed before they begin, and a terminal asks."""

import io
import signal
import sys
import time
from pathlib import Path

import pytest
import tiny
from in_process import cli

from scoremix.pipeline import long_run


class Terminal(io.StringIO):
    """Standard input of a person who typed these lines."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.make_images(tmp_path_factory.mktemp("images"))


@pytest.fixture
def short_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every run counts as a long one."""
    monkeypatch.setattr(long_run, "LONG", 1e-9)
    monkeypatch.setattr(long_run, "PROBE_SECONDS", 0.0)


def answer(monkeypatch: pytest.MonkeyPatch, *lines: str) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal("".join(f"{line}\n" for line in lines)))
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)


def augment(data: Path, out: Path, *words: str, **changed: object) -> int:
    arguments = ["augment", "--data", str(data), "--out", str(out), "--device", "cpu", "--quiet"]
    arguments += [*words, *tiny.options(**changed)]
    return cli(*arguments)


def test_without_a_terminal_a_long_run_is_announced_and_goes_on(
    data: Path, tmp_path: Path, short_hour: None, capsys: pytest.CaptureFixture[str]
) -> None:
    out, until = tmp_path / "shards", ["--until", "write"]
    places = ["--data", data, "--out", out, "--device", "cpu"]
    assert cli("augment", *places, *until, *tiny.options()) == 0 and (out / "SHA256SUMS").is_file()
    shown = capsys.readouterr()
    line = next(line for line in shown.err.splitlines() if line.startswith("This takes about"))
    assert "train " in line and "generate " in line and "--ratio 1" in line
    assert "evaluate" not in line  # --until write
    assert "This takes" not in shown.out


def test_on_a_terminal_a_long_run_may_be_declined(
    data: Path,
    tmp_path: Path,
    short_hour: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "shards"
    answer(monkeypatch, "n")
    assert augment(data, out) == 75
    shown = capsys.readouterr().err
    assert "This takes about" in shown and "Go on?" in shown and "--yes" in shown
    run = tmp_path / "shards.run"
    assert (run / "corpus" / "corpus.json").is_file() and not (run / "score-net").exists()

    answer(monkeypatch, "y")
    assert augment(data, out, "--until", "write") == 0
    assert "Go on?" in capsys.readouterr().err

    # What is there is not announced again; more images by the same network are.
    answer(monkeypatch)
    assert augment(data, out, "--until", "write") == 0
    assert "This takes" not in capsys.readouterr().err
    answer(monkeypatch, "n")
    assert augment(data, out, "--until", "write", generate__ratio=3) == 75
    shown = capsys.readouterr().err
    assert "generate " in shown and "train " not in shown
    assert not list(out.glob("aug-*7.tar"))
    answer(monkeypatch)
    assert augment(data, out, "--until", "write", "--yes", generate__ratio=4) == 0


def test_a_stopped_training_goes_on_unasked(
    data: Path,
    tmp_path: Path,
    short_hour: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "shards"
    assert augment(data, out, "--until", "train", "--yes") == 0
    capsys.readouterr()
    answer(monkeypatch)  # nobody answers
    assert augment(data, out, "--until", "train", train__steps=9) == 0
    assert "This takes" not in capsys.readouterr().err


def test_a_short_run_says_nothing_and_measuring_changes_no_byte(
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    answer(monkeypatch)
    assert augment(data, tmp_path / "asked", "--until", "write") == 0
    assert "This takes" not in capsys.readouterr().err
    monkeypatch.setattr(long_run, "_is_asked", lambda context: False)
    assert augment(data, tmp_path / "not", "--until", "write") == 0
    assert tiny.digests(tmp_path / "asked") == tiny.digests(tmp_path / "not")


def test_control_c_while_it_is_timed_ends_at_once(
    data: Path,
    tmp_path: Path,
    short_hour: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def probe(*_: object) -> tuple[dict[str, float], dict[str, str]]:
        signal.raise_signal(signal.SIGINT)
        for _ in range(200):  # a handler runs between two instructions
            time.sleep(0.01)
        return {"train": 1.0}, {}

    with monkeypatch.context() as patch:
        patch.setattr(long_run, "probe_stages", probe)
        begin = time.monotonic()
        assert augment(data, tmp_path / "shards") == 75
        assert time.monotonic() - begin < 2.0
    assert "the same command resumes" in capsys.readouterr().err
    assert augment(data, tmp_path / "shards", "--until", "write") == 0
