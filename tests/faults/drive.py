"""Disturbs builds in forked children, and compares what the same command then leaves.

    drive.py FOLDER refuse KINDS ERRNO STEP  every STEP-th write, fsync or rename fails, one each,
                                             the first half a STEP from the start; KINDS: with
                                             commas between
    drive.py FOLDER kill COUNT SEED          SIGKILL at COUNT random moments, one a build
    drive.py FOLDER points                   SIGKILL at every arrival at every named point

Each build is disturbed, looked at, done again undisturbed, and compared file by file with a build
that never was disturbed. Prints a JSON line for each; the last one counts. The parent imports torch
once, so that a build takes a second; for `refuse` it must be preloaded with refuse.c.
"""

import contextlib
import ctypes
import errno
import importlib
import io
import json
import os
import random
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

import forked
import quick_charts  # noqa: F401
import quick_probes  # noqa: F401
import tiny
from earlier import ledger_content

from scoremix.manifests.files import crash_points
from scoremix.manifests.files.atomic import canonical_digest
from scoremix.manifests.published.sums import SUMS
from scoremix.manifests.published.verify import verify
from scoremix.manifests.shards.shard import is_complete, read_marker
from scoremix.pipeline.cli import commands, exit_code

Answer = dict[str, Any]

for name in forked.LATER:
    with contextlib.suppress(ImportError):
        importlib.import_module(name)


def build(work: Path, **longer: object) -> list[str]:
    """The command of a small build of every stage."""
    few = {"train__steps": 4, "train__checkpoint_every": 2, "generate__ratio": 1}
    few |= {"evaluate__rows": 4, "evaluate__sheet_rows": 2, "write__shard_size": 8}
    few |= {"generate__batch": 6, "evaluate__variants": "off"}  # two batches a shard
    places = ["--data", str(work.parent / "images"), "--out", str(work / "shards"), "--quiet"]
    return ["augment", *places, *tiny.options(**{**few, **longer})]


def start(arguments: list[str], before: Callable[[], None], after: Callable[[], Answer]) -> Any:
    """Forks a child that runs the command; gives its process and the pipe of its answer."""
    read, write = os.pipe()
    pid = os.fork()
    if pid:
        os.close(write)
        return pid, read
    told = io.StringIO()
    before()
    try:
        with contextlib.redirect_stderr(told), contextlib.redirect_stdout(io.StringIO()):
            code = exit_code(lambda: commands.main(arguments, standalone_mode=False))
    except BaseException:  # a traceback: what the test is there to find
        code = -1
        told.write(traceback.format_exc())
    answer = {"code": code, "told": told.getvalue()[-2000:], **after()}
    os.write(write, json.dumps(answer).encode())
    os._exit(0)


def finish(started: Any) -> Answer:
    pid, read = started
    with os.fdopen(read, "rb") as pipe:
        answer = pipe.read()
    _, status = os.waitpid(pid, 0)
    return dict(json.loads(answer)) if answer else {"code": -os.WTERMSIG(status), "told": ""}


def undisturbed(arguments: list[str]) -> Answer:
    return finish(start(arguments, lambda: None, dict))


def markers(shards: Path) -> list[Path]:
    return [*shards.glob("real-*.json"), *shards.glob("aug-*.json")]


def invalid(shards: Path) -> list[str]:
    """What bears a final name and is not what it says."""
    found = []
    for path in markers(shards):
        marker = read_marker(shards, path.stem)
        if marker is None or not is_complete(
            shards,
            path.stem,
            rows_digest=marker.rows_digest,
            recipe_digest=marker.recipe_digest,
            thorough=True,
        ):
            found.append(path.name)
    if (shards / SUMS).exists():
        found += [str(problem) for problem in verify(shards)]
    return found


def results(work: Path) -> dict[str, str]:
    """Every file that builds must leave alike, with its sha256; logs tell times. Of ledgers all but
    the run's id and what follows from it."""
    logs = (".jsonl", "/lock", "report/index.html")
    found = {name: digest for name, digest in tiny.digests(work).items() if not name.endswith(logs)}
    for name in found:
        if name.endswith("stages.lock.json"):
            found[name] = canonical_digest(ledger_content(work / name))
    return found


def judged(work: Path, arguments: list[str], whole: dict[str, str], answer: Answer) -> Answer:
    """What the disturbed build left, and what the same command makes of it."""
    shards = work / "shards"
    line = {**answer, "invalid": invalid(shards), "markers": len(markers(shards))}
    again = undisturbed(arguments)
    found = results(work)
    line["differs"] = sorted(
        name for name in whole.keys() | found.keys() if whole.get(name) != found.get(name)
    )
    line["again"] = again["code"]
    if again["code"]:
        line["told"] += f"\n{again['told']}"
    return line


def refuse(work: Path, kinds: str, number: str, step: str) -> Iterator[Answer]:
    shim = ctypes.CDLL(os.environ["LD_PRELOAD"])
    arguments, every = build(work), kinds.split(",")

    def armed(kind: str, n: int) -> Answer:
        def arm() -> None:
            shim.refuse_arm(kind.encode(), n, getattr(errno, number), str(work).encode())

        def disarm() -> Answer:
            counts = {name: shim.refuse_count(name.encode()) for name in every}
            shim.refuse_arm(b"", 0, 0, b"")
            return {"counts": counts}

        return finish(start(arguments, arm, disarm))

    counted = armed("", 0)
    assert counted["code"] == 0, counted
    whole = results(work)
    for kind, count in counted["counts"].items():
        for n in range(max(1, int(step) // 2), count + 1, int(step)):
            shutil.rmtree(work)
            answer = armed(kind, n)
            yield {"kind": kind, "n": n, **judged(work, arguments, whole, answer)}


def kill(work: Path, count: str, seed: str) -> Iterator[Answer]:
    arguments = build(work, generate__steps=4, generate__ratio=2, write__shard_size=4)
    begin = time.monotonic()
    assert undisturbed(arguments)["code"] == 0
    seconds = time.monotonic() - begin
    whole = results(work)
    moments = random.Random(int(seed))
    for n in range(int(count)):
        shutil.rmtree(work)
        moment = moments.uniform(0, seconds)
        started = start(arguments, lambda: None, dict)
        time.sleep(moment)
        os.kill(started[0], signal.SIGKILL)
        answer = finish(started)
        if answer["code"] == 0:  # that build was done by then: the machine has become less busy
            seconds = moment
        line = judged(work, arguments, whole, answer)
        yield {"n": n, "moment": round(moment, 3), "of": round(seconds, 3), **line}


def points(work: Path) -> Iterator[Answer]:
    arguments = build(work)
    assert undisturbed(arguments)["code"] == 0
    whole = results(work)
    for point in (
        crash_points.TRAIN_POINTS + crash_points.SHARD_POINTS + crash_points.PUBLISH_POINTS
    ):
        for arrival in range(1, 100):
            shutil.rmtree(work)
            fault = {"SCOREMIX_FAULT": f"kill:{point}:{arrival}"}
            answer = finish(start(arguments, partial(os.environ.update, fault), dict))
            if answer["code"] == 0:
                break  # there are no more
            yield {"point": point, "n": arrival, **judged(work, arguments, whole, answer)}


def main(folder: Path, mode: str, *how: str) -> None:
    # One name for all: places leave no trace in the shards, but a run's own files have them.
    work = folder / "work"
    shutil.rmtree(work, ignore_errors=True)
    done = 0
    for line in {"refuse": refuse, "kill": kill, "points": points}[mode](work, *how):
        print(json.dumps(line), flush=True)
        done += 1
    print(json.dumps({"builds": done}), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
