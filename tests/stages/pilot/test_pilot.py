"""The stage, with made-up ways of mixing whose worth is known beforehand."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from scoremix.manifests.errors import ScoreMixError
from scoremix.stages.common.progress import Silent
from scoremix.stages.evaluate.config import EvaluateConfig
from scoremix.stages.generate.config import GenerateConfig
from scoremix.stages.pilot.candidates import BRIDGE, COPIES, MIXUP, SCOREMIX
from scoremix.stages.pilot.config import PilotConfig
from scoremix.stages.pilot.pilot import PilotInputs, pilot

Images = NDArray[np.uint8]
CONFIG = PilotConfig(rows=300)


@dataclass(frozen=True)
class Batch:
    rows: pa.Table
    final: Images
    norms: None = None
    clipped: None = None

    @property
    def mixup(self) -> Images:
        return self.final

    @property
    def minimised(self) -> Images:
        return self.final


def waves(seed: int, count: int) -> Images:
    """Gray images (count, 8, 8, 1): a grating of random phase and direction, and grain."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:8, :8]
    turn, phase = random.uniform(0, 2 * np.pi, (2, count, 1, 1))
    grating = np.sin(x * np.cos(turn) + y * np.sin(turn) + phase)
    grain = random.normal(0, 0.15, (count, 8, 8))
    return np.rint(127 + 70 * (grating + grain)).clip(0, 255).astype(np.uint8)[..., None]


TRAINING, HELD_OUT, NEW = waves(1, 400), waves(2, 400), waves(3, 300)


def plan_rows(count: int = 300) -> pa.Table:
    random = np.random.default_rng(4)
    first = random.permutation(400)[:count]
    return pa.table(
        {
            "row_1": first,
            "row_2": (first + 1 + random.integers(399, size=count)) % 400,
            "lambda": random.uniform(0.1, 0.9, count),
            "method": ["pilot"] * count,
        }
    )


def mixed(rows: pa.Table) -> NDArray[np.float64]:
    weight = rows["lambda"].to_numpy()[:, None, None, None]
    one, two = (TRAINING[rows[name].to_numpy()].astype(float) for name in ("row_1", "row_2"))
    return np.asarray(weight * one + (1 - weight) * two)


def inputs(ways: dict[str, str], reference: Images = HELD_OUT) -> PilotInputs:
    """ways: candidate -> what it makes: mix, new, copy, blur, fail."""

    def execute(rows: pa.Table, options: GenerateConfig) -> Iterator[Batch]:
        way = ways[str(options.method)]
        made = mixed(rows)
        if way == "new":
            made = NEW[: rows.num_rows].astype(float)
        elif way == "copy":
            made = TRAINING[rows["row_1"].to_numpy()].astype(float)
        elif way == "blur":
            made = 127 + 0.5 * (made - 127)
        elif way == "fail":
            raise ScoreMixError("images of one colour")
        for start in range(0, rows.num_rows, 50):
            part = np.rint(made[start : start + 50]).astype(np.uint8)
            yield Batch(rows.slice(start, 50), part)

    config = GenerateConfig(method="auto", ratio=7)
    methods = {name: config.model_copy(update={"method": name}) for name in ways}
    return PilotInputs(
        rows=plan_rows(),
        images=TRAINING,
        training_rows=np.arange(400),
        reference=reference,
        candidates=methods,
        seconds=dict.fromkeys(ways, 0.0),
        execute=execute,
        evaluate=EvaluateConfig(),
        config=config,
        seed=0,
    )


def test_new_images_of_the_kind_win(tmp_path: Path) -> None:
    found = pilot(CONFIG, inputs({MIXUP: "mix", BRIDGE: "new"}), tmp_path, Silent())
    assert (found.decision.choice, found.decision.kind) == (BRIDGE, "clear")
    assert found.decision.ratio == 0 and dict(found.options) == {"method": BRIDGE}
    saved = json.loads((tmp_path / "pilot.json").read_bytes())
    assert saved["sensitivity"]["images"] == 300
    assert (saved["decision"]["ratio"] is None) == bool(saved["sensitivity"]["not_seen"])
    table = {row["name"]: row for row in saved["table"]}
    assert set(table) == {COPIES, MIXUP, BRIDGE}
    assert table[BRIDGE]["kd"] < table[MIXUP]["kd"]
    assert table[BRIDGE]["against_mixup"]["interval_95"][1] < 0
    assert table[COPIES]["nearest"] == 0 < table[MIXUP]["nearest"]
    # Gratings are dense: mixtures are farther from them than real images are.
    assert table[MIXUP]["newness"] > 1.2 and saved["real"]["nearest"] < table[MIXUP]["nearest"]
    low, high = table[BRIDGE]["newness_interval"]
    assert low < table[BRIDGE]["newness"] < high and low > 0.8
    assert table[MIXUP]["contrast"] < 0.95 < table[BRIDGE]["contrast"] < 1.05
    assert saved["rows"] == 300 and saved["held_out"] == 400
    text = (tmp_path / "table.txt").read_text()
    assert text.startswith("bridge is clearly nearer") and "Ratio advised: 0. Train" in text
    assert (tmp_path / "sheet.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(("way", "word"), [("copy", "copies"), ("blur", "contrast")])
def test_copies_and_blur_do_not(way: str, word: str, tmp_path: Path) -> None:
    found = pilot(CONFIG, inputs({MIXUP: "mix", BRIDGE: way}), tmp_path, Silent())
    assert found.decision.choice == MIXUP
    assert word in found.decision.disqualified[BRIDGE]
    assert "Cannot win: bridge: " in (tmp_path / "table.txt").read_text()


def test_a_candidate_that_makes_no_images_is_named(tmp_path: Path) -> None:
    ways = {MIXUP: "mix", BRIDGE: "fail", SCOREMIX: "new"}
    found = pilot(CONFIG, inputs(ways), tmp_path, Silent())
    assert found.decision.choice == SCOREMIX
    assert found.left_out == {BRIDGE: "it made no images: images of one colour"}
    with pytest.raises(ScoreMixError):
        pilot(CONFIG, inputs({MIXUP: "fail", BRIDGE: "new"}), tmp_path, Silent())


def test_one_for_which_there_is_no_time_is_not_made(tmp_path: Path) -> None:
    given = inputs({MIXUP: "mix", BRIDGE: "fail", SCOREMIX: "new"})
    given = replace(given, seconds={MIXUP: 0.0, BRIDGE: 4.0, SCOREMIX: 1.0})
    found = pilot(CONFIG, given, tmp_path, Silent())  # 20 min of 10
    assert found.decision.choice == SCOREMIX and "20 min 0 s" in found.left_out[BRIDGE]


def test_equal_inputs_leave_equal_files(tmp_path: Path) -> None:
    given = inputs({MIXUP: "mix", BRIDGE: "new"})
    for name in ("a", "b"):
        pilot(CONFIG, given, tmp_path / name, Silent())
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


@pytest.mark.parametrize("held_out", [0, 49])
def test_too_few_held_out_images_compare_nothing(held_out: int, tmp_path: Path) -> None:
    given = inputs({MIXUP: "mix", BRIDGE: "blur"}, HELD_OUT[:held_out])
    found = pilot(CONFIG, given, tmp_path, Silent())
    assert (found.decision.choice, found.decision.kind) == (BRIDGE, "not compared")
    assert found.rows == 12 and not found.scores  # for the sheet alone
    assert f"{held_out} images are held out" in (tmp_path / "table.txt").read_text()
    assert (tmp_path / "sheet.png").exists()
