"""Every example runs from its file, quickly here, to a whole corpus of the kind it promises."""

import json
from pathlib import Path

import pytest
import tiny

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = sorted((ROOT / "examples").glob("*.yaml"))
QUICK = {
    "train.width": 4,
    "train.steps": 4,
    "train.batch": 8,
    "generate.ratio": 1,
    "generate.steps": 1,
    "generate.denoise_steps": 2,
    "evaluate.rows": 12,
    "evaluate.sheet_rows": 2,
}
OF_CLASSES = {
    "train.checkpoint_every": 1,  # keeps an early state, for guidance
    "recognise.epochs": 1,
    "recognise.width": 4,
    "generate.images_per_class": 2,
    "generate.solver_steps": 2,
}
CLASSES = {"unconditional": 0, "multi-domain": 10, "one-shot": 2, "recognition": 10 + 10}
GRAY = {"recognition"}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs(example: Path, tmp_path: Path) -> None:
    options = QUICK | (OF_CLASSES if example.stem == "recognition" else {})
    quick = [part for key, value in options.items() for part in ("--set", f"{key}={value}")]
    place = ["--set", f"run={tmp_path / 'run'}", "--quiet"]
    done = tiny.command(["run", example, *quick, *place])
    assert done.returncode == 0, done.stderr
    index = json.loads((tmp_path / "run" / "shards" / "index.json").read_text())
    assert len(index["classes"]) == CLASSES[example.stem]
    assert index["channels"] == (1 if example.stem in GRAY else 3)
    assert tiny.command(["verify", tmp_path / "run"]).returncode == 0


def test_every_use_of_the_papers_has_one() -> None:
    assert {path.stem for path in EXAMPLES} == set(CLASSES)
