"""WAITING: how long a user waits for a typo's error, `--help`, `status`, and after Ctrl-C.

    python benchmarks/waiting.py --before OTHER/CHECKOUT --source photos.zip \
        --out benchmarks/results/waiting

The same of another checkout (`make links` done there), in turn, medians of `--times`. Ctrl-C is
SIGINT to a process without a terminal, a moment after its stage has begun: the time to the next
line that it prints, and to its end.
"""

import argparse
import json
import os
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent.parent
MAIN = "from scoremix.pipeline.cli import main; main()"
SMALL = ["--set", "generate.method=scoremix", "--set", "ingest.limit=300", "--set", "train.steps=1"]
# Stage -> the beginning of the line that announces it, and options that make it long.
STAGES: dict[str, tuple[str, list[str]]] = {
    "ingest": ("ingest: not done", SMALL[:2]),
    "train": ("train: not done", [*SMALL[:4], "--set", "train.steps=100000"]),
    "write": ("write: not done", [*SMALL, "--set", "generate.ratio=100"]),
    "evaluate": ("evaluate: not done", [*SMALL, "--set", "generate.ratio=1"]),
}
AFTER_BEGIN = 0.5  # seconds from the stage's first line to the signal
MOST = 120.0  # seconds that anything may take


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--before", type=Path, required=True)
    parser.add_argument("--source", required=True, help="of ingest, a large one")
    parser.add_argument("--path", help="the folder in it")
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    checkouts = {"before": options.before.resolve(), "now": HERE}
    rows: dict[str, dict[str, list[float]]] = {}
    with tempfile.TemporaryDirectory() as text:
        root = Path(text)
        runs = {name: finished_run(path, root / name) for name, path in checkouts.items()}
        for _ in range(options.times):
            for name, path in checkouts.items():
                for what, words in {
                    "a mistyped command": ["augmnet"],
                    "a mistyped option of stages.yaml": ["augment", "--data", "digits", "--out"]
                    + [str(root / "x"), "--set", "generate.methd=mixup"],
                    "--help": ["--help"],
                    "status of a finished run": ["status", str(runs[name])],
                }.items():
                    note(rows, what, name, seconds_of(path, words))
                for stage in STAGES:
                    answered, ended = interrupted(path, root / "stopped", stage, options)
                    note(rows, f"Ctrl-C in {stage}: the next line", name, answered)
                    note(rows, f"Ctrl-C in {stage}: the end", name, ended)
    save(options.out, rows, options.times)


def note(rows: dict[str, dict[str, list[float]]], what: str, name: str, seconds: float) -> None:
    rows.setdefault(what, {}).setdefault(name, []).append(seconds)
    print(f"{name}: {what}: {seconds:.2f} s", flush=True)


def command(checkout: Path, words: list[str], folder: Path | None = None) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", MAIN, *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(checkout / "build/types"), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def seconds_of(checkout: Path, words: list[str]) -> float:
    begin = time.perf_counter()
    command(checkout, words).communicate(timeout=MOST)
    return time.perf_counter() - begin


def finished_run(checkout: Path, folder: Path) -> Path:
    folder.mkdir()
    words = ["augment", "--data", "digits", "--out", str(folder / "s"), *SMALL]
    process = command(checkout, [*words, "--set", "generate.ratio=1"])
    output, _ = process.communicate(timeout=2 * MOST)
    assert process.returncode == 0, output
    return folder / "s.run"


def interrupted(
    checkout: Path, folder: Path, stage: str, options: argparse.Namespace
) -> tuple[float, float]:
    """Seconds from SIGINT to the next line and to the end; the line counts as the end without."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    announced, changes = STAGES[stage]
    data = options.source if stage == "ingest" else "digits"
    words = ["augment", "--data", data, "--out", str(folder / "s"), *changes]
    if stage == "ingest" and options.path:
        words += ["--set", f"ingest.path={options.path}"]
    process = command(checkout, words, folder)
    lines: list[tuple[float, str]] = []

    def read() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append((time.perf_counter(), line))

    reader = threading.Thread(target=read)
    reader.start()
    give_up = time.perf_counter() + MOST
    while not any(line.startswith(announced) for _, line in lines):
        assert process.poll() is None and time.perf_counter() < give_up, lines
        time.sleep(0.01)
    time.sleep(AFTER_BEGIN)
    assert process.poll() is None, f"{stage} was over before the signal"
    sent = time.perf_counter()
    process.send_signal(signal.SIGINT)
    process.wait(timeout=MOST)
    ended = time.perf_counter() - sent
    reader.join()
    return next((when - sent for when, _ in lines if when > sent), ended), ended


def save(out: Path, rows: dict[str, dict[str, list[float]]], times: int) -> None:
    medians = {
        what: {name: statistics.median(found) for name, found in both.items()}
        for what, both in rows.items()
    }
    lines = [f"Seconds, medians of {times}, in turn.", "", "| | before | now |", "|---|---|---|"]
    lines += [
        f"| {what} | {both['before']:.2f} | {both['now']:.2f} |" for what, both in medians.items()
    ]
    out.parent.mkdir(parents=True, exist_ok=True)
    out.with_suffix(".md").write_text("\n".join(lines) + "\n")
    facts: dict[str, Any] = {"machine": platform.processor(), "times": times, "seconds": rows}
    out.with_suffix(".json").write_text(json.dumps(facts, indent=1) + "\n")


if __name__ == "__main__":
    main()
