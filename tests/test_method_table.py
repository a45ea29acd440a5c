"""The method table trains what a run trains."""

import argparse
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from scoremix.pipeline.config import Config

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
    assert methods | {"mixup"} == set(get_args(Method))
