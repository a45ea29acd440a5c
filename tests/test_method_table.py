"""The method table trains what a run trains."""

import argparse
import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from scoremix.manifests.plan.methods import CLASS_METHODS
from scoremix.pipeline.config import Config
from scoremix.stages.common.expected import MEASURED, Measured, expected_quality
from scoremix.stages.train.config import TrainConfig

ROOT = Path(__file__).parents[1]


def loaded() -> ModuleType:
    path = ROOT / "benchmarks" / "method_table.py"
    spec = importlib.util.spec_from_file_location("method_table", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("side", [8, 32, 64])
def test_it_trains_with_the_options_of_a_run(side: int, monkeypatch: pytest.MonkeyPatch) -> None:
    table = loaded()
    device = table.device_type("cpu")
    for preset in ("tiny", "small", "paper"):
        monkeypatch.setattr(sys, "argv", ["method_table.py", "--preset", preset, "--out", "x"])
        options: argparse.Namespace = table._arguments()
        run = Config.model_validate({"train": {"preset": preset}}).resolved(side, device, 500)
        assert table.training_config(options, side, "cpu", 500) == run.train


def test_it_knows_every_method() -> None:
    from typing import get_args

    from scoremix.stages.generate.config import Method

    methods = {changes.get("method", "scoremix") for changes in loaded().METHODS.values()}
    # Images of classes are no rows that mixtures could be compared with.
    assert methods | {"mixup"} == set(get_args(Method)) - CLASS_METHODS


@pytest.mark.parametrize("row", MEASURED, ids=lambda row: row.results)
def test_what_a_dry_run_promises_was_measured(row: Measured) -> None:
    found = json.loads((ROOT / f"benchmarks/results/{row.results}.json").read_text())
    methods = found["lengths"][-1]["methods"]
    names = ("mixup", "copies of the nearer parent", "bridge, keep both, t0 0.65")
    for name, promised in zip(names, (row.mixup, row.copies, row.bridge), strict=True):
        assert f"{1000 * methods[name]['kd']:.3g}" == f"{promised:.3g}", name
    trained = found["lengths"][-1]["options"]
    preset = TrainConfig(preset="tiny", network="unet").resolved(row.side, "cpu", row.images)
    changed = [
        f"{name} {trained[name]:g}"
        for name in ("dropout", "augment")
        if trained[name] != getattr(preset, name)
    ]
    changed += [f"{trained['steps']:,} updates"] if trained["steps"] != preset.steps else []
    assert row.with_ == ", ".join(changed)


def test_a_hint_is_of_the_trainings_most_alike() -> None:
    assert "(300 digits, with 1,250 updates)" in expected_quality(
        "tiny", "unet", "bridge", 12, 10_000
    )
    alike = expected_quality("tiny", "unet", "auto", 32, 500)
    places = [alike.index(f"({text}") for text in ("500 photographs of cats", "500 other cats")]
    assert "(500 other cats)" in alike and "cats, with dropout 0.13, 4,500 updates)" in alike
    assert places == sorted(places) and "expect less" not in alike
    assert alike.index("500 other cats") < alike.index("2,046 photographs of clothing")
    many = expected_quality("tiny", "unet", "auto", 32, 3000)
    assert many.index("clothing") < many.index("cats")
    assert "expect less of so few images" in expected_quality("tiny", "unet", "auto", 32, 100)
    for preset, network in (("gpu", "unet"), ("paper", "refinenet"), ("tiny", "refinenet")):
        text = expected_quality(preset, network, "auto", 32, 500)
        assert text.startswith("not measured for preset")


@pytest.mark.parametrize(
    ("section", "option", "value"),
    [
        ("generate", "t0", 1.0),
        ("generate", "guidance", 5.0),
        ("generate", "denoise_steps", 2),
        ("generate", "gamma", 0.4),
        ("train", "ema", 0.5),
        ("train", "flip", True),
    ],
)
def test_a_dry_run_quotes_no_run_with_other_options(
    section: str, option: str, value: object
) -> None:
    from types import SimpleNamespace

    from scoremix.pipeline.measured_quality import measured_quality

    def quoted(**options: dict[str, object]) -> str:
        values: dict[str, dict[str, object]] = {"train": {"preset": "tiny"}, "generate": {}}
        for name, more in options.items():
            values[name] |= more
        config = Config.model_validate(values).resolved(32, "cpu", 500)
        found: Any = SimpleNamespace(resolution=32, training=500)
        return measured_quality(config, found, "cpu")

    assert "46.7" in quoted() and "46.7" in quoted(generate={"method": "bridge"})
    changed = {section: {option: value}}
    if section == "generate":
        changed[section]["method"] = "bridge"
    assert "46.7" not in quoted(**changed) and option in quoted(**changed)


def test_what_was_not_measured_gets_no_figures() -> None:
    other = expected_quality("tiny", "unet", "auto", 32, 500, ["steps", "width"])
    assert other.startswith("not measured with another steps, width") and "46.7" not in other
    assert "46.7" not in expected_quality("tiny", "unet", "sample", 32, 500)
    weaker = expected_quality("tiny", "unet", "bridge with keep none, gamma 0", 32, 500)
    assert "46.7" not in weaker
