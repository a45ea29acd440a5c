"""What a command refuses, or only reads, does not wait for large libraries: torch takes seconds."""

import json
import subprocess
import sys
from pathlib import Path

import tiny

_EACH = """
import json, sys
from scoremix.pipeline.cli import commands, exit_code
found = []
for words in json.loads(sys.argv[1]):
    code = exit_code(lambda: commands.main(words, standalone_mode=False))
    found.append([code, [name for name in sys.argv[2:] if name in sys.modules]])
print(json.dumps(found))
"""


def codes_without(folder: Path, commands: list[str], *libraries: str) -> list[int]:
    """Exit codes of commands, one after the other in a new process, and none loads a library."""
    words = json.dumps([command.split() for command in commands])
    done = subprocess.run(
        [sys.executable, "-c", _EACH, words, *libraries],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout.splitlines()[-1])
    for command, (_, loaded) in zip(commands, found, strict=True):
        assert not loaded, f"{command} has loaded {loaded}"
    return [code for code, _ in found]


def test_a_wrong_option_does_not_wait_for_numpy(tmp_path: Path) -> None:
    """Options are checked before anything that works with images is loaded."""
    (tmp_path / "typo.yaml").write_text("generate: {ratoi: 3}\n")
    wrong = [
        "run typo.yaml",
        "augment --data digits --out o --set generate.methd=mixup",
        "augment --data digits --out o --set ingest.resolution=9",
        "augment --data digits --out o --set generate.weights=[2,-1]",
    ]
    large = ("numpy", "pyarrow", "PIL", "torch", "pandas", "scipy")
    assert set(codes_without(tmp_path, wrong, *large)) == {2}


def test_a_refused_request_does_not_wait_for_torch(tmp_path: Path) -> None:
    tiny.make_images(tmp_path / "images")
    (tmp_path / "empty").mkdir()
    (tmp_path / "typo.yaml").write_text("generate: {ratoi: 3}\n")
    (tmp_path / "not.yaml").write_text("a: b: c\n")
    (tmp_path / "features.yaml").write_text("ingest: {source: images}\nevaluate: {features: no.pt}")
    refused = [
        "run missing.yaml",
        "run empty",
        "run typo.yaml",
        "run not.yaml",
        "run features.yaml",
        "augment --out o",
        "augment --data nowhere --out o",
        "augment --data nowhere --out o --dry-run",
        "augment --data images --out images/o",
        "augment --data images --out typo.yaml",
        "augment --data images --out o --set generate.ratio=0",
        "augment --data images --out o --set train.compile=never",
        "augment --data images --out o --set ingest.resolution=9",
        "augment --data images --out o --worker 4/4",
        "evaluate empty",
        "evaluate empty --generated images",
        "trial empty",
        "repair empty",
        "repair images --run empty",
        "forget empty 000001",
        "report empty",
        "compare empty empty",
        "export empty --to stylegan --out e",
        "export empty --to stylegan --trainer nobody --out e",
        "inspect empty",
        "status empty",
        "check nowhere",
        "check empty",
        "augment --data images --out o --set ingest.path=01",
        "augment --data s3://bu[cket/x --out o",
        "init typo.yaml",
        "init another.yaml --data nowhere",
        "augment --data digit --out o --dry-run",
        "augment --data images --out o --set ingest.path=nowhere",
        "augment --data images/* --out o",
        "augment --data images/left/*.jpg --out o",
        "augment --data images --out o --set generate.method=compose --set train.network=refinenet",
    ]
    asked = "augment --data images --out o --set trial.with_run=true"
    refused += [
        f"{asked} --set trial.trainer=stylegan3 --set trial.checkout=nowhere",
        f"{asked} --set trial.trainer=stylegan3 --set trial.checkout=nowhere --dry-run",
        f"{asked} --set trial.trainer=nobody",
        f"{asked} --set ingest.holdout=0",
    ]
    assert set(codes_without(tmp_path, refused, "torch")) == {2}
    assert codes_without(tmp_path, ["augment --data empty --out o"], "torch") == [4]
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"images", "empty", "typo.yaml", "not.yaml", "features.yaml"}
    assert not any((tmp_path / "empty").iterdir())


def test_what_only_reads_does_not_wait_for_torch(tmp_path: Path) -> None:
    """Of a finished run and its shards."""
    data = tiny.make_images(tmp_path / "images")
    words = ["augment", "--data", data, "--out", tmp_path / "shards", "--quiet"]
    done = tiny.command([*words, *tiny.options(generate__ratio=1), "--until", "write"])
    assert done.returncode == 0, done.stderr
    reading = [
        "--help",
        "augment --help",
        "status shards.run",
        "status shards",
        "verify shards",
        "verify shards.run",
        "inspect shards",
        "inspect shards.run",
        "inspect shards 000001",
        "export shards --to imagefolder --out exported",
        "check exported --for imagefolder",
        "init another.yaml",
    ]
    assert set(codes_without(tmp_path, reading, "torch")) == {0}
    assert codes_without(tmp_path, ["status shards.run"], "torch", "pandas", "scipy") == [0]
    wrong = [
        "trial shards.run --set trial.trainer=nobody",
        "recognition shards.run --unseen nowhere",
        "evaluate shards.run --generated nowhere",
    ]
    assert codes_without(tmp_path, wrong, "torch") == [2, 2, 2]
