"""Every command, on a disk that loses whatever was not synced: nothing counts before it is safe."""

import contextlib
import functools
import http.server
import json
import os
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import durability
import numpy as np
import pytest
import tiny
import torch
from PIL import Image
from preload import compiled

from scoremix.pipeline.cli import commands as known_commands

HERE = Path(__file__).resolve().parent
# Serves files and writes none of its own; or reads alone.
READING = {"mount", "verify", "status", "check", "push"}  # or write elsewhere


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """trace.c, compiled."""
    return compiled(HERE / "trace.c", tmp_path_factory.mktemp("shim"), "record")


def make_images(folder: Path) -> None:
    """As many as a trial needs: 60 are held out."""
    random = np.random.default_rng(5)
    for name in ("left", "right"):
        (folder / name).mkdir(parents=True)
        for index in range(75):
            pixels = random.integers(0, 255, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{index:03d}.png")


def build(out: str, *, data: str = "images", **changed: object) -> list[str]:
    few = {"train__steps": 4, "train__checkpoint_every": 2, "generate__ratio": 1}
    few |= {"evaluate__rows": 4, "evaluate__sheet_rows": 2, "generate__batch": 40}
    few |= {"ingest__holdout": 0.45, "ingest__duplicates": "keep", "write__shard_size": 40}
    options = tiny.options(**{**few, **changed})
    return ["augment", "--data", data, "--out", out, "--quiet", *options]


def every_command(url: str = "") -> list[tuple[str, Any]]:
    """Name, and words or a damage.

    url: of a tar of images; empty: without the command that downloads it.
    """
    trial = ["--arms", "real,own:1", "--seeds", "1", "--images", "64"]
    trial += ["--set", "trial.batch=8", "--set", "trial.width=4", "--set", "trial.samples=100"]
    trial += ["--set", "trial.snapshot_every=32", "--processes", "1", "--quiet"]
    recognition = ["--arms", "real,own", "--seeds", "1", "--processes", "1", "--quiet"]
    recognition += ["--set", "recognise.epochs=1", "--set", "recognise.width=4"]
    composed = {"generate__method": "compose", "generate__images_per_class": 2}
    composed |= {"generate__solver_steps": 2, "recognise__epochs": 1, "recognise__width": 4}
    more = {"unpaired": ["--domains", "left,right"], "hdf5": ["--trainer", "studiogan"]}
    return [
        ("init", ["init", "new/stages.yaml"]),
        ("augment", build("deep/er/shards")),
        ("augment, nothing to do", build("deep/er/shards")),
        ("augment, higher ratio", build("deep/er/shards", generate__ratio=2)),
        ("augment, other network", build("deep/er/shards", generate__ratio=1, train__steps=6)),
        *([("augment, from a URL", build("fetched", data=url))] if url else []),
        ("augment, pilot", build("piloted", generate__method="auto", pilot__rows=50)),
        ("augment, new classes", build("composed", train__network="unet", **composed)),
        ("evaluate", ["evaluate", "deep/er/shards.run", "--quiet", "--set", "evaluate.rows=5"]),
        (
            "evaluate --generated",
            ["evaluate", "deep/er/shards.run", "--generated", "images/left", "--quiet"],
        ),
        ("report", ["report", "deep/er/shards.run"]),
        ("compare", ["compare", "deep/er/shards.run", "piloted.run", "--out", "pages/c.html"]),
        ("inspect", ["inspect", "deep/er/shards", "000001", "--image", "one.png"]),
        *(
            (
                f"export {to}",
                ["export", "deep/er/shards", "--to", to, "--out", f"exports/{to}", "--quiet"]
                + more.get(to, []),
            )
            for to in ("stylegan", "imagefolder", "unpaired", "hdf5", "lmdb", "parquet")
        ),
        (
            "export --overwrite",
            ["export", "deep/er/shards", "--to", "imagefolder", "--out", "exports/imagefolder"]
            + ["--real-only", "--overwrite", "--quiet"],
        ),
        ("damage", {"damage": "deep/er/shards/aug-000000.tar"}),
        ("repair", ["repair", "deep/er/shards", "--quiet"]),
        ("trial", ["trial", "deep/er/shards.run", *trial]),
        ("trial --vote", ["trial", "deep/er/shards.run", "--vote", "2"]),
        ("recognition", ["recognition", "deep/er/shards.run", *recognition]),
        ("forget", ["forget", "deep/er/shards.run", "000003", "--quiet"]),
        ("forget --retrain", ["forget", "deep/er/shards.run", "--retrain", "--quiet"]),
        ("features", ["features", "--make", "copied.pt", "--from", "means.pt"]),
    ]


class Means(torch.nn.Module):
    """(B, 3, H, W) -> (B, 3): the means of channels."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean(dim=[2, 3])


def test_every_command_is_among_them() -> None:
    named = {words[0] for _, words in every_command() if isinstance(words, list)}
    # `run` is `augment` with the configuration from a file.
    assert named | READING | {"run"} == set(known_commands.commands)


def test_nothing_counts_before_it_is_safe(shim: Path, tmp_path: Path) -> None:
    root = tmp_path / "disk"
    make_images(root / "images")
    torch.jit.save(torch.jit.script(Means()), str(root / "means.pt"))
    before = set(root.rglob("*"))
    with served(root) as url:
        gaps, known = recorded(shim, root, every_command(url if find_spec("aiohttp") else ""))
    del gaps["damage"]
    found = {name: sorted(set(some)) for name, some in gaps.items() if some}
    assert not found, json.dumps(found, indent=1)
    # No file came to be in a way that the log does not see.
    assert {str(path.resolve()) for path in set(root.rglob("*")) - before} <= known
    assert len(known) > 100


def recorded(
    shim: Path, root: Path, every: list[tuple[str, Any]]
) -> tuple[dict[str, list[str]], set[str]]:
    """Runs them in `root`; what durability.gaps_of says of the log."""
    listed, log = root.with_name("commands.json"), root.with_name("log")
    listed.write_text(json.dumps(every))
    tracing = {"LD_PRELOAD": str(shim), "TRACE_ROOT": str(root.resolve()), "TRACE_LOG": str(log)}
    done = subprocess.run(
        [sys.executable, HERE / "traced.py", listed],
        cwd=root,
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", **tracing},
    )
    assert done.returncode == 0, done.stderr
    lines = [line.removeprefix("command ") for line in done.stdout.splitlines()]
    codes = [line for line in lines if line in {f"{name}: 0" for name, _ in every}]
    assert len(codes) == len(every), f"{set(lines)}{done.stderr}"
    return durability.gaps_of(str(root.resolve()), log.read_text().splitlines())


@contextlib.contextmanager
def served(folder: Path) -> Iterator[str]:
    """The URL of a tar of folder/images, from a server on the loopback."""
    tar = folder.parent / "served" / "images.tar"
    tar.parent.mkdir()
    with tarfile.open(tar, "w") as file:
        file.add(folder / "images", "images")
    handler = functools.partial(_Silent, directory=str(tar.parent))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/images.tar"
        finally:
            server.shutdown()


class _Silent(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *words: object) -> None:
        pass


DONE = ["mkdir\t/d/run", "fsync\t/d", "create\t/d/run/.a.1.tmp", "write\t/d/run/.a.1.tmp"]
DONE += ["fsync\t/d/run/.a.1.tmp", "rename\t/d/run/.a.1.tmp\t/d/run/a", "fsync\t/d/run"]


@pytest.mark.parametrize(
    "left_out, gap",
    [
        (1, "run/a is named before run: folder made, its parent not synced"),
        (4, "run/a is named before run/.a.1.tmp: written, not synced"),
        (6, "at the end of it: renamed, its folder not synced: run/a"),
    ],
)
def test_a_sync_that_is_left_out_is_a_gap(left_out: int, gap: str) -> None:
    lines = [*DONE, "end\tit"]
    assert durability.gaps_of("/d", lines)[0] == {"it": []}
    assert gap in durability.gaps_of("/d", lines[:left_out] + lines[left_out + 1 :])[0]["it"]


def test_a_removal_that_another_file_relies_on_is_a_gap() -> None:
    removed = ["remove\t/d/run/picture", "fsync\t/d/run"]
    done = ["create\t/d/s.tmp", "write\t/d/s.tmp", "fsync\t/d/s.tmp"]
    done += ["rename\t/d/s.tmp\t/d/tombstones.json", "fsync\t/d", "end\tforget"]
    assert durability.gaps_of("/d", [*removed, *done])[0] == {"forget": []}
    gaps = durability.gaps_of("/d", [removed[0], *done])[0]["forget"]
    assert any("tombstones.json is named before run/picture: removed" in gap for gap in gaps)
